// Windows of an image as rows of a matrix, and its transpose: convolution by
// one product (AD.60).
//
//   unfold:  U[b, y, x, c, i, j] = X[b, c, y s - p + i, x s - p + j], 0 outside
//   conv:    out = U W,  U [batch oh ow, channels kh kw],  W [channels kh kw, filters]
//   fold:    X[b, c, v, u] = sum over the windows that see (v, u) of U
//
// X [batch, channels, height, width]; step s, zeros p around the image. A
// number of X is read up to (kh kw / s^2) times and U is as many times larger:
// the price of doing the rest by the fastest product there is. One version of
// each: a number is moved once, and the next step would be not to write U at all,
// in a product of one's own in place of cuBLAS's.
//
// Fold adds without atomics: each element of X looks for its windows, in
// ascending order of (y, x). One thread an element of the result; 8 bytes an
// element of U, 4 of X; the product does 2 batch oh ow channels kh kw filters
// operations.

struct Windows {
    unsigned batch, channels, height, width, kernel_height, kernel_width, step, margin, oh, ow;
};

extern "C" __global__ void unfold(float* u, const float* x, unsigned batch, unsigned channels,
                                  unsigned height, unsigned width, unsigned kernel_height,
                                  unsigned kernel_width, unsigned step, unsigned margin, unsigned oh, unsigned ow) {
    Windows w = {batch, channels, height, width, kernel_height, kernel_width, step, margin, oh, ow};
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned columns = w.channels * w.kernel_height * w.kernel_width;
    if (e >= w.batch * w.oh * w.ow * columns) return;
    unsigned j = e % w.kernel_width, i = e / w.kernel_width % w.kernel_height;
    unsigned c = e / (w.kernel_width * w.kernel_height) % w.channels;
    unsigned place = e / columns;
    unsigned at_x = place % w.ow, at_y = place / w.ow % w.oh, b = place / w.ow / w.oh;
    // Left of the image the difference wraps, and is larger than any extent.
    unsigned row = at_y * w.step + i - w.margin, column = at_x * w.step + j - w.margin;
    bool inside = row < w.height && column < w.width;
    u[e] = inside ? x[(((size_t)b * w.channels + c) * w.height + row) * w.width + column] : 0.0f;
}

extern "C" __global__ void fold(float* x, const float* u, unsigned batch, unsigned channels,
                                unsigned height, unsigned width, unsigned kernel_height,
                                unsigned kernel_width, unsigned step, unsigned margin, unsigned oh, unsigned ow) {
    Windows w = {batch, channels, height, width, kernel_height, kernel_width, step, margin, oh, ow};
    unsigned e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= w.batch * w.channels * w.height * w.width) return;
    unsigned column = e % w.width + w.margin, row = e / w.width % w.height + w.margin;
    unsigned c = e / (w.width * w.height) % w.channels, b = e / (w.width * w.height) / w.channels;
    float sum = 0.0f;
    for (unsigned y = 0; y < w.oh; y++) {
        unsigned i = row - y * w.step;
        if (i >= w.kernel_height) continue;
        for (unsigned at = 0; at < w.ow; at++) {
            unsigned j = column - at * w.step;
            if (j >= w.kernel_width) continue;
            size_t place = ((size_t)b * w.oh + y) * w.ow + at;
            sum += u[((place * w.channels + c) * w.kernel_height + i) * w.kernel_width + j];
        }
    }
    x[e] = sum;
}
