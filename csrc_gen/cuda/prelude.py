"""What every CUDA file begins with: types, packs of neurons that move at once, divisors, approximate functions, sums.

Each text compiles under nvcc and NVRTC without a header. Where `__CUDACC__` is not defined, instructions are replaced
by plain C++, so that the same text runs on a host.
"""

from __future__ import annotations

TYPES = """#ifdef __CUDACC_RTC__  // NVRTC knows no headers
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <stdint.h>
#endif
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif

struct half_bits { uint16_t bits; };      // float16
struct bfloat16_bits { uint16_t bits; };  // bfloat16

// Params that have the value which a kernel was compiled for: a boolean, and a number that is 0.
template <bool VALUE> struct fixed {
    __device__ __forceinline__ explicit fixed(bool) {}
    __device__ __forceinline__ constexpr operator bool() const { return VALUE; }
};
template <typename real> struct zero {
    __device__ __forceinline__ explicit zero(real) {}
    __device__ __forceinline__ constexpr operator real() const { return real(0); }
};
template <typename real> __device__ __forceinline__ real operator-(real x, zero<real>) { return x; }

// Counts of elements: 32 bits do where V neurons move together, so that an address takes one instruction.
template <bool NARROW> struct count { typedef int64_t type; };
template <> struct count<true> { typedef uint32_t type; };
template <bool NARROW> struct steps_of { typedef int64_t type; };
template <> struct steps_of<true> { typedef int type; };

// Has a value worked out here and held in a register, not again wherever it is read.
#ifdef __CUDACC__
__device__ __forceinline__ void pin(float& x) { asm volatile("" : "+f"(x)); }
__device__ __forceinline__ void pin(double& x) { asm volatile("" : "+d"(x)); }
__device__ __forceinline__ void pin(uint32_t& x) { asm volatile("" : "+r"(x)); }
__device__ __forceinline__ void pin(int64_t& x) { asm volatile("" : "+l"(x)); }
#else
template <typename any> void pin(any&) {}
#endif"""

WORDS = """// 2, 4, 8 or 16 bytes moved by one instruction: `words<4>` of 4 bytes are 16.
#ifdef __CUDACC__
__device__ __forceinline__ void load_words(uint32_t (&w)[1], const void* p) {
    asm volatile("ld.global.nc.b32 %0, [%1];" : "=r"(w[0]) : "l"(p));
}
__device__ __forceinline__ void load_words(uint32_t (&w)[2], const void* p) {
    asm volatile("ld.global.nc.v2.b32 {%0, %1}, [%2];" : "=r"(w[0]), "=r"(w[1]) : "l"(p));
}
__device__ __forceinline__ void load_words(uint32_t (&w)[4], const void* p) {
    asm volatile("ld.global.nc.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3]) : "l"(p));
}
__device__ __forceinline__ uint32_t load_half_word(const void* p) {
    uint16_t bits;
    asm volatile("ld.global.nc.u16 %0, [%1];" : "=h"(bits) : "l"(p));
    return bits;
}
__device__ __forceinline__ void store_words(const uint32_t (&w)[1], void* p) {
    asm volatile("st.global.b32 [%1], %0;" :: "r"(w[0]), "l"(p) : "memory");
}
__device__ __forceinline__ void store_words(const uint32_t (&w)[2], void* p) {
    asm volatile("st.global.v2.b32 [%2], {%0, %1};" :: "r"(w[0]), "r"(w[1]), "l"(p) : "memory");
}
__device__ __forceinline__ void store_words(const uint32_t (&w)[4], void* p) {
    asm volatile("st.global.v4.b32 [%4], {%0, %1, %2, %3};"
                 :: "r"(w[0]), "r"(w[1]), "r"(w[2]), "r"(w[3]), "l"(p) : "memory");
}
__device__ __forceinline__ void store_half_word(uint32_t w, void* p) {
    asm volatile("st.global.u16 [%1], %0;" :: "h"(uint16_t(w)), "l"(p) : "memory");
}
#else
template <int COUNT> void load_words(uint32_t (&w)[COUNT], const void* p) { memcpy(w, p, sizeof w); }
template <int COUNT> void store_words(const uint32_t (&w)[COUNT], void* p) { memcpy(p, w, sizeof w); }
inline uint32_t load_half_word(const void* p) { return *static_cast<const uint16_t*>(p); }
inline void store_half_word(uint32_t w, void* p) { *static_cast<uint16_t*>(p) = uint16_t(w); }
#endif"""

HALVES = """// Between two bytes and float, to the nearest.
#ifdef __CUDACC__
__device__ __forceinline__ float of_half(uint32_t bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(uint16_t(bits)));
    return x;
}
__device__ __forceinline__ uint32_t to_half(float x) {
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
__device__ __forceinline__ uint32_t to_halves(float low, float high) {
#if __CUDA_ARCH__ >= 800
    uint32_t bits;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
#else
    return to_half(low) | to_half(high) << 16;
#endif
}
#else
inline float of_half(uint32_t bits) {
    const uint16_t half = uint16_t(bits);
    _Float16 x;
    memcpy(&x, &half, sizeof x);
    return x;
}
inline uint32_t to_half(float x) {
    const _Float16 half = _Float16(x);
    uint16_t bits;
    memcpy(&bits, &half, sizeof bits);
    return bits;
}
inline uint32_t to_halves(float low, float high) { return to_half(low) | to_half(high) << 16; }
#endif

__device__ __forceinline__ float of_bfloat16(uint32_t bits) { return __uint_as_float(bits << 16); }
__device__ __forceinline__ uint32_t to_bfloat16(float x) {
    const uint32_t bits = __float_as_uint(x);
    return x != x ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
__device__ __forceinline__ uint32_t to_bfloat16s(float low, float high) {
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 800
    uint32_t bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
#else
    return to_bfloat16(low) | to_bfloat16(high) << 16;
#endif
}"""

PACK = """// What a thread holds of V neurons beside each other, in the form in which it is moved.
template <typename io, int V> struct pack {
    static constexpr int BYTES = int(sizeof(io)) * V, COUNT = BYTES < 4 ? 1 : BYTES < 16 ? BYTES / 4 : 4;
    static constexpr int MOVES = BYTES < 16 ? 1 : BYTES / 16;
    uint32_t word[MOVES][COUNT];

    __device__ __forceinline__ void load(const io* p) {
        if constexpr (BYTES == 2) word[0][0] = load_half_word(p);
        else
#pragma unroll
            for (int m = 0; m < MOVES; ++m) load_words(word[m], p + m * (V / MOVES));
    }
    __device__ __forceinline__ void store(io* p) const {
        if constexpr (BYTES == 2) store_half_word(word[0][0], p);
        else
#pragma unroll
            for (int m = 0; m < MOVES; ++m) store_words(word[m], p + m * (V / MOVES));
    }
    __device__ __forceinline__ void zero() {
#pragma unroll
        for (int m = 0; m < MOVES; ++m)
#pragma unroll
            for (int c = 0; c < COUNT; ++c) word[m][c] = 0;
    }
    __device__ __forceinline__ uint32_t& at(int c) { return word[c / COUNT][c % COUNT]; }
    __device__ __forceinline__ uint32_t at(int c) const { return word[c / COUNT][c % COUNT]; }
};

template <int V> __device__ __forceinline__ float get(const pack<float, V>& p, int j) {
    return __uint_as_float(p.at(j));
}
template <int V> __device__ __forceinline__ double get(const pack<double, V>& p, int j) {
    return __hiloint2double(int(p.at(2 * j + 1)), int(p.at(2 * j)));
}
template <int V> __device__ __forceinline__ float get(const pack<half_bits, V>& p, int j) {
    return of_half(p.at(j / 2) >> (j % 2 * 16));
}
template <int V> __device__ __forceinline__ float get(const pack<bfloat16_bits, V>& p, int j) {
    return j % 2 ? __uint_as_float(p.at(j / 2) & 0xffff0000u) : __uint_as_float(p.at(j / 2) << 16);
}

template <int V> __device__ __forceinline__ void put(pack<float, V>& p, const float (&x)[V]) {
#pragma unroll
    for (int j = 0; j < V; ++j) p.at(j) = __float_as_uint(x[j]);
}
template <int V> __device__ __forceinline__ void put(pack<double, V>& p, const double (&x)[V]) {
#pragma unroll
    for (int j = 0; j < V; ++j) {
        p.at(2 * j) = uint32_t(__double2loint(x[j]));
        p.at(2 * j + 1) = uint32_t(__double2hiint(x[j]));
    }
}
template <int V> __device__ __forceinline__ void put(pack<half_bits, V>& p, const float (&x)[V]) {
    if constexpr (V == 1) p.at(0) = to_half(x[0]);
    else
#pragma unroll
        for (int j = 0; j < V; j += 2) p.at(j / 2) = to_halves(x[j], x[j + 1]);
}
template <int V> __device__ __forceinline__ void put(pack<bfloat16_bits, V>& p, const float (&x)[V]) {
    if constexpr (V == 1) p.at(0) = to_bfloat16(x[0]);
    else
#pragma unroll
        for (int j = 0; j < V; j += 2) p.at(j / 2) = to_bfloat16s(x[j], x[j + 1]);
}
// Spikes need no conversion: 1 has these bits.
template <int V> __device__ __forceinline__ void put(pack<float, V>& p, const bool (&s)[V]) {
#pragma unroll
    for (int j = 0; j < V; ++j) p.at(j) = s[j] ? 0x3f800000u : 0u;
}
template <int V> __device__ __forceinline__ void put(pack<double, V>& p, const bool (&s)[V]) {
#pragma unroll
    for (int j = 0; j < V; ++j) {
        p.at(2 * j) = 0u;
        p.at(2 * j + 1) = s[j] ? 0x3ff00000u : 0u;
    }
}
template <int V> __device__ __forceinline__ void put(pack<half_bits, V>& p, const bool (&s)[V]) {
    if constexpr (V == 1) p.at(0) = s[0] ? 0x3c00u : 0u;
    else
#pragma unroll
        for (int j = 0; j < V; j += 2) p.at(j / 2) = (s[j] ? 0x3c00u : 0u) | (s[j + 1] ? 0x3c000000u : 0u);
}
template <int V> __device__ __forceinline__ void put(pack<bfloat16_bits, V>& p, const bool (&s)[V]) {
    if constexpr (V == 1) p.at(0) = s[0] ? 0x3f80u : 0u;
    else
#pragma unroll
        for (int j = 0; j < V; j += 2) p.at(j / 2) = (s[j] ? 0x3f80u : 0u) | (s[j + 1] ? 0x3f800000u : 0u);
}

// Whether T rows of N neurons, V a thread, may be moved 16 bytes at a time; `pointers` are all of them, or-ed.
__device__ __forceinline__ bool in_packs(int64_t T, int64_t N, int V, uint64_t pointers) {
    return N % V == 0 && T < (int64_t(1) << 30) && N < (int64_t(1) << 32) / (T + 1) && pointers % 16 == 0;
}
__device__ __forceinline__ uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

template <typename real, int V> __device__ __forceinline__ void load_values(real (&x)[V], const real* p) {
    pack<real, V> moved;
    moved.load(p);
#pragma unroll
    for (int j = 0; j < V; ++j) x[j] = get(moved, j);
}
template <typename real, int V> __device__ __forceinline__ void store_values(const real (&x)[V], real* p) {
    pack<real, V> moved;
    put(moved, x);
    moved.store(p);
}"""

DIVISOR = """\
// What all neurons are divided by. In float by a product with the reciprocal, corrected by its remainder (P. Markstein,
// IBM J. R&D 34, 1990): the bits of a division where `corrects` says so and the numerator is 0 or from 2^-100 to 2^113
// in size. `checked` by a division where it does not say so.
__device__ __forceinline__ bool corrects(double) { return true; }
__device__ __forceinline__ bool corrects(float d) { return fabsf(d) >= 6.103515625e-05f && fabsf(d) <= 16384.0f; }
template <typename real> struct divisor {
    real d;
    __device__ __forceinline__ explicit divisor(real value) : d(value) {}
};
template <> struct divisor<float> {
    float d, r;
    __device__ __forceinline__ explicit divisor(float value) : d(value), r(__fdiv_rn(1.0f, value)) {}
};
template <typename real, bool CHECKED> struct checked {
    divisor<real> by;
    __device__ __forceinline__ explicit checked(const divisor<real>& given) : by(given) {}
};
template <bool CHECKED> struct checked<float, CHECKED> {
    divisor<float> by;
    bool corrected;
    __device__ __forceinline__ explicit checked(const divisor<float>& given)
        : by(given), corrected(!CHECKED || corrects(given.d)) {
        pin(by.r);
    }
};
template <bool CHECKED>
__device__ __forceinline__ double operator/(double x, const checked<double, CHECKED>& y) {
    return x / y.by.d;
}
template <bool CHECKED>
__device__ __forceinline__ float operator/(float x, const checked<float, CHECKED>& y) {
    if (!y.corrected) return x / y.by.d;
    const float q = __fmul_rn(x, y.by.r);
    return __fmaf_rn(__fmaf_rn(-q, y.by.d, x), y.by.r, q);
}"""

DISTANCE = """// Whether x - threshold >= 0. A comparison gives that, too, where the threshold is finite.
template <bool CHECKED, typename real> __device__ __forceinline__ bool reaches(real x, real threshold) {
    return CHECKED ? x - threshold >= real(0) : x >= threshold;
}
template <bool CHECKED, typename real> __device__ __forceinline__ bool reaches(real x, zero<real>) {
    return x >= real(0);
}
__device__ __forceinline__ bool is_finite(double x) { return x - x == 0.0; }
__device__ __forceinline__ bool is_finite(float x) { return x - x == 0.0f; }"""

APPROXIMATE = """\
// For derivatives in float alone: within 2 units in the last place, and for the exponential 4 + |x| of them.
__device__ __forceinline__ double quotient(double x, double y) { return x / y; }
__device__ __forceinline__ double fast_exp(double x) { return exp(x); }
#ifdef __CUDACC__
__device__ __forceinline__ float quotient(float x, float y) {
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(y));
    return x * r;
}
__device__ __forceinline__ float fast_exp(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.4426950408889634f));
    return y;
}
#else
inline float quotient(float x, float y) { return x / y; }
inline float fast_exp(float x) { return exp(x); }
#endif
__device__ __forceinline__ double add_quotient(double x, double y, double z) { return x / y + z; }
__device__ __forceinline__ float add_quotient(float x, float y, float z) { return fmaf(x, quotient(1.0f, y), z); }
template <typename real> __device__ __forceinline__ real difference(real x, real y) { return x - y; }
template <typename real> __device__ __forceinline__ real difference(zero<real>, real y) { return -y; }
template <typename real> __device__ __forceinline__ real difference(real x, zero<real>) { return x; }
template <typename real> __device__ __forceinline__ real fast_sigmoid(real x) {
    const real e = fast_exp(-fabs(x));
    return quotient(x >= real(0) ? real(1) : e, real(1) + e);
}"""

APART = """\
// Four neurons of a thread that are 32 apart, a warp's 128 beside each other: `left` of them are there.
template <typename io> __device__ __forceinline__ void load_apart(pack<io, 4>& moved, const io* p, int left) {
    constexpr int SIZE = int(sizeof(io));
    moved.zero();
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        if (j >= left) continue;
        pack<io, 1> one;
        one.load(p + 32 * j);
        if constexpr (SIZE == 2) moved.at(j / 2) |= one.at(0) << (j % 2 * 16);
        else
#pragma unroll
            for (int c = 0; c < SIZE / 4; ++c) moved.at(j * SIZE / 4 + c) = one.at(c);
    }
}
template <typename real> __device__ __forceinline__ void load_states_apart(real (&x)[4], const real* p, int left) {
    pack<real, 4> moved;
    load_apart(moved, p, left);
#pragma unroll
    for (int j = 0; j < 4; ++j) x[j] = get(moved, j);
}
template <typename real> __device__ __forceinline__ void store_states_apart(const real (&x)[4], real* p, int left) {
#pragma unroll
    for (int j = 0; j < 4; ++j)
        if (j < left) p[32 * j] = x[j];
}
// A warp's spikes as four words, the first lanes store one each; every lane must call it.
__device__ __forceinline__ void store_bits(const bool (&s)[4], uint32_t* words, int left, int64_t first, int64_t end) {
    const int lane = int(threadIdx.x) % 32;
    uint32_t own = 0;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        const uint32_t word = __ballot_sync(0xffffffffu, s[j] && j < left);
        if (lane == j) own = word;
    }
    if (lane < 4 && first + lane < end) words[first + lane] = own;
}"""

SIGNED = """// What is kept in bfloat16: never zero for a number below it, so that the sign of a distance is exact.
template <typename real> __device__ __forceinline__ float signed_distance(real x) {
    return x < real(0) && x > real(-0x1p-133) ? -0x1p-133f : float(x);
}"""

BLOCK_SUM = """// The sum over a block's threads, in a fixed order; on thread 0. Every thread must call it.
__device__ __forceinline__ double block_sum(double value, double* warps) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_down_sync(0xffffffffu, value, distance);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    double all = 0;
    if (threadIdx.x == 0)
#pragma unroll
        for (int w = 0; w < BLOCK / 32; ++w) all += warps[w];
    __syncthreads();
    return all;
}"""

SHAPED_SUM = """\
// Adds what each neuron gave to the values that neurons share, rows of C * inner neurons, from value `first` on.
template <typename real>
__device__ __forceinline__ void add_shared(
    const real* parts, int64_t N, int64_t C, int64_t inner, real* total, double* warps) {
    const int64_t each = N / C;  // neurons that share a value
    for (int64_t c = blockIdx.x; c < C; c += gridDim.x) {
        double all = 0;
        for (int64_t m = threadIdx.x; m < each; m += BLOCK)
            all += double(parts[(m / inner * C + c) * inner + m % inner]);
        all = block_sum(all, warps);
        if (threadIdx.x == 0) total[c] += real(all);
    }
}"""
