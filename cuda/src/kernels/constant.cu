// An array and one number (AD.1): 4 bytes read (but for `fill`) and 4 written
// an element, one operation; x and y [n], one thread an element.
//
//   fill: y_i = c      scale: y_i = c x_i      shift: y_i = x_i + c
//
// The number is an argument, where a printed kernel would hold it as a literal
// and be compiled anew for each. One version of each: a thread an element is at
// the rate of memory already.

extern "C" __global__ void fill(float* y, float c, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = c;
}

extern "C" __global__ void scale(float* y, const float* x, float c, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] * c;
}

extern "C" __global__ void shift(float* y, const float* x, float c, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] + c;
}
