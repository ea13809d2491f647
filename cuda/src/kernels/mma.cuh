// The tensor cores' multiply-add, C += A B, by a whole warp (CU.3).
//
//   instruction   A          B         C          factors
//   mma_bf16      [16, 16]   [16, 8]   [16, 8]    bfloat16, two in a register
//   mma_tf32      [16, 8]    [8, 8]    [16, 8]    single precision, 10 bits behind the point
//
// Products are exact, sums in single precision. Each lane holds a fragment of
// each matrix. Lane l is number t = l % 4 of group g = l / 4, and holds
// (row, column):
//
//   mma_bf16   a[0] (g, 2t), (g, 2t+1)       a[1] (g+8, 2t), (g+8, 2t+1)
//              a[2] (g, 2t+8), (g, 2t+9)     a[3] (g+8, 2t+8), (g+8, 2t+9)
//              b[0] (2t, g), (2t+1, g)       b[1] (2t+8, g), (2t+9, g)
//   mma_tf32   a[0] (g, t)   a[1] (g+8, t)   a[2] (g, t+4)   a[3] (g+8, t+4)
//              b[0] (t, g)   b[1] (t+4, g)
//   both       c[0] (g, 2t)  c[1] (g, 2t+1)  c[2] (g+8, 2t)  c[3] (g+8, 2t+1)
//
// The first of two numbers is in the low half of its register. This is the
// PTX ISA, "Warp level matrix instructions", fragments for m16n8k16 and m16n8k8.
// All 32 lanes must come. 4096 and 2048 operations an instruction.

// On the emulator the instruction is a function of its name, in shim.h.
#ifdef CUDA_EMULATED
#define MMA(shape, type, c, a, b) emulated_mma_##shape##_##type(__LINE__, c, a, b)
#else
#define MMA(shape, type, c, a, b)                                                                    \
    asm volatile("mma.sync.aligned." #shape ".row.col.f32." #type "." #type ".f32 "                  \
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                             \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                    \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#endif

static __device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4],
                                                const unsigned (&b)[2]) {
    MMA(m16n8k16, bf16, c, a, b);
}

static __device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4],
                                                const unsigned (&b)[2]) {
    MMA(m16n8k8, tf32, c, a, b);
}

// The nearest number with 10 bits behind the point, ties to even; NaN stays.
static __device__ __forceinline__ unsigned fg_tf32(float x) {
    unsigned bits = __float_as_uint(x);
    unsigned rounded = (bits + 0xfffu + (bits >> 13 & 1u)) & 0xffffe000u;
    return x != x ? 0x7fc00000u : rounded;
}
