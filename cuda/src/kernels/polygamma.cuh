// Powers and the polygamma functions, operation for operation those of the
// CPU: `powi` as the compiler's run-time library computes it, and
// `autograd/src/gamma.rs`, in double precision and rounded once.

// a^n by repeated squaring.
static __device__ __forceinline__ float fg_powi(float a, int n) {
    bool below = n < 0;
    float r = 1.0f;
    for (;;) {
        if (n & 1) r *= a;
        n /= 2;
        if (n == 0) break;
        a *= a;
    }
    return below ? 1.0f / r : r;
}
static __device__ __forceinline__ double wide_powi(double a, int n) {
    bool below = n < 0;
    double r = 1.0;
    for (;;) {
        if (n & 1) r *= a;
        n /= 2;
        if (n == 0) break;
        a *= a;
    }
    return below ? 1.0 / r : r;
}

static __device__ __forceinline__ float fg_ln_gamma(float x) {
    return x < 0.0f ? NOT_A_NUMBER : (float)lgamma((double)x);
}

static __device__ __forceinline__ double wide_factorial(int k) {
    double product = 1.0;
    for (int i = 1; i <= k; i++) product *= (double)i;
    return product;
}

// The derivative of order n + 1 of ln Gamma, for x >= 0 (AD.16), (AD.17).
static __device__ __forceinline__ float fg_polygamma(int n, float at) {
    const double bernoulli[7] = {1.0 / 6.0,  -1.0 / 30.0,     1.0 / 42.0, -1.0 / 30.0,
                                 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0};
    double x = (double)at;
    if (x < 0.0) return NOT_A_NUMBER;
    double carried = ceil((double)(12 + 2 * n) - x);
    carried = carried > 0.0 ? carried : 0.0;
    double z = x + carried, series = 0.0;
    for (int k = 7; k >= 1; k--) {
        double ratio = 1.0;
        for (int i = 1; i < n; i++) ratio *= (double)(2 * k + i);
        double of_order = n == 0 ? 1.0 / (double)(2 * k) : ratio;
        series += bernoulli[k - 1] * of_order / wide_powi(z, 2 * k + n);
    }
    series += 0.5 * wide_factorial(n) / wide_powi(z, n + 1);
    series += n == 0 ? -log(z) : wide_factorial(n - 1) / wide_powi(z, n);
    double sum = 0.0;
    for (int i = (int)carried - 1; i >= 0; i--) sum += wide_powi(x + (double)i, -n - 1);
    double sign = n % 2 == 0 ? -1.0 : 1.0;
    return (float)(sign * (series + wide_factorial(n) * sum));
}
