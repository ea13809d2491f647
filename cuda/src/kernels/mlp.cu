// A narrow velocity network, whole, for a tile of rows (CU.4).
//
//   h^0 = (x, s),   h^(i+1) = silu(h^i W^i + b^i),   v = h^L W^L + b^L
//
// x [rows, d] and s [rows, q] (or [1, q], the same for all) are what goes in,
// points and features of the time; L hidden layers of WIDTH (32, 64 or 128);
// v [rows, outputs]. d + q and outputs are at most WIDTH. The parameters lie
// flat, W^0, b^0, W^1, ..., each W^i [inputs, outputs] row-major.
//
// 2 ((d + q) WIDTH + (L - 1) WIDTH^2 + WIDTH outputs) operations a row. What
// is left of the bytes when nothing between the layers is written: 4 (d + q)
// in and 4 outputs out a row, and the weights once a block, from the caches.
//
//   version   launches   activations     bytes a row and layer   products
//   layers    L + 1      device memory   12 WIDTH                dense.cu
//   shared    1          shared memory   0                       fmaf, the bits of `layers`
//   tensor    1          registers       0                       bfloat16 on tensor cores
//
// `tensor` rests on a coincidence of mma.cuh: a lane holds of the sums C just
// the places that it must hold of the next factor A, so layers are chained
// without any lane talking to another. A warp takes 16 rows, a block of 128
// threads 64; of `shared` 256 threads take 64. The weights are
// put in the order of the fragments once (`mlp_pack`), so that a lane reads
// those of two instructions as 16 bytes, and a warp 512 neighbouring ones.

#define FRAGMENTS (WIDTH * WIDTH / 2) // words of a layer's weights
#define LAYER (FRAGMENTS + WIDTH)     // and with its bias

// 256 threads for 64 rows; a thread has 4 rows and WIDTH / 16 columns, as in
// tile.cuh, and adds in the same order.
#define EACH (WIDTH / 16)

extern "C" __global__ void __launch_bounds__(256)
    mlp_shared(float* v, const float* x, const float* features, const float* parameters,
               unsigned rows, unsigned d, unsigned q, unsigned step, unsigned layers,
               unsigned outputs) {
    __shared__ float h[64][WIDTH + 1]; // +1 spreads the banks
    __shared__ float w[16][WIDTH];
    Shape s = {rows, d, q, step, layers, outputs};
    unsigned row0 = blockIdx.x * 64, down = threadIdx.x / 16 * 4, right = threadIdx.x % 16 * EACH;
    for (unsigned e = threadIdx.x; e < 64 * WIDTH; e += 256)
        h[e / WIDTH][e % WIDTH] = input(x, features, s, row0 + e / WIDTH, e % WIDTH);
    for (unsigned layer = 0; layer <= layers; layer++) {
        unsigned depth = depth_of(s, layer), across = across_of(s, layer);
        float sum[4][EACH] = {};
        for (unsigned k0 = 0; k0 < depth; k0 += 16) {
            __syncthreads(); // h is written, and w no longer read
            for (unsigned e = threadIdx.x; e < 16 * WIDTH; e += 256) {
                unsigned k = k0 + e / WIDTH, column = e % WIDTH;
                w[e / WIDTH][column] =
                    k < depth && column < across ? parameters[k * across + column] : 0.0f;
            }
            __syncthreads();
            for (unsigned l = 0; l < 16; l++)
#pragma unroll
                for (unsigned i = 0; i < 4; i++)
#pragma unroll
                    for (unsigned j = 0; j < EACH; j++)
                        sum[i][j] = fmaf(h[down + i][k0 + l], w[l][right + j], sum[i][j]);
        }
        __syncthreads(); // h is no longer read
        const float* bias = parameters + depth * across;
#pragma unroll
        for (unsigned i = 0; i < 4; i++)
#pragma unroll
            for (unsigned j = 0; j < EACH; j++) {
                unsigned row = row0 + down + i, column = right + j;
                if (column >= across) continue;
                float z = sum[i][j] + bias[column];
                if (layer < layers)
                    h[down + i][column] = z * fg_sigmoid(z);
                else if (row < rows)
                    v[(size_t)row * outputs + column] = z;
            }
        parameters = bias + across;
    }
}

// Weights as pairs in the order in which lanes take them, and biases; zeros
// beyond the edges. One thread a word of [layers + 1, LAYER].
//
//   word (j, i, lane, p) of a layer: register p % 2 of B, for columns 8j.. and
//   rows 32i + 16 (p / 2) .., of this lane
extern "C" __global__ void mlp_pack(unsigned* packed, const float* parameters, unsigned inputs,
                                    unsigned layers, unsigned outputs) {
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= (layers + 1) * LAYER) return;
    unsigned layer = e / LAYER, word = e % LAYER;
    unsigned depth = layer == 0 ? inputs : WIDTH, across = layer == layers ? outputs : WIDTH;
    const float* w = parameters;
    if (layer > 0) w += (inputs + 1) * WIDTH + (layer - 1) * (WIDTH + 1) * WIDTH;
    if (word >= FRAGMENTS) {
        unsigned column = word - FRAGMENTS;
        packed[e] = __float_as_uint(column < across ? w[depth * across + column] : 0.0f);
        return;
    }
    unsigned p = word % 4, lane = word / 4 % 32, i = word / 128 % (WIDTH / 32), j = word / (4 * WIDTH);
    unsigned row = 32 * i + 16 * (p / 2) + 8 * (p % 2) + 2 * (lane % 4), column = 8 * j + lane / 4;
    bool there = column < across;
    float low = there && row < depth ? w[row * across + column] : 0.0f;
    float high = there && row + 1 < depth ? w[(row + 1) * across + column] : 0.0f;
    packed[e] = fg_bf16_pair(low, high);
}

// 128 threads, four warps of 16 rows each.
extern "C" __global__ void __launch_bounds__(128)
    mlp_tensor(float* v, const float* x, const float* features, const unsigned* packed,
               unsigned rows, unsigned d, unsigned q, unsigned step, unsigned layers,
               unsigned outputs) {
    Shape s = {rows, d, q, step, layers, outputs};
    unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    unsigned row0 = (blockIdx.x * 4 + threadIdx.x / 32) * 16;
    if (row0 >= rows) return; // a whole warp
    unsigned a[WIDTH / 16][4];
#pragma unroll
    for (unsigned i = 0; i < WIDTH / 16; i++)
#pragma unroll
        for (unsigned p = 0; p < 4; p++) {
            unsigned row = row0 + g + p % 2 * 8, column = 16 * i + 2 * t + p / 2 * 8;
            a[i][p] = fg_bf16_pair(input(x, features, s, row, column),
                                   input(x, features, s, row, column + 1));
        }
    for (unsigned layer = 0; layer <= layers; layer++) {
        unsigned depth = depth_of(s, layer), across = across_of(s, layer);
        const uint4* weights = (const uint4*)(packed + layer * LAYER);
        const float2* bias = (const float2*)(packed + layer * LAYER + FRAGMENTS);
        float c[WIDTH / 8][4];
#pragma unroll
        for (unsigned j = 0; j < WIDTH / 8; j++) {
            float2 b = bias[4 * j + t];
            c[j][0] = c[j][2] = b.x;
            c[j][1] = c[j][3] = b.y;
            if (8 * j >= across) continue;
#pragma unroll
            for (unsigned i = 0; i < WIDTH / 32; i++) {
                if (32 * i >= depth) continue;
                uint4 w = weights[(j * (WIDTH / 32) + i) * 32 + lane];
                const unsigned first[2] = {w.x, w.y}, second[2] = {w.z, w.w};
                mma_bf16(c[j], a[2 * i], first);
                mma_bf16(c[j], a[2 * i + 1], second);
            }
        }
        if (layer == layers) {
#pragma unroll
            for (unsigned j = 0; j < WIDTH / 8; j++)
#pragma unroll
                for (unsigned p = 0; p < 4; p++) {
                    unsigned row = row0 + g + p / 2 * 8, column = 8 * j + 2 * t + p % 2;
                    if (row < rows && column < outputs) v[(size_t)row * outputs + column] = c[j][p];
                }
            return;
        }
#pragma unroll
        for (unsigned j = 0; j < WIDTH / 8; j++) {
#pragma unroll
            for (unsigned p = 0; p < 4; p++) c[j][p] = c[j][p] * fg_sigmoid(c[j][p]);
            // Columns 8j .. of the sums are columns 16 (j / 2) + 8 (j % 2) .. of A.
            a[j / 2][j % 2 * 2] = fg_bf16_pair(c[j][0], c[j][1]);
            a[j / 2][j % 2 * 2 + 1] = fg_bf16_pair(c[j][2], c[j][3]);
        }
    }
}
