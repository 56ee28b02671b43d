"""What stands at the head of a C++ file: arguments of any kind, scratch, threads, sums, divisors, two-byte numbers."""

from __future__ import annotations

SLOT = """// An argument of any kind, for callers that learn the list of arguments at run time.
union slot {
    const void* address;
    double number;
    i64 count;
};"""

ALLOCATE = """template <typename T> static T* allocate(i64 count) {
    const size_t bytes = (size_t(count > 0 ? count : 1) * sizeof(T) + 63) / 64 * 64;
    return static_cast<T*>(std::aligned_alloc(64, bytes));
}"""

OPENMP = """// The OpenMP runtime that is loaded, if one is.
extern "C" {
void GOMP_parallel(void (*)(void*), void*, unsigned, unsigned) __attribute__((weak));
int omp_get_thread_num() __attribute__((weak));
int omp_get_num_threads() __attribute__((weak));
}"""

THREADS = """// Each thread runs its part of `count` blocks.
template <typename work> struct team {
    const work& run;
    i64 count;

    static void member(void* given) {
        const team& all = *static_cast<const team*>(given);
        const i64 threads = omp_get_num_threads(), me = omp_get_thread_num();
        all.run(all.count * me / threads, all.count * (me + 1) / threads);
    }
};

template <typename work> static inline void in_parallel(i64 count, bool pays, const work& run) {
    team<work> all = {run, count};
    if (pays && count > 1 && GOMP_parallel && omp_get_thread_num && omp_get_num_threads)
        GOMP_parallel(&team<work>::member, &all, 0, 0);
    else
        run(0, count);
}

static inline void note_failure(int& failed) { __atomic_store_n(&failed, 1, __ATOMIC_RELAXED); }"""

ADD_UP = """template <typename real> static void add_up(const double* sums, i64 stride, i64 count, real* total) {
    double all = 0;
    for (i64 b = 0; b < count; ++b) all += sums[b * stride];
    *total += real(all);
}"""

DIVISOR = """// Kernels of double have fewer instances: they are there to check by, and take long to compile.
template <typename real> constexpr bool is_float = sizeof(real) == sizeof(float);

// What all neurons are divided by. By a power of two, the product with its inverse has the same bits.
template <typename real, bool POWER> struct divisor {
    real value, inverse;
    explicit divisor(real x) : value(x), inverse(real(1) / x) {}
};
template <typename real, bool POWER> static inline real operator/(real x, const divisor<real, POWER>& by) {
    return POWER ? x * by.inverse : x / by.value;
}
static inline bool is_power_of_two(float x) {
    std::uint32_t b;
    __builtin_memcpy(&b, &x, sizeof b);
    const std::uint32_t exponent = b >> 23 & 0xff;
    return (b & 0x7fffff) == 0 && exponent > 1 && exponent < 253;
}
static inline bool is_power_of_two(double x) {
    std::uint64_t b;
    __builtin_memcpy(&b, &x, sizeof b);
    const std::uint64_t exponent = b >> 52 & 0x7ff;
    return (b & 0xfffffffffffff) == 0 && exponent > 1 && exponent < 2045;
}"""

BFLOAT16 = """// The nearest number of two bytes, but never zero for one below it: so much is exact of a distance.
template <typename real> static inline std::uint16_t to_bfloat16(real x) {
    const float nearest = float(x);
    std::uint32_t b;
    __builtin_memcpy(&b, &nearest, sizeof b);
    const std::uint32_t rounded = (b + 0x7fffu + (b >> 16 & 1u)) >> 16;
    const std::uint32_t kept = x < real(0) && rounded == 0x8000u ? 0x8001u : rounded;
    return std::uint16_t(x != x ? 0x7fc0u : kept);
}
static inline float of_bfloat16(std::uint16_t x) {
    const std::uint32_t b = std::uint32_t(x) << 16;
    float value;
    __builtin_memcpy(&value, &b, sizeof value);
    return value;
}"""
