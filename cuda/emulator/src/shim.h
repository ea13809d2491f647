// CUDA C for a C++ compiler: what a kernel may use, in terms of the emulator.
//
// A kernel's own text follows this one unchanged. What is not here, atomics
// above all, does not compile, so no kernel can come to depend on it unseen.

#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>

// For the few places where a kernel must say an instruction by its name.
#define CUDA_EMULATED

#define EMULATED_EXPORT __attribute__((visibility("default")))
#define EMULATED_PLAIN __attribute__((no_sanitize("thread")))

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }

// Filled in by the emulator before each thread runs.
struct Emulated {
    uint3 thread, block;
    dim3 block_extent, grid_extent;
    void (*barrier)(int line);
    void (*warp_barrier)(int line, unsigned mask);
    const unsigned* (*exchange)(int line, unsigned mask, unsigned value);
    void (*access)(const void* address, size_t bytes, int writes);
    void (*misaligned)(size_t bytes);
};
extern "C" EMULATED_EXPORT Emulated emulated;
Emulated emulated;

#define threadIdx emulated.thread
#define blockIdx emulated.block
#define blockDim emulated.block_extent
#define gridDim emulated.grid_extent
#define warpSize 32

#define __global__ EMULATED_EXPORT
#define __device__
#define __forceinline__ inline
#define __constant__ const
#define __launch_bounds__(...)
// A block's own memory: one block runs at a time, and the emulator fills the
// section with NaN before each.
#define __shared__ static __attribute__((section("emulated_shared")))
extern "C" EMULATED_EXPORT char* emulated_shared_begin();
extern "C" EMULATED_EXPORT char* emulated_shared_end();
static __attribute__((section("emulated_shared"), used)) unsigned emulated_shared_anchor = 0;
extern char __start_emulated_shared[] __attribute__((visibility("hidden")));
extern char __stop_emulated_shared[] __attribute__((visibility("hidden")));
char* emulated_shared_begin() { return __start_emulated_shared; }
char* emulated_shared_end() { return __stop_emulated_shared; }

// The image of this library, whose constants may be read.
extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));
extern "C" EMULATED_EXPORT char* emulated_image_begin() { return __ehdr_start; }
extern "C" EMULATED_EXPORT char* emulated_image_end() { return _end; }

#define __syncthreads() emulated.barrier(__LINE__)
#define __syncwarp(...) emulated.warp_barrier(__LINE__, emulated_mask(__VA_ARGS__))
EMULATED_PLAIN inline unsigned emulated_mask(unsigned mask = 0xffffffffu) { return mask; }

template <class To, class From> EMULATED_PLAIN inline To emulated_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "as many bits");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
inline int __float_as_int(float x) { return emulated_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
inline float __int_as_float(int x) { return emulated_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulated_bits<long long>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)(((unsigned long long)a * b) >> 32);
}

// Lanes are numbered along x first, as the hardware does.
EMULATED_PLAIN inline unsigned emulated_lane() {
    const dim3& e = emulated.block_extent;
    const uint3& t = emulated.thread;
    return (t.x + e.x * (t.y + e.y * t.z)) & 31u;
}
template <class T> EMULATED_PLAIN inline T emulated_shuffle(int line, unsigned mask, T value, unsigned from) {
    const unsigned* lanes = emulated.exchange(line, mask, emulated_bits<unsigned>(value));
    return emulated_bits<T>(lanes[from & 31u]);
}
#define __shfl_sync(mask, value, lane) emulated_shuffle(__LINE__, mask, value, lane)
#define __shfl_xor_sync(mask, value, lanes) \
    emulated_shuffle(__LINE__, mask, value, emulated_lane() ^ (unsigned)(lanes))
// Beyond the last lane a thread gets its own value back.
#define __shfl_down_sync(mask, value, by)              \
    emulated_shuffle(__LINE__, mask, value,            \
        emulated_lane() + (unsigned)(by) > 31u ? emulated_lane() : emulated_lane() + (unsigned)(by))

// The tensor cores' multiply-add, by the layouts of the PTX ISA read the other
// way: which lane, register and half has an element. Each lane gives its
// registers to the warp and makes its own four sums. Products are exact, and
// the sum is rounded once: this is the definition, not the hardware's rounding.
struct EmulatedFragments {
    unsigned a[4][32], b[2][32];
};
EMULATED_PLAIN inline EmulatedFragments emulated_fragments(int line, const unsigned (&a)[4],
                                                           const unsigned (&b)[2]) {
    EmulatedFragments all;
    for (int i = 0; i < 6; i++) {
        const unsigned* lanes = emulated.exchange(line, 0xffffffffu, i < 4 ? a[i] : b[i - 4]);
        std::memcpy(i < 4 ? all.a[i] : all.b[i - 4], lanes, 32 * sizeof(unsigned));
    }
    return all;
}
// k elements of a row of A with k of a column of B, for this lane's four sums.
template <class A, class B> EMULATED_PLAIN inline void emulated_mma(float (&c)[4], int k, A a, B b) {
    unsigned g = emulated_lane() / 4, t = emulated_lane() % 4;
    for (unsigned i = 0; i < 4; i++) {
        double sum = c[i];
        for (int l = 0; l < k; l++) sum += (double)a(i < 2 ? g : g + 8, l) * (double)b(l, 2 * t + i % 2);
        c[i] = (float)sum;
    }
}
EMULATED_PLAIN inline float emulated_half(unsigned word, unsigned half) {
    return emulated_bits<float>(half == 0 ? word << 16 : word & 0xffff0000u);
}
EMULATED_PLAIN inline void emulated_mma_m16n8k16_bf16(int line, float (&c)[4], const unsigned (&a)[4],
                                                      const unsigned (&b)[2]) {
    EmulatedFragments all = emulated_fragments(line, a, b);
    emulated_mma(
        c, 16,
        [&](unsigned row, unsigned l) EMULATED_PLAIN {
            return emulated_half(all.a[row / 8 + l / 8 * 2][row % 8 * 4 + l % 8 / 2], l % 2);
        },
        [&](unsigned l, unsigned column) EMULATED_PLAIN {
            return emulated_half(all.b[l / 8][column * 4 + l % 8 / 2], l % 2);
        });
}
// The 13 bits that the format lacks are not read.
EMULATED_PLAIN inline void emulated_mma_m16n8k8_tf32(int line, float (&c)[4], const unsigned (&a)[4],
                                                     const unsigned (&b)[2]) {
    EmulatedFragments all = emulated_fragments(line, a, b);
    emulated_mma(
        c, 8,
        [&](unsigned row, unsigned l) EMULATED_PLAIN {
            return emulated_bits<float>(all.a[row / 8 + l / 4 * 2][row % 8 * 4 + l % 4] & 0xffffe000u);
        },
        [&](unsigned l, unsigned column) EMULATED_PLAIN {
            return emulated_bits<float>(all.b[l / 4][column * 4 + l % 4] & 0xffffe000u);
        });
}

// The compiler calls these at each access to memory, as for its own detector
// of races, which is not linked.
#define EMULATED_ACCESS(bytes)                                                                      \
    extern "C" EMULATED_PLAIN void __tsan_read##bytes(void* p) { emulated.access(p, bytes, 0); }    \
    extern "C" EMULATED_PLAIN void __tsan_write##bytes(void* p) { emulated.access(p, bytes, 1); }   \
    extern "C" EMULATED_PLAIN void __tsan_unaligned_read##bytes(void* p) { emulated.access(p, bytes, 0); } \
    extern "C" EMULATED_PLAIN void __tsan_unaligned_write##bytes(void* p) { emulated.access(p, bytes, 1); }
EMULATED_ACCESS(1)
EMULATED_ACCESS(2)
EMULATED_ACCESS(4)
EMULATED_ACCESS(8)
EMULATED_ACCESS(16)
extern "C" EMULATED_PLAIN void __tsan_read_range(void* p, size_t n) { emulated.access(p, n, 0); }
extern "C" EMULATED_PLAIN void __tsan_write_range(void* p, size_t n) { emulated.access(p, n, 1); }
extern "C" EMULATED_PLAIN void __tsan_func_entry(void*) {}
extern "C" EMULATED_PLAIN void __tsan_func_exit() {}
extern "C" EMULATED_PLAIN void __tsan_init() {}

// And this where an address is no multiple of what its type needs, with what
// it knows of the place: file, line and column, type, and the alignment.
struct EmulatedMismatch {
    const char* file;
    unsigned line, column;
    const void* type;
    unsigned char alignment_log2, kind;
};
extern "C" EMULATED_PLAIN void __ubsan_handle_type_mismatch_v1(EmulatedMismatch* at, void*) {
    emulated.misaligned((size_t)1 << at->alignment_log2);
}

// A kernel called with an array of pointers to its arguments, and the sizes
// of these, ended by 0.
template <class... P, size_t... I>
EMULATED_PLAIN inline void emulated_call(void (*kernel)(P...), void** a, std::index_sequence<I...>) {
    kernel(*static_cast<P*>(a[I])...);
}
template <class... P> EMULATED_PLAIN inline void emulated_call(void (*kernel)(P...), void** a) {
    emulated_call(kernel, a, std::index_sequence_for<P...>());
}
template <class... P> EMULATED_PLAIN inline const size_t* emulated_sizes(void (*)(P...)) {
    static const size_t sizes[] = {sizeof(P)..., 0};
    return sizes;
}
#define EMULATED_KERNEL(name)                                                                        \
    extern "C" EMULATED_EXPORT EMULATED_PLAIN void emulated_call_##name(void** a) { emulated_call(name, a); } \
    extern "C" EMULATED_EXPORT EMULATED_PLAIN const size_t* emulated_sizes_##name() { return emulated_sizes(name); }
