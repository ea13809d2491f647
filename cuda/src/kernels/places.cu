// Taking places of an axis, and its transpose (AD.2), without atomics.
//
//   gather:        Y[o, p, i] = X[o, index[p], i]
//   scatter-add:   X[o, r, i] = sum over p with index[p] = r of Y[o, p, i]
//
// X [outer, of, inner], Y [outer, count, inner]; r < of is checked where the
// index is made.
//
// Adding to X from each p needs atomics, whose order is the schedule's. Here
// each element of X collects its own terms:
//
//   version   an element of X reads
//   scan      the whole index
//   listed    its own places: order[first[r]] .. order[first[r + 1]], ascending,
//             which the host has listed once for each index (a counting sort)
//
// Both add in ascending p, which is the CPU's order: the bits are the same.
// One thread an element of the result; 8 bytes an element of Y and 4 of the
// index, and as many additions as there are places.

extern "C" __global__ void gather(float* y, const float* x, const unsigned* index, unsigned outer,
                                  unsigned count, unsigned of, unsigned inner) {
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= outer * count * inner) return;
    unsigned i = e % inner, p = e / inner % count, o = e / inner / count;
    y[e] = x[((size_t)o * of + index[p]) * inner + i];
}

extern "C" __global__ void scatter_add_scan(float* x, const float* y, const unsigned* index,
                                            unsigned outer, unsigned count, unsigned of,
                                            unsigned inner) {
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= outer * of * inner) return;
    unsigned i = e % inner, r = e / inner % of, o = e / inner / of;
    float sum = 0.0f;
    for (unsigned p = 0; p < count; p++)
        if (index[p] == r) sum += y[((size_t)o * count + p) * inner + i];
    x[e] = sum;
}

extern "C" __global__ void scatter_add_listed(float* x, const float* y, const unsigned* first,
                                              const unsigned* order, unsigned outer, unsigned count,
                                              unsigned of, unsigned inner) {
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= outer * of * inner) return;
    unsigned i = e % inner, r = e / inner % of, o = e / inner / of;
    float sum = 0.0f;
    for (unsigned at = first[r]; at < first[r + 1]; at++)
        sum += y[((size_t)o * count + order[at]) * inner + i];
    x[e] = sum;
}
