// Numbers of 16 bits, bfloat16 (CU.1): sign and exponent of single precision,
// and 7 bits behind the point instead of 23.

// To the nearest, ties to even. What is too large becomes infinite, NaN stays.
static __device__ __forceinline__ unsigned fg_bf16(float x) {
    unsigned bits = __float_as_uint(x);
    unsigned rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return x != x ? 0x7fc0u : rounded;
}

// Two of them in a register, the first in the low half.
static __device__ __forceinline__ unsigned fg_bf16_pair(float low, float high) {
    return fg_bf16(low) | fg_bf16(high) << 16;
}
