// Philox 4x32-10: random numbers as a function of where they are used (AD.14),
// (AD.15). Operation for operation `autograd/src/philox.rs`; the bits are the
// CPU's.

// Ten rounds on one counter.
static __device__ __forceinline__ uint4 philox(unsigned a, unsigned b, unsigned c, unsigned d,
                                               unsigned k0, unsigned k1) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned left_low = a * 0xD2511F53u, left_high = __umulhi(a, 0xD2511F53u);
        unsigned right_low = c * 0xCD9E8D57u, right_high = __umulhi(c, 0xCD9E8D57u);
        a = right_high ^ b ^ k0;
        b = right_low;
        c = left_high ^ d ^ k1;
        d = left_low;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    uint4 words;
    words.x = a;
    words.y = b;
    words.z = c;
    words.w = d;
    return words;
}

// The four words of block `index` of a draw.
static __device__ __forceinline__ uint4 draw(unsigned long long seed, unsigned stream, unsigned step,
                                             unsigned long long index) {
    return philox((unsigned)index, step, stream, (unsigned)(index >> 32), (unsigned)seed,
                  (unsigned)(seed >> 32));
}

// The word at a place of a draw.
static __device__ __forceinline__ unsigned word_at(unsigned long long seed, unsigned stream,
                                                   unsigned step, unsigned long long place) {
    uint4 words = draw(seed, stream, step, place / 4);
    unsigned which = (unsigned)(place % 4);
    return which == 0 ? words.x : which == 1 ? words.y : which == 2 ? words.z : words.w;
}

// To [0, 1): the top 24 bits.
static __device__ __forceinline__ float unit(unsigned word) {
    return (float)(word >> 8) * (1.0f / 16777216.0f);
}

// To a whole number below `below`.
static __device__ __forceinline__ unsigned below_of(unsigned word, unsigned below) {
    return __umulhi(word, below);
}

// Two words to two independent normal numbers, by Box and Muller.
static __device__ __forceinline__ float2 normals(unsigned even, unsigned odd) {
    float u1 = (float)((even >> 8) + 1u) * (1.0f / 16777216.0f);
    float radius = sqrtf(-2.0f * fg_ln(u1));
    float2 turn = sin_cos_turns(unit(odd));
    float2 both;
    both.x = radius * turn.y;
    both.y = radius * turn.x;
    return both;
}
