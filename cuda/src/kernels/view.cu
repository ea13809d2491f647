// Views: an array read or written with another step along each axis (AD.2).
//
//   read:   y[i0, .., i5] = x[o + i0 s0 + .. + i5 s5]
//   write:  y[o + i0 s0 + .. + i5 s5] = x[i0, .., i5]
//
// x and y [e0, .., e5], one thread an element.
//
// One of the two is dense; the other is anywhere. Permuting, slicing,
// repeating (step 0), reversing (negative steps), windows (two axes over one)
// and diagonals (one axis over two) are all reads; padding, joining and putting
// on a diagonal are writes. 8 bytes an element; the dense side is read or
// written 128 bytes at a time by each warp, the other side as the steps have it.
//
// One version of each: every number is moved once and no two threads need the
// same, so there is nothing to share but the steps of the far side, which are the
// caller's. Products read a transposed factor where it lies.
//
// Beside them, what goes along the middle axis of [outer, n, inner], one thread
// a line: running sums and the largest, n additions or comparisons a line.
// Views have no arithmetic but that of places, six divisions an element.

#define AXES 6

struct View {
    unsigned extent[AXES];
    long long step[AXES];
    long long begin;
};

#define VIEW_PARAMETERS                                                                              \
    unsigned e0, unsigned e1, unsigned e2, unsigned e3, unsigned e4, unsigned e5, long long s0,      \
        long long s1, long long s2, long long s3, long long s4, long long s5, long long begin
#define VIEW {{e0, e1, e2, e3, e4, e5}, {s0, s1, s2, s3, s4, s5}, begin}

// Where element e of the dense side lies on the other.
static __device__ __forceinline__ long long place(unsigned e, const View& view) {
    long long at = view.begin;
#pragma unroll
    for (int axis = AXES - 1; axis >= 0; axis--) {
        at += (long long)(e % view.extent[axis]) * view.step[axis];
        e /= view.extent[axis];
    }
    return at;
}

extern "C" __global__ void view_read(float* y, const float* x, unsigned n, VIEW_PARAMETERS) {
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= n) return;
    View view = VIEW;
    y[e] = x[place(e, view)];
}

extern "C" __global__ void view_write(float* y, const float* x, unsigned n, VIEW_PARAMETERS) {
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= n) return;
    View view = VIEW;
    y[place(e, view)] = x[e];
}

// Running sums, from the first place or from the last.
extern "C" __global__ void running_sum(float* y, const float* x, unsigned outer, unsigned n,
                                       unsigned inner, unsigned from_last) {
    unsigned line = blockIdx.x * blockDim.x + threadIdx.x;
    if (line >= outer * inner) return;
    size_t begin = (size_t)(line / inner) * n * inner + line % inner;
    float sum = 0.0f;
    for (unsigned k = 0; k < n; k++) {
        size_t at = begin + (size_t)(from_last ? n - 1 - k : k) * inner;
        // The first is copied: 0 + (-0) would lose the sign.
        sum = k == 0 ? x[at] : sum + x[at];
        y[at] = sum;
    }
}

// The largest of each line, -infinity for an empty one; NaN wins.
extern "C" __global__ void largest(float* y, const float* x, unsigned outer, unsigned n,
                                   unsigned inner) {
    unsigned line = blockIdx.x * blockDim.x + threadIdx.x;
    if (line >= outer * inner) return;
    const float* from = x + (size_t)(line / inner) * n * inner + line % inner;
    float most = __uint_as_float(0xff800000u);
    for (unsigned k = 0; k < n; k++) {
        float each = from[(size_t)k * inner];
        most = each > most || each != each ? each : most;
    }
    y[line] = most;
}
