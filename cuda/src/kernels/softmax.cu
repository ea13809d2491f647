// Softmax (AD.50) and the logarithm of a sum of exponentials, along rows.
//
//   l_i = ln sum_j e^(x_ij) = m + ln sum_j e^(x_ij - m),    m = max_j x_ij
//   p_ij = e^(x_ij - m) / sum_k e^(x_ik - m)
//
// X [rows, columns]. m is 0 where the maximum is not finite, so a row of
// -infinity has l = -infinity and p = 0/0 = NaN, as on the CPU.
//
//   version   threads of a row   times a row is read
//   serial    1                  3 (maximum, sum, quotient); neighbours in a
//                                warp are whole rows apart
//   warp      32                 2: maximum and sum in one pass, a running sum
//                                being rescaled when its maximum grows
//
// 4 rows columns bytes in and as many out; about 20 operations an element.

static __device__ __forceinline__ float finite_or_zero(float m) {
    return fabsf(m) < INFINITE ? m : 0.0f;
}

// The larger, and NaN if one is.
static __device__ __forceinline__ float larger(float a, float b) { return a != a || a > b ? a : b; }

extern "C" __global__ void softmax_serial(float* p, float* l, const float* x, unsigned rows,
                                          unsigned columns) {
    unsigned row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    const float* from = x + (size_t)row * columns;
    float* to = p + (size_t)row * columns;
    float m = -INFINITE, sum = 0.0f;
    for (unsigned j = 0; j < columns; j++) m = larger(m, from[j]);
    m = finite_or_zero(m);
    for (unsigned j = 0; j < columns; j++) sum += fg_exp(from[j] - m);
    for (unsigned j = 0; j < columns; j++) to[j] = fg_exp(from[j] - m) / sum;
    l[row] = fg_ln(sum) + m;
}

// A sum of exponentials relative to a maximum.
struct Scaled {
    float m, sum;
};

static __device__ __forceinline__ Scaled both(Scaled a, Scaled b) {
    Scaled c;
    c.m = larger(a.m, b.m);
    float m = finite_or_zero(c.m);
    // A sum that is empty has the maximum -infinity, and e^(-infinity) is 0.
    c.sum = a.sum * fg_exp(a.m - m) + b.sum * fg_exp(b.m - m);
    return c;
}

// Block (32, 8): a warp a row.
extern "C" __global__ void softmax_warp(float* p, float* l, const float* x, unsigned rows,
                                        unsigned columns) {
    unsigned row = blockIdx.x * 8 + threadIdx.y;
    if (row >= rows) return;
    const float* from = x + (size_t)row * columns;
    float* to = p + (size_t)row * columns;
    Scaled own;
    own.m = -INFINITE;
    own.sum = 0.0f;
    for (unsigned j = threadIdx.x; j < columns; j += 32) {
        Scaled one;
        one.m = from[j];
        one.sum = 1.0f;
        own = both(own, one);
    }
    for (unsigned lane = 16; lane > 0; lane /= 2) {
        Scaled other;
        other.m = __shfl_xor_sync(0xffffffffu, own.m, lane);
        other.sum = __shfl_xor_sync(0xffffffffu, own.sum, lane);
        // In the order of the lanes, so that both partners get the same bits.
        own = threadIdx.x & lane ? both(other, own) : both(own, other);
    }
    float m = finite_or_zero(own.m);
    for (unsigned j = threadIdx.x; j < columns; j += 32) to[j] = fg_exp(from[j] - m) / own.sum;
    if (threadIdx.x == 0) l[row] = fg_ln(own.sum) + m;
}
