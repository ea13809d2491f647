// What the kernels of a narrow network share (mlp.cu, mlp_pull.cu): its extents
// and what goes in.

struct Shape {
    unsigned rows, d, q, step, layers, outputs;
};

// Rows and columns of a layer's weights.
static __device__ __forceinline__ unsigned depth_of(const Shape& s, unsigned layer) {
    return layer == 0 ? s.d + s.q : WIDTH;
}
static __device__ __forceinline__ unsigned across_of(const Shape& s, unsigned layer) {
    return layer == s.layers ? s.outputs : WIDTH;
}

// What goes in, 0 beyond its edges.
static __device__ __forceinline__ float input(const float* x, const float* features, const Shape& s,
                                              unsigned row, unsigned column) {
    if (row >= s.rows || column >= s.d + s.q) return 0.0f;
    return column < s.d ? x[(size_t)row * s.d + column]
                        : features[(size_t)row * s.step + column - s.d];
}
