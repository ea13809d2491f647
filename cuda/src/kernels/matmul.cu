// The product of two row-major matrices, C = A B (AD.4), as a lesson.
//
//   C_ij = sum_l A_il B_lj,      A [m, k],  B [k, n],  C [m, n]
//
// 2 m n k operations, at least 4 (mk + kn + mn) bytes. How often is each
// number read from device memory?
//
//   version   A element    B element    numbers read for a multiply-add
//   naive     n times      m times      2 from device memory (or its caches)
//   tiled     n/16 times   m/16 times   2 from shared memory
//   blocked   n/64 times   m/64 times   1/2 from shared memory
//
// Naive and tiled: 256 threads a block for 16 x 16 elements, one each; blocked:
// 256 threads for 64 x 64. Each sum runs over l from 0 upward with one rounding
// a step (fmaf), so all three versions have the same bits. The lesson goes on
// in matmul_tensor.cu; cuBLAS adds copies that run ahead and a choice of tiles
// by shape.

// One thread an element; block (16, 16).
extern "C" __global__ void matmul_naive(float* c, const float* a, const float* b, unsigned m,
                                        unsigned n, unsigned k) {
    unsigned row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
    if (row >= m || column >= n) return;
    float sum = 0.0f;
    for (unsigned l = 0; l < k; l++)
        sum = fmaf(a[(size_t)row * k + l], b[(size_t)l * n + column], sum);
    c[(size_t)row * n + column] = sum;
}

// A block (16, 16) brings 16 x 16 tiles of both factors to shared memory.
extern "C" __global__ void matmul_tiled(float* c, const float* a, const float* b, unsigned m,
                                        unsigned n, unsigned k) {
    __shared__ float left[16][16];
    __shared__ float right[16][16];
    unsigned row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
    float sum = 0.0f;
    for (unsigned l0 = 0; l0 < k; l0 += 16) {
        unsigned at = l0 + threadIdx.x, of = l0 + threadIdx.y;
        left[threadIdx.y][threadIdx.x] = row < m && at < k ? a[(size_t)row * k + at] : 0.0f;
        right[threadIdx.y][threadIdx.x] = column < n && of < k ? b[(size_t)of * n + column] : 0.0f;
        __syncthreads();
        for (unsigned l = 0; l < 16; l++)
            sum = fmaf(left[threadIdx.y][l], right[l][threadIdx.x], sum);
        __syncthreads();
    }
    if (row < m && column < n) c[(size_t)row * n + column] = sum;
}

// 256 threads for a 64 x 64 tile, 16 sums a thread: see tile.cuh.
extern "C" __global__ void __launch_bounds__(256)
    matmul_blocked(float* c, const float* a, const float* b, unsigned m, unsigned n, unsigned k) {
    Tile tile = tile_product(a, b, m, n, k);
    unsigned row0 = blockIdx.y * TILE + threadIdx.x / 16 * 4;
    unsigned column0 = blockIdx.x * TILE + threadIdx.x % 16 * 4;
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 4; j++)
            if (row0 + i < m && column0 + j < n)
                c[(size_t)(row0 + i) * n + column0 + j] = tile.sum[i][j];
}
