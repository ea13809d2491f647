// Sums (AD.2) in two stages: each block sums its share, then one block sums the
// sums.
//
//   s = sum_i x_i,          c_j = sum_i X_ij
//
// x [n], X [rows, columns].
//
// No atomics: the order of additions depends on n alone, so the bits do not
// depend on the schedule. 4n bytes are read, n additions: the floor is the
// time to read x once.
//
//   version   block                                     barriers a block
//   serial    one thread, one running sum               0
//   tree      halves the number of sums in shared memory 8
//   shuffle   the same inside warps, through registers  1
//
// Threads 256 a block; a block's share is `share` elements, which a thread
// takes 256 apart, so that a warp reads 128 neighbouring bytes at once.

#define THREADS 256u

// The whole sum by one thread: the definition.
extern "C" __global__ void sum_serial(float* sums, const float* x, unsigned n, unsigned share) {
    unsigned begin = blockIdx.x * share, end = min(n, begin + share);
    float sum = 0.0f;
    for (unsigned i = begin; i < end; i++) sum += x[i];
    sums[blockIdx.x] = sum;
}

static __device__ __forceinline__ float share_sum(const float* x, unsigned n, unsigned share) {
    unsigned begin = blockIdx.x * share, end = min(n, begin + share);
    float sum = 0.0f;
    for (unsigned i = begin + threadIdx.x; i < end; i += THREADS) sum += x[i];
    return sum;
}

extern "C" __global__ void sum_tree(float* sums, const float* x, unsigned n, unsigned share) {
    __shared__ float partial[THREADS];
    partial[threadIdx.x] = share_sum(x, n, share);
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = partial[0];
}

extern "C" __global__ void sum_shuffle(float* sums, const float* x, unsigned n, unsigned share) {
    __shared__ float partial[THREADS / 32];
    float sum = share_sum(x, n, share);
    for (unsigned half = 16; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffffu, sum, half);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    sum = threadIdx.x < THREADS / 32 ? partial[threadIdx.x] : 0.0f;
    for (unsigned half = THREADS / 64; half > 0; half /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, half);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// The sum of each column of X, [rows, columns]: block (32, 8) takes 32 columns
// and `share` rows; sums is [blocks along y, columns].
extern "C" __global__ void column_sums(float* sums, const float* x, unsigned rows, unsigned columns,
                                       unsigned share) {
    __shared__ float partial[8][32];
    unsigned column = blockIdx.x * 32 + threadIdx.x;
    unsigned begin = blockIdx.y * share, end = min(rows, begin + share);
    float sum = 0.0f;
    if (column < columns)
        for (unsigned row = begin + threadIdx.y; row < end; row += 8)
            sum += x[(size_t)row * columns + column];
    partial[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || column >= columns) return;
    for (unsigned i = 1; i < 8; i++) sum += partial[i][threadIdx.x];
    sums[(size_t)blockIdx.y * columns + column] = sum;
}

// The sum along the middle axis of X, [outer, n, inner]: one thread a result.
extern "C" __global__ void sum_axis(float* sums, const float* x, unsigned outer, unsigned n,
                                    unsigned inner) {
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= outer * inner) return;
    const float* from = x + (size_t)(i / inner) * n * inner + i % inner;
    float sum = 0.0f;
    for (unsigned k = 0; k < n; k++) sum += from[(size_t)k * inner];
    sums[i] = sum;
}
