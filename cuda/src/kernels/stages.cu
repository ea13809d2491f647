// What a Runge-Kutta method does with a batch of rows, each in one pass over
// memory (RK.2), (RK.5).
//
//   combine       out = y + h_r (c_1 k_1 + c_2 k_2 + ...)          [rows, d]
//   error_norms   e_r = mean_i (h_r (c_1 k_1i + ...) / allowed_i)  [rows]
//   choose        out_r = b_r where the row is chosen, else a_r    [rows, d]
//
// with allowed_i = absolute + relative max(|y0_i|, |y1_i|), and as mean the
// root mean square or the largest. Sums are taken in the order of the terms and
// of the coordinates: the bits are those of `solvers::Rows`.
//
// A number takes, with J terms,
//
//   combine       one thread, 4 (J + 1) bytes read, 4 written,  2 J + 1 operations
//   error_norms   a d-th of a thread, 4 (J + 2) bytes read,     2 J + 8 operations
//   choose        one thread, 4 bytes read (and 4 a row), 4 written
//
// `combine` beside its parts, a launch for each product and each sum (`scale` of
// constant.cu and printed kernels), J terms, bytes a number:
//
//   version    launches   read     written
//   composed   2 J + 1    12 J + 4 8 J + 4
//   fused      1          4 J + 4  4
//
// The other two have one version: nothing is written between their parts.
//
// Coefficients are arguments, so one kernel serves all methods; terms beyond
// the given number are not read. A step for all rows comes as an argument,
// steps of their own in memory. The norms are in double precision: few numbers
// beside those of the network, and a decision that is the host's own.

#define TERMS(T)                                                                                 \
    T c0, T c1, T c2, T c3, T c4, T c5, T c6, T c7, T c8, T c9, T c10, T c11, T c12, T c13,     \
        T c14, T c15, const float *k0, const float *k1, const float *k2, const float *k3,       \
        const float *k4, const float *k5, const float *k6, const float *k7, const float *k8,    \
        const float *k9, const float *k10, const float *k11, const float *k12,                  \
        const float *k13, const float *k14, const float *k15

// One more term: `sum` so far, of which the first is only the product.
#define ADD(j)                                          \
    if (terms > j) {                                    \
        auto product = c##j * k##j[i];                  \
        sum = j == 0 ? product : sum + product;         \
    }
#define ADD_ALL                                                                            \
    ADD(0) ADD(1) ADD(2) ADD(3) ADD(4) ADD(5) ADD(6) ADD(7) ADD(8) ADD(9) ADD(10) ADD(11) \
    ADD(12) ADD(13) ADD(14) ADD(15)

extern "C" __global__ void combine(float* out, const float* y, const double* steps, float step,
                                   unsigned own, unsigned n, unsigned d, unsigned terms,
                                   TERMS(float)) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = 0.0f;
    ADD_ALL
    float h = own ? (float)steps[i / d] : step;
    out[i] = y[i] + h * sum;
}

// The larger size; NaN if one of them is (`norm.rs`).
static __device__ __forceinline__ double larger(double most, double x) {
    double size = x < 0.0 ? -x : x;
    return size <= most ? most : size + most * 0.0;
}

extern "C" __global__ void error_norms(double* out, const float* y0, const float* y1,
                                       const double* steps, double step, unsigned own,
                                       double absolute, double relative, unsigned largest,
                                       unsigned rows, unsigned d, unsigned counted,
                                       unsigned terms, TERMS(double)) {
    unsigned row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    double h = own ? steps[row] : step, norm = 0.0;
    for (unsigned j = 0; j < counted; j++) {
        unsigned i = row * d + j;
        double sum = 0.0;
        ADD_ALL
        double a = y0[i], b = y1[i];
        // 0, or NaN where y1 is not finite.
        double error = h * sum + 0.0 * b;
        a = a < 0.0 ? -a : a;
        b = b < 0.0 ? -b : b;
        double size = a > b ? a : b;
        double quotient = error / (absolute + relative * size);
        norm = largest ? larger(norm, quotient) : norm + quotient * quotient;
    }
    norm = largest ? norm : sqrt(norm / (double)counted);
    // What does not count is still to be a number.
    for (unsigned j = counted; j < d; j++) norm = norm + 0.0 * (double)y1[row * d + j];
    out[row] = norm;
}

extern "C" __global__ void choose(float* out, const float* a, const float* b,
                                  const unsigned* chosen, unsigned n, unsigned d) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = chosen[i / d] != 0 ? b[i] : a[i];
}
