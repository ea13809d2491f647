// The product of two row-major matrices on tensor cores: the lesson of
// matmul.cu goes on (CU.3).
//
//   C_ij = sum_l A_il B_lj,      A [m, k],  B [k, n],  C [m, n]
//
// 2 m n k operations, at least 4 (mk + kn + mn) bytes. Factors are rounded on
// the way; sums stay in single precision, in an order that is the hardware's.
//
//   version   block, threads     A, B element read     factors        a warp's product
//   direct    16 x 8, 32         n/8, m/16 times       bfloat16       16 x 8, 1 instruction for 16 l
//   tf32      64 x 64, 128       n/64, m/64 times      11 bits        32 x 32, 8 instructions for 8 l
//   bf16      64 x 64, 128       n/64, m/64 times      bfloat16       32 x 32, 8 instructions for 16 l
//
// Where the register-blocked version of matmul.cu does one multiply-add an
// instruction and lane, an instruction of these does 32 or 64 a lane. So the
// time goes into bringing the factors: `direct` reads them in the shape of the
// fragments, a few bytes here and there; the others bring tiles to shared
// memory, with rows so long that the 32 lanes of a fragment meet 32 banks.
// cuBLAS adds copies that run ahead, and on Hopper the instruction of a whole
// warp group.

#define SIDE 64u  // rows and columns of a block's tile
#define DEPTH 16u // of l in shared memory at once

// A number of a row-major matrix, 0 beyond its edges.
static __device__ __forceinline__ float entry(const float* x, unsigned row, unsigned column,
                                              unsigned rows, unsigned columns) {
    return row < rows && column < columns ? x[(size_t)row * columns + column] : 0.0f;
}

// A fragment of C, whose first element is (row, column) for group 0 and lane 0.
static __device__ __forceinline__ void write_fragment(float* c, const float (&sum)[4], unsigned row,
                                                      unsigned column, unsigned m, unsigned n) {
    unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    for (unsigned i = 0; i < 4; i++) {
        unsigned r = row + g + i / 2 * 8, q = column + 2 * t + i % 2;
        if (r < m && q < n) c[(size_t)r * n + q] = sum[i];
    }
}

// One warp a fragment: the instruction and its layout, nothing else.
extern "C" __global__ void __launch_bounds__(32)
    tensor_direct(float* c, const float* a, const float* b, unsigned m, unsigned n, unsigned k) {
    unsigned row = blockIdx.y * 16, column = blockIdx.x * 8;
    unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (unsigned l = 0; l < k; l += 16) {
        unsigned left[4], right[2];
        for (unsigned i = 0; i < 4; i++) {
            unsigned r = row + g + i % 2 * 8, q = l + 2 * t + i / 2 * 8;
            left[i] = fg_bf16_pair(entry(a, r, q, m, k), entry(a, r, q + 1, m, k));
        }
        for (unsigned i = 0; i < 2; i++) {
            unsigned r = l + 2 * t + i * 8, q = column + g;
            right[i] = fg_bf16_pair(entry(b, r, q, k, n), entry(b, r + 1, q, k, n));
        }
        mma_bf16(sum, left, right);
    }
    write_fragment(c, sum, row, column, m, n);
}

// Four warps, two by two; each 2 fragments down and 4 across.
extern "C" __global__ void __launch_bounds__(128)
    tensor_tf32(float* c, const float* a, const float* b, unsigned m, unsigned n, unsigned k) {
    __shared__ unsigned left[SIDE][DEPTH + 4];  // bank of (g, t): 20 g + t
    __shared__ unsigned right[DEPTH][SIDE + 8]; // bank of (t, g): 8 t + g
    unsigned row0 = blockIdx.y * SIDE, column0 = blockIdx.x * SIDE;
    unsigned warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    unsigned down = warp / 2 * 32, across = warp % 2 * 32;
    float sum[2][4][4] = {};
    for (unsigned l0 = 0; l0 < k; l0 += DEPTH) {
        for (unsigned e = threadIdx.x; e < SIDE * DEPTH; e += 128) {
            unsigned r = e / DEPTH, q = e % DEPTH;
            left[r][q] = fg_tf32(entry(a, row0 + r, l0 + q, m, k));
            r = e / SIDE, q = e % SIDE;
            right[r][q] = fg_tf32(entry(b, l0 + r, column0 + q, k, n));
        }
        __syncthreads();
#pragma unroll
        for (unsigned l = 0; l < DEPTH; l += 8) {
            unsigned x[2][4], y[4][2];
#pragma unroll
            for (unsigned i = 0; i < 4; i++) {
                for (unsigned p = 0; p < 2; p++)
                    x[p][i] = left[down + 16 * p + g + i % 2 * 8][l + t + i / 2 * 4];
                for (unsigned h = 0; h < 2; h++) y[i][h] = right[l + t + h * 4][across + 8 * i + g];
            }
#pragma unroll
            for (unsigned p = 0; p < 2; p++)
                for (unsigned q = 0; q < 4; q++) mma_tf32(sum[p][q], x[p], y[q]);
        }
        __syncthreads();
    }
#pragma unroll
    for (unsigned p = 0; p < 2; p++)
        for (unsigned q = 0; q < 4; q++)
            write_fragment(c, sum[p][q], row0 + down + 16 * p, column0 + across + 8 * q, m, n);
}

// The same with numbers in pairs along l: half the shared memory, and twice
// the depth an instruction.
extern "C" __global__ void __launch_bounds__(128)
    tensor_bf16(float* c, const float* a, const float* b, unsigned m, unsigned n, unsigned k) {
    __shared__ unsigned left[SIDE][DEPTH + 4];  // [row][pair of l]
    __shared__ unsigned right[SIDE][DEPTH + 4]; // [column][pair of l]
    unsigned row0 = blockIdx.y * SIDE, column0 = blockIdx.x * SIDE;
    unsigned warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    unsigned down = warp / 2 * 32, across = warp % 2 * 32;
    float sum[2][4][4] = {};
    for (unsigned l0 = 0; l0 < k; l0 += 2 * DEPTH) {
        for (unsigned e = threadIdx.x; e < SIDE * DEPTH; e += 128) {
            unsigned r = row0 + e / DEPTH, l = l0 + 2 * (e % DEPTH);
            left[e / DEPTH][e % DEPTH] =
                fg_bf16_pair(entry(a, r, l, m, k), entry(a, r, l + 1, m, k));
            unsigned q = column0 + e % SIDE;
            l = l0 + 2 * (e / SIDE);
            right[e % SIDE][e / SIDE] =
                fg_bf16_pair(entry(b, l, q, k, n), entry(b, l + 1, q, k, n));
        }
        __syncthreads();
#pragma unroll
        for (unsigned l = 0; l < DEPTH; l += 8) {
            unsigned x[2][4], y[4][2];
#pragma unroll
            for (unsigned i = 0; i < 4; i++) {
                for (unsigned p = 0; p < 2; p++)
                    x[p][i] = left[down + 16 * p + g + i % 2 * 8][l + t + i / 2 * 4];
                for (unsigned h = 0; h < 2; h++) y[i][h] = right[across + 8 * i + g][l + t + h * 4];
            }
#pragma unroll
            for (unsigned p = 0; p < 2; p++)
                for (unsigned q = 0; q < 4; q++) mma_bf16(sum[p][q], x[p], y[q]);
        }
        __syncthreads();
    }
#pragma unroll
    for (unsigned p = 0; p < 2; p++)
        for (unsigned q = 0; q < 4; q++)
            write_fragment(c, sum[p][q], row0 + down + 16 * p, column0 + across + 8 * q, m, n);
}
