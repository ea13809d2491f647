// The pull of a narrow network (CU.5): slopes by the parameters and by what goes
// in, of sum over rows of <v_bar, v>.
//
//   z^i = h^i W^i + b^i,    h^(i+1) = silu(z^i)
//   delta^L = v_bar,        delta^(i-1) = (delta^i W^i^T) silu'(z^(i-1))
//   W_bar^i = sum over rows of h^i delta^i,   b_bar^i = sum over rows of delta^i
//   (x, s)_bar = delta^0 W^0^T
//
// x [rows, d], s [rows, q], v_bar [rows, outputs], inputs_bar [rows, d + q];
// sums [blocks, parameters], flat as the parameters are. WIDTH, HIDDEN layers
// and ROWS of a tile are known when this is compiled; a block of 256 threads
// takes `tiles` tiles one after the other.
//
// Nothing is kept from the forward pass: a tile computes its z again and holds
// them in shared memory, (HIDDEN + 2) ROWS (WIDTH + 1) numbers in all. Three
// times the operations of the forward pass, and a third more for the repetition.
//
//   what           bytes
//   layer by layer some 44 WIDTH a row and hidden layer
//   here           4 (d + q + outputs) in and 4 (d + q) out a row, and 8 a
//                  parameter and tile, which stay in the cache
//
// No atomics: a block adds its tiles in order, each number by one thread, and a
// second stage adds the blocks (column_sums in reduce.cu).

#define EACH (ROWS * WIDTH / 256) // elements of a tile that a thread has
#define ACROSS (EACH < 4 ? EACH : 4)
#define DOWN (EACH / ACROSS)

struct Tiles {
    float z[HIDDEN][ROWS][WIDTH + 1];
    float h[ROWS][WIDTH + 1];
    float delta[ROWS][WIDTH + 1];
    float w[16][WIDTH + 1];
};

// Where the weights of a layer begin; its bias lies behind them.
static __device__ __forceinline__ unsigned begin_of(const Shape& s, unsigned layer) {
    return layer == 0 ? 0 : (s.d + s.q + 1) * WIDTH + (layer - 1) * (WIDTH + 1) * WIDTH;
}

// h <- what layer `layer` gets; all threads come.
static __device__ __forceinline__ void bring(Tiles& tiles, const float* x, const float* features,
                                             const Shape& s, unsigned row0, unsigned layer) {
    for (unsigned e = threadIdx.x; e < ROWS * WIDTH; e += 256) {
        unsigned r = e / WIDTH, column = e % WIDTH;
        if (layer == 0) {
            tiles.h[r][column] = input(x, features, s, row0 + r, column);
        } else {
            float z = tiles.z[layer - 1][r][column];
            tiles.h[r][column] = z * fg_sigmoid(z);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
    mlp_pull(float* sums, float* inputs_bar, const float* x, const float* features,
             const float* parameters, const float* v_bar, unsigned rows, unsigned d, unsigned q,
             unsigned step, unsigned outputs, unsigned count) {
    __shared__ Tiles tiles;
    Shape s = {rows, d, q, step, HIDDEN, outputs};
    unsigned down = threadIdx.x / (WIDTH / ACROSS) * DOWN;
    unsigned right = threadIdx.x % (WIDTH / ACROSS) * ACROSS;
    sums += (size_t)blockIdx.x * (begin_of(s, HIDDEN) + (WIDTH + 1) * outputs);
    for (unsigned tile = 0; tile < count; tile++) {
        unsigned row0 = (blockIdx.x * count + tile) * ROWS;
        // Forward: z of every hidden layer.
        for (unsigned layer = 0; layer < HIDDEN; layer++) {
            unsigned depth = depth_of(s, layer);
            const float* w = parameters + begin_of(s, layer);
            bring(tiles, x, features, s, row0, layer);
            float sum[DOWN][ACROSS] = {};
            for (unsigned k0 = 0; k0 < depth; k0 += 16) {
                for (unsigned e = threadIdx.x; e < 16 * WIDTH; e += 256) {
                    unsigned k = k0 + e / WIDTH, column = e % WIDTH;
                    tiles.w[e / WIDTH][column] = k < depth ? w[k * WIDTH + column] : 0.0f;
                }
                __syncthreads();
                for (unsigned l = 0; l < 16; l++)
#pragma unroll
                    for (unsigned i = 0; i < DOWN; i++)
#pragma unroll
                        for (unsigned j = 0; j < ACROSS; j++)
                            sum[i][j] = fmaf(tiles.h[down + i][k0 + l], tiles.w[l][right + j], sum[i][j]);
                __syncthreads();
            }
#pragma unroll
            for (unsigned i = 0; i < DOWN; i++)
#pragma unroll
                for (unsigned j = 0; j < ACROSS; j++)
                    tiles.z[layer][down + i][right + j] = sum[i][j] + w[depth * WIDTH + right + j];
            __syncthreads();
        }
        // Backward, from the cotangent of the result.
        for (unsigned e = threadIdx.x; e < ROWS * WIDTH; e += 256) {
            unsigned row = row0 + e / WIDTH, column = e % WIDTH;
            bool there = row < rows && column < outputs;
            tiles.delta[e / WIDTH][column] = there ? v_bar[(size_t)row * outputs + column] : 0.0f;
        }
        for (unsigned layer = HIDDEN + 1; layer-- > 0;) {
            unsigned depth = depth_of(s, layer), across = across_of(s, layer);
            const float* w = parameters + begin_of(s, layer);
            float* w_bar = sums + begin_of(s, layer);
            float* b_bar = w_bar + depth * across;
            bring(tiles, x, features, s, row0, layer);
            __syncthreads();
            // W_bar, four by four; whoever has written an element adds to it.
            for (unsigned part = threadIdx.x; part < WIDTH * WIDTH / 16; part += 256) {
                unsigned k0 = part / (WIDTH / 4) * 4, c0 = part % (WIDTH / 4) * 4;
                if (k0 >= depth || c0 >= across) continue;
                float sum[4][4] = {};
                for (unsigned r = 0; r < ROWS; r++)
#pragma unroll
                    for (unsigned i = 0; i < 4; i++)
#pragma unroll
                        for (unsigned j = 0; j < 4; j++)
                            sum[i][j] = fmaf(tiles.h[r][k0 + i], tiles.delta[r][c0 + j], sum[i][j]);
#pragma unroll
                for (unsigned i = 0; i < 4; i++)
#pragma unroll
                    for (unsigned j = 0; j < 4; j++)
                        if (k0 + i < depth && c0 + j < across) {
                            float* own = w_bar + (k0 + i) * across + c0 + j;
                            *own = tile == 0 ? sum[i][j] : *own + sum[i][j];
                        }
            }
            if (threadIdx.x < across) {
                float sum = 0.0f;
                for (unsigned r = 0; r < ROWS; r++) sum += tiles.delta[r][threadIdx.x];
                b_bar[threadIdx.x] = tile == 0 ? sum : b_bar[threadIdx.x] + sum;
            }
            // delta W^T, and the slope of what stands before it.
            float sum[DOWN][ACROSS] = {};
            for (unsigned c0 = 0; c0 < across; c0 += 16) {
                __syncthreads(); // w is no longer read
                for (unsigned e = threadIdx.x; e < 16 * WIDTH; e += 256) {
                    unsigned k = e / 16, column = c0 + e % 16;
                    tiles.w[e % 16][k] = k < depth && column < across ? w[k * across + column] : 0.0f;
                }
                __syncthreads();
                for (unsigned l = 0; l < 16; l++)
#pragma unroll
                    for (unsigned i = 0; i < DOWN; i++)
#pragma unroll
                        for (unsigned j = 0; j < ACROSS; j++)
                            sum[i][j] = fmaf(tiles.delta[down + i][c0 + l], tiles.w[l][right + j], sum[i][j]);
            }
            __syncthreads(); // delta and h are no longer read
#pragma unroll
            for (unsigned i = 0; i < DOWN; i++)
#pragma unroll
                for (unsigned j = 0; j < ACROSS; j++) {
                    unsigned row = row0 + down + i, column = right + j;
                    if (layer == 0) {
                        if (row < rows && column < depth) inputs_bar[(size_t)row * depth + column] = sum[i][j];
                    } else {
                        float z = tiles.z[layer - 1][down + i][column];
                        float sigmoid = fg_sigmoid(z);
                        // The slope on the formula sheet, s + h (1 - s).
                        float slope = sigmoid + z * sigmoid * (-sigmoid + 1.0f);
                        tiles.delta[down + i][column] = sum[i][j] * slope;
                    }
                }
            __syncthreads();
        }
    }
}
