// Rounding an array to bfloat16 (CU.1), for products on tensor cores.
//
//   y_i = bf16(x_i)
//
// x and y [n], one thread an element; 4 bytes read and 2 written, so a warp reads 128
// neighbouring bytes and writes 64. A product of m n k operations on factors
// so rounded reads half the bytes it would read in single precision; the
// rounding itself costs 6 (mk + kn) bytes and four operations on whole
// numbers an element. One version: a number in, a number out, at the rate of
// memory already.

extern "C" __global__ void round_bf16(unsigned short* y, const float* x, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = (unsigned short)fg_bf16(x[i]);
}
