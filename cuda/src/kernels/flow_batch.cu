// A batch for flow matching in one launch (FM.11), (FM.21).
//
//   x0 ~ N(0, I),  t ~ U[0, 1),  x1 = data[r], r uniform in the rows
//   x_t = (1 - t) x0 + t x1,     target = x1 - x0
//
// x0, x_t, target [batch, d]; t [batch]; data [rows, d]. Time 0 is noise.
// Number e of x0 (row-major) is the normal number at place e of its draw; t and
// r of row b are at place b of theirs. Seed, streams and the step come from
// device memory, so that a recorded graph draws a new batch at each replay
// (`flow_advance` counts the steps).
//
// Read: 4 d bytes a row; written: 12 d + 8 bytes a row. One evaluation of
// Philox makes four words:
//
//   version   a thread makes          evaluations of Philox for a row
//   element   one element of a row    3 d
//   four      four, from one block    d/4 for x0, and 2 for each row that the
//                                     four elements touch
//
// The bits are the same, and those of `Philox` on the CPU. Ten rounds of Philox
// are some 60 operations on whole numbers, a pair of normal numbers some 60
// more.

struct FlowDraw {
    unsigned long long seed;
    unsigned noise, time, data, step;
};

extern "C" __global__ void flow_advance(FlowDraw* s) { s->step += 1; }

// Time and row of a sample.
struct Sample {
    float t;
    unsigned row;
};

static __device__ __forceinline__ Sample sample_of(const FlowDraw& s, unsigned b, unsigned rows) {
    Sample sample;
    sample.t = unit(word_at(s.seed, s.time, s.step, b));
    sample.row = below_of(word_at(s.seed, s.data, s.step, b), rows);
    return sample;
}

struct FlowBatch {
    float *x0, *xt, *target, *t;
    unsigned* row;
};

static __device__ __forceinline__ void write_element(FlowBatch out, const float* data, Sample sample,
                                                     float noise, unsigned e, unsigned d) {
    unsigned b = e / d, j = e % d;
    float x1 = data[(size_t)sample.row * d + j];
    out.x0[e] = noise;
    out.xt[e] = (1.0f - sample.t) * noise + sample.t * x1;
    out.target[e] = x1 - noise;
    if (j == 0) {
        out.t[b] = sample.t;
        out.row[b] = sample.row;
    }
}

extern "C" __global__ void flow_batch_element(float* x0, float* xt, float* target, float* t,
                                              unsigned* row, const float* data, const FlowDraw* s,
                                              unsigned batch, unsigned d, unsigned rows) {
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= batch * d) return;
    FlowBatch out = {x0, xt, target, t, row};
    uint4 words = draw(s->seed, s->noise, s->step, e / 4);
    float2 z = e % 4 < 2 ? normals(words.x, words.y) : normals(words.z, words.w);
    write_element(out, data, sample_of(*s, e / d, rows), e % 2 == 0 ? z.x : z.y, e, d);
}

extern "C" __global__ void flow_batch_four(float* x0, float* xt, float* target, float* t,
                                           unsigned* row, const float* data, const FlowDraw* s,
                                           unsigned batch, unsigned d, unsigned rows) {
    unsigned block = blockIdx.x * blockDim.x + threadIdx.x, n = batch * d;
    if (block >= (n + 3) / 4) return;
    FlowBatch out = {x0, xt, target, t, row};
    uint4 words = draw(s->seed, s->noise, s->step, block);
    float2 first = normals(words.x, words.y), second = normals(words.z, words.w);
    unsigned at = block * 4 / d;
    Sample sample = sample_of(*s, at, rows);
    for (unsigned i = 0; i < 4; i++) {
        unsigned e = block * 4 + i;
        if (e >= n) return;
        if (e / d != at) {
            at = e / d;
            sample = sample_of(*s, at, rows);
        }
        float noise = i == 0 ? first.x : i == 1 ? first.y : i == 2 ? second.x : second.y;
        write_element(out, data, sample, noise, e, d);
    }
}

// Plain draws, for whoever needs noise alone: uniform or normal numbers at
// places first, first + 1, ... of a draw.
extern "C" __global__ void uniform_draw(float* x, unsigned long long seed, unsigned stream,
                                        unsigned step, unsigned long long first, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = unit(word_at(seed, stream, step, first + i));
}

extern "C" __global__ void normal_draw(float* x, unsigned long long seed, unsigned stream,
                                       unsigned step, unsigned long long first, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned long long place = first + i;
    uint4 words = draw(seed, stream, step, place / 4);
    float2 z = place % 4 < 2 ? normals(words.x, words.y) : normals(words.z, words.w);
    x[i] = place % 2 == 0 ? z.x : z.y;
}
