// A dense layer with SiLU in one pass (AD.5), and its pull (AD.4).
//
//   z = x W + b,   h = silu(z) = z s(z)            s(z) = 1 / (1 + e^-z)
//   z_bar = h_bar (s(z) + h (1 - s(z)))            (the slope on the formula sheet)
//   b_bar = sum over rows of z_bar
//
// x [rows, inputs], W [inputs, outputs], b [outputs], z and h [rows, outputs].
//
//   version   launches   bytes beyond x and W
//   composed  3          product written, read; sum written, read; h written
//   fused     1          z and h written
//
// The product is that of tile.cuh, 256 threads a block; 2 rows inputs outputs
// operations, twice that in the pull.

extern "C" __global__ void __launch_bounds__(256)
    linear_silu(float* z, float* h, const float* x, const float* w, const float* b, unsigned rows,
                unsigned inputs, unsigned outputs) {
    Tile tile = tile_product(x, w, rows, outputs, inputs);
    unsigned row0 = blockIdx.y * TILE + threadIdx.x / 16 * 4;
    unsigned column0 = blockIdx.x * TILE + threadIdx.x % 16 * 4;
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 4; j++)
            if (row0 + i < rows && column0 + j < outputs) {
                size_t at = (size_t)(row0 + i) * outputs + column0 + j;
                float sum = tile.sum[i][j] + b[column0 + j];
                z[at] = sum;
                h[at] = sum * fg_sigmoid(sum);
            }
}

// z <- z + b, h <- silu(z), behind a product of cuBLAS: one thread an element.
extern "C" __global__ void bias_silu(float* z, float* h, const float* b, unsigned n, unsigned outputs) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = z[i] + b[i % outputs];
    z[i] = sum;
    h[i] = sum * fg_sigmoid(sum);
}

// z_bar and the first stage of b_bar: block (32, 8) takes 32 columns and
// `share` rows; sums is [blocks along y, outputs].
extern "C" __global__ void silu_pull(float* z_bar, float* sums, const float* h_bar, const float* z,
                                     const float* h, unsigned rows, unsigned outputs, unsigned share) {
    __shared__ float partial[8][32];
    unsigned column = blockIdx.x * 32 + threadIdx.x;
    unsigned begin = blockIdx.y * share, end = min(rows, begin + share);
    float sum = 0.0f;
    if (column < outputs)
        for (unsigned row = begin + threadIdx.y; row < end; row += 8) {
            size_t at = (size_t)row * outputs + column;
            float s = fg_sigmoid(z[at]);
            float bar = h_bar[at] * (s + h[at] * (-s + 1.0f));
            z_bar[at] = bar;
            sum += bar;
        }
    partial[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || column >= outputs) return;
    for (unsigned i = 1; i < 8; i++) sum += partial[i][threadIdx.x];
    sums[(size_t)blockIdx.y * outputs + column] = sum;
}
