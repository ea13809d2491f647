// A 64 x 64 tile of a product, by a block of 256 threads: the heart of
// matmul.cu (`matmul_blocked`) and of dense.cu.
//
// Each thread keeps a 4 x 4 part of the tile in registers. For each of 16
// steps of k that lie in shared memory it reads 4 + 4 numbers and does 16
// multiply-adds, where the simple tile reads 2 for each one.

#define TILE 64u
#define STEP 16u

struct Tile {
    float sum[4][4];
};

// rows from blockIdx.y, columns from blockIdx.x; A is [m, k], B is [k, n],
// row-major. Thread t holds rows 4 (t / 16) .. and columns 4 (t % 16) .. .
static __device__ __forceinline__ Tile tile_product(const float* a, const float* b, unsigned m,
                                                    unsigned n, unsigned k) {
    __shared__ float left[STEP][TILE + 1];  // transposed; +1 spreads the banks
    __shared__ float right[STEP][TILE];
    unsigned row0 = blockIdx.y * TILE, column0 = blockIdx.x * TILE;
    unsigned t = threadIdx.x, down = t / 16 * 4, across = t % 16 * 4;
    Tile tile;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) tile.sum[i][j] = 0.0f;
    for (unsigned k0 = 0; k0 < k; k0 += STEP) {
        // 1024 numbers of each factor, four a thread; zeros beyond the edges.
        for (unsigned e = t; e < TILE * STEP; e += 256) {
            unsigned row = row0 + e / STEP, at = k0 + e % STEP;
            left[e % STEP][e / STEP] = row < m && at < k ? a[(size_t)row * k + at] : 0.0f;
            unsigned column = column0 + e % TILE, of = k0 + e / TILE;
            right[e / TILE][e % TILE] = column < n && of < k ? b[(size_t)of * n + column] : 0.0f;
        }
        __syncthreads();
        for (unsigned s = 0; s < STEP; s++)
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++)
                    tile.sum[i][j] = fmaf(left[s][down + i], right[s][across + j], tile.sum[i][j]);
        __syncthreads();
    }
    return tile;
}
