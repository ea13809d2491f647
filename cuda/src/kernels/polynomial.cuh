// Elementary functions in single precision, operation for operation those of
// `autograd/src/cpu/polynomial.rs`: only IEEE additions, products, quotients
// and roots, compiled without fused multiply-add, so they have the CPU's bits.
// A test compares every function over the whole range of bits. Errors, ranges
// and the source of the coefficients are stated there.

// Adding and subtracting it rounds to a whole number.
#define ROUND 12582912.0f  // 1.5 * 2^23
#define INFINITE __uint_as_float(0x7f800000u)
#define NOT_A_NUMBER __uint_as_float(0x7fc00000u)

// c0 + x (c1 + x (c2 + ...))
template <int N> static __device__ __forceinline__ float horner(float x, const float (&c)[N]) {
    float sum = 0.0f;
#pragma unroll
    for (int i = N - 1; i >= 0; i--) sum = sum * x + c[i];
    return sum;
}

// 2^n for n in [-126, 127].
static __device__ __forceinline__ float power_of_two(int n) {
    return __uint_as_float((unsigned)(n + 127) << 23);
}

// e^r - 1 for |r| <= ln(2)/2.
static __device__ __forceinline__ float exp_m1_reduced(float r) {
    const float c[] = {5e-1f, 1.6666665e-1f, 4.1665796e-2f, 8.333452e-3f, 1.3982e-3f, 1.9875691e-4f};
    return r * r * horner(r, c) + r;
}

// The whole number that ROUND has put into the last bits.
static __device__ __forceinline__ int whole_of(float shifted) {
    return (int)(__float_as_uint(shifted) - __float_as_uint(ROUND));
}

static __device__ __forceinline__ float fg_exp(float x) {
    x = x < -110.0f ? -110.0f : x;
    x = x > 90.0f ? 90.0f : x;
    float shifted = x * 1.44269504f + ROUND;
    float n = shifted - ROUND;
    float r = (x - n * 0.6933594f) - n * -2.1219444e-4f;
    float y = exp_m1_reduced(r) + 1.0f;
    int whole = whole_of(shifted);
    int half = x != x ? 0 : whole >> 1;
    int rest = x != x ? 0 : whole - half;
    return y * power_of_two(half) * power_of_two(rest);
}

static __device__ __forceinline__ float fg_exp_m1(float x) {
    float inside = x < -40.0f ? -40.0f : x;
    inside = inside > 40.0f ? 40.0f : inside;
    float shifted = inside * 1.44269504f + ROUND;
    float n = shifted - ROUND;
    float r = (inside - n * 0.6933594f) - n * -2.1219444e-4f;
    float scale = power_of_two(x != x ? 0 : whole_of(shifted));
    float y = scale * exp_m1_reduced(r) + (scale - 1.0f);
    return x > 40.0f ? fg_exp(x) : y;
}

static __device__ __forceinline__ float fg_ln(float x) {
    const float c[] = {3.333333e-1f,   -2.4999994e-1f, 2.0000715e-1f, -1.6668058e-1f, 1.4249323e-1f,
                       -1.2420141e-1f, 1.1676999e-1f,  -1.151461e-1f, 7.0376836e-2f};
    const unsigned root_half = 0x3f3504f3u;  // of 1/sqrt(2)
    bool tiny = x < 1.17549435e-38f;
    float scaled = tiny ? x * 33554432.0f : x;
    float lift = tiny ? 25.0f : 0.0f;
    unsigned bits = __float_as_uint(scaled) - root_half;
    float e = (float)((int)bits >> 23) - lift;
    float f = __uint_as_float((bits & 0x007fffffu) + root_half) - 1.0f;
    float z = f * f;
    float y = f * z * horner(f, c) + e * -2.1219444e-4f - 0.5f * z;
    y = (f + y) + e * 0.6933594f;
    y = x == INFINITE ? x : y;
    y = x == 0.0f ? -INFINITE : y;
    return x >= 0.0f ? y : NOT_A_NUMBER;
}

static __device__ __forceinline__ float fg_ln_1p(float u) {
    float w = 1.0f + u;
    float ratio = u < 16777216.0f ? u / (w - 1.0f) : 1.0f;
    float corrected = fg_ln(w) * ratio;
    return w == 1.0f ? u : corrected;
}

// (sin r, cos r) for |r| <= pi/4.
static __device__ __forceinline__ float2 sin_cos_reduced(float r) {
    const float s[] = {-1.6666655e-1f, 8.332161e-3f, -1.9515296e-4f};
    const float c[] = {4.1666646e-2f, -1.3887316e-3f, 2.4433157e-5f};
    float z = r * r;
    float2 both;
    both.x = horner(z, s) * z * r + r;
    both.y = horner(z, c) * z * z - 0.5f * z + 1.0f;
    return both;
}

// (sin, cos) of r + q pi/2, from those of r.
static __device__ __forceinline__ float2 turned(float2 of, unsigned quarter) {
    bool swap = (quarter & 1u) == 1u;
    float s = swap ? of.y : of.x, c = swap ? of.x : of.y;
    float2 both;
    both.x = __uint_as_float(__float_as_uint(s) ^ ((quarter & 2u) << 30));
    both.y = __uint_as_float(__float_as_uint(c) ^ (((quarter + 1u) & 2u) << 30));
    return both;
}

static __device__ __forceinline__ float2 sin_cos(float x) {
    const double round = 6755399441055744.0;  // 1.5 * 2^52
    double wide = (double)x;
    double shifted = wide * 0.63661977236758134308 + round;
    double r = wide - (shifted - round) * 1.57079632679489661923;
    return turned(sin_cos_reduced((float)r), (unsigned)__double_as_longlong(shifted));
}
static __device__ __forceinline__ float fg_sin(float x) { return sin_cos(x).x; }
static __device__ __forceinline__ float fg_cos(float x) { return sin_cos(x).y; }

// (sin 2 pi u, cos 2 pi u) for u in [0, 1].
static __device__ __forceinline__ float2 sin_cos_turns(float u) {
    float shifted = u * 4.0f + ROUND;
    float rest = u * 4.0f - (shifted - ROUND);
    return turned(sin_cos_reduced(rest * 1.57079632f), __float_as_uint(shifted));
}

static __device__ __forceinline__ float fg_tanh(float x) {
    const float c[] = {-3.333328e-1f, 1.3331442e-1f, -5.3739716e-2f, 2.063909e-2f, -5.7049887e-3f};
    float z = x * x;
    float near = horner(z, c) * z * x + x;
    float far = copysignf(1.0f - 2.0f / (fg_exp(2.0f * fabsf(x)) + 1.0f), x);
    return fabsf(x) < 0.625f ? near : far;
}

// erf x - x for |x| < 1.
static __device__ __forceinline__ float erf_near(float x) {
    const float c[] = {1.2837917e-1f,  -3.7612626e-1f, 1.1283585e-1f, -2.6853812e-2f,
                       5.1883277e-3f, -8.010194e-4f,  7.853861e-5f};
    return x * horner(x * x, c);
}

// erfc a for a >= 1.
static __device__ __forceinline__ float erfc_far(float a) {
    const float n[] = {5.6382594e-1f, -2.741127e-1f,  3.40488e-1f,    -4.9445153e-1f, 6.2100046e-1f,
                       -5.824733e-1f, 3.6874247e-1f, -1.3870394e-1f, 2.32682e-2f};
    const float f[] = {5.641896e-1f, -2.8207674e-1f, 4.2184634e-1f, -1.0152653f,
                       2.921019f,    -7.495518f,     12.9772f,      -10.477664f};
    a = a > 11.0f ? 11.0f : a;
    float head = __uint_as_float(__float_as_uint(a) & 0xfffff000u);
    float decay = fg_exp(-head * head) * fg_exp((head - a) * (head + a));
    float q = 1.0f / a;
    float z = q * q;
    float near = horner(z, n), far = horner(z, f);
    return decay * q * (a < 2.0f ? near : far);
}

static __device__ __forceinline__ float fg_erf(float x) {
    float far = copysignf(1.0f - erfc_far(fabsf(x)), x);
    return fabsf(x) < 1.0f ? erf_near(x) + x : far;
}

static __device__ __forceinline__ float fg_erfc(float x) {
    float far = erfc_far(fabsf(x));
    far = x < 0.0f ? 2.0f - far : far;
    float near = (1.0f - x) - erf_near(x);
    return fabsf(x) < 1.0f ? near : far;
}

static __device__ __forceinline__ float fg_sigmoid(float x) { return 1.0f / (1.0f + fg_exp(-x)); }

static __device__ __forceinline__ float fg_softplus(float x) {
    return (x <= 0.0f ? 0.0f : x) + fg_ln_1p(fg_exp(-fabsf(x)));
}
