"""Elementary functions for the CPU without calls, so that compilers turn loops over neurons into vectors.

Selections stand in for branches, bit patterns for conversions that older vector units lack. NaN passes through,
infinities and subnormal numbers are handled. Polynomials are Chebyshev interpolants on the reduced range. `pow` in
float32 goes through float64; `sin`, `cos`, `tan`, `atan`, `erf` and `pow` in float64 remain the C library's.
"""

from __future__ import annotations

from collections.abc import Iterable

PARTS = """#if defined(__FMA__) || defined(__aarch64__)
static inline float multiply_add(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
static inline double multiply_add(double x, double y, double z) { return __builtin_fma(x, y, z); }
#else
static inline float multiply_add(float x, float y, float z) { return x * y + z; }
static inline double multiply_add(double x, double y, double z) { return x * y + z; }
#endif

template <typename real> struct format;
template <> struct format<float> {
    typedef std::uint32_t bits;
    static constexpr bits mantissa = 23, bias = 127, half = 1u << 11;
    static constexpr float log2_e = 1.44269504f, ln2_high = 0.693145751953125f, ln2_low = 1.42860682e-6f;
    static constexpr float shift = 12582912.0f, smallest = 1.17549435e-38f, scale = 33554432.0f, scaled = 25.0f;
    static constexpr float highest = 89.0f, lowest = -104.0f, lowest_less_one = -30.0f, saturated = 12.0f;
    static constexpr bits root_of_half = 0x3f3504f3u;
    static inline float exp_tail(float r) {
        float p = 0.00139262134663f;
        p = multiply_add(p, r, 0.00836320297158f);
        p = multiply_add(p, r, 0.0416665544377f);
        p = multiply_add(p, r, 0.16666576846f);
        return multiply_add(p, r, 0.5f);
    }
    static inline float log_tail(float z) {
        float p = 0.233304672163f;
        p = multiply_add(p, z, 0.28550820816f);
        p = multiply_add(p, z, 0.400001218398f);
        return multiply_add(p, z, 0.666666665545f);
    }
};
template <> struct format<double> {
    typedef std::uint64_t bits;
    static constexpr bits mantissa = 52, bias = 1023, half = 1u << 11;
    static constexpr double log2_e = 1.4426950408889634, ln2_high = 6.93147180369123816490e-01;
    static constexpr double ln2_low = 1.90821492927058770002e-10, shift = 6755399441055744.0;
    static constexpr double smallest = 2.2250738585072014e-308, scale = 18014398509481984.0, scaled = 54.0;
    static constexpr double highest = 710.0, lowest = -746.0, lowest_less_one = -50.0, saturated = 24.0;
    static constexpr bits root_of_half = 0x3fe6a09e667f3bcdull;
    static inline double exp_tail(double r) {
        double p = 2.0914717341716375952e-9;
        p = multiply_add(p, r, 2.5105259538448493419e-8);
        p = multiply_add(p, r, 2.7557273570102139673e-7);
        p = multiply_add(p, r, 2.7557255297969644392e-6);
        p = multiply_add(p, r, 0.000024801587325605322782);
        p = multiply_add(p, r, 0.00019841269874901259234);
        p = multiply_add(p, r, 0.0013888888888883731828);
        p = multiply_add(p, r, 0.0083333333333261120526);
        p = multiply_add(p, r, 0.041666666666666669767);
        p = multiply_add(p, r, 0.16666666666666671008);
        return multiply_add(p, r, 0.5);
    }
    static inline double log_tail(double z) {
        double p = 0.1308662614784482304;
        p = multiply_add(p, z, 0.13268773138656364281);
        p = multiply_add(p, z, 0.15386239702814681177);
        p = multiply_add(p, z, 0.18181795640132905759);
        p = multiply_add(p, z, 0.22222222391713917448);
        p = multiply_add(p, z, 0.28571428570803611811);
        p = multiply_add(p, z, 0.40000000000000876983);
        return multiply_add(p, z, 0.66666666666666666465);
    }
};

template <typename real> static inline typename format<real>::bits bits_of(real x) {
    typename format<real>::bits b;
    __builtin_memcpy(&b, &x, sizeof b);
    return b;
}

template <typename real> static inline real of_bits(typename format<real>::bits b) {
    real x;
    __builtin_memcpy(&x, &b, sizeof x);
    return x;
}

template <typename real> static inline real power_of_two(typename format<real>::bits k) {
    return of_bits<real>((k + format<real>::bias) << format<real>::mantissa);
}

// e^x - 1 over 2^k, less what rounding 1 takes: x = k ln 2 + r, e^r = 1 + q.
template <typename real> static inline real reduced_exp(real x, typename format<real>::bits& k) {
    typedef format<real> of;
    const real shifted = x * of::log2_e + of::shift, whole = shifted - of::shift;
    const real r = multiply_add(-whole, of::ln2_low, multiply_add(-whole, of::ln2_high, x));
    k = bits_of(shifted) - bits_of<real>(of::shift);
    return multiply_add(r * r, of::exp_tail(r), r);
}"""

_TEXTS: dict[str, tuple[tuple[str, ...], str]] = {
    "exp": (
        (),
        """template <typename real> inline real fn_exp(real x) {
    typedef format<real> of;
    const real inside = x > of::highest ? real(of::highest) : x < of::lowest ? real(of::lowest) : x;
    typename of::bits k;
    const real q = reduced_exp(inside, k);
    const typename of::bits low = ((k + 2 * of::half) >> 1) - of::half;
    return (real(1) + q) * power_of_two<real>(low) * power_of_two<real>(k - low);
}""",
    ),
    "log": (
        (),
        """template <typename real> inline real fn_log(real x) {
    typedef format<real> of;
    const bool tiny = x < of::smallest;
    const typename of::bits b = bits_of(tiny ? x * of::scale : x);
    const typename of::bits k = ((b - of::root_of_half + (of::bias << of::mantissa)) >> of::mantissa) - of::bias;
    const real whole = of_bits<real>(bits_of<real>(of::shift) + k) - of::shift;
    const real e = tiny ? whole - of::scaled : whole;
    const real f = of_bits<real>(b - (k << of::mantissa)) - real(1);
    const real s = f / (real(2) + f), z = s * s, half = real(0.5) * f * f;
    const real y = e * of::ln2_high - (half - (s * (half + z * of::log_tail(z)) + e * of::ln2_low) - f);
    const real edge = x == real(0) ? real(-INFINITY) : real(NAN);
    return x > real(0) ? (x == real(INFINITY) ? x : y) : edge;
}""",
    ),
    "expm1": (
        (),
        """template <typename real> inline real fn_expm1(real x) {
    typedef format<real> of;
    const real above = x < of::lowest_less_one ? real(of::lowest_less_one) : x;
    typename of::bits k;
    const real q = reduced_exp(x > of::highest ? real(of::highest) : above, k);
    const real half = power_of_two<real>(k - 1);
    return x == real(0) ? x : real(2) * multiply_add(q, half, half - real(0.5));
}""",
    ),
    "log1p": (
        ("log",),
        """template <typename real> inline real fn_log1p(real x) {
    const real u = real(1) + x, y = fn_log(u) * (x / (u - real(1)));
    return u == real(1) || x == real(INFINITY) ? x : y;
}""",
    ),
    "exprel": (
        ("expm1",),
        """template <typename real> inline real fn_exprel(real x) {
    const real e = fn_expm1(x);
    return x == real(0) ? real(1) : e == real(INFINITY) ? e : e / x;
}""",
    ),
    "sigmoid": (
        ("exp",),
        """template <typename real> inline real fn_sigmoid(real x) { return real(1) / (real(1) + fn_exp(-x)); }""",
    ),
    "tanh": (
        ("expm1",),
        """template <typename real> inline real fn_tanh(real x) {
    const real most = format<real>::saturated, size = std::fabs(x);
    const real e = fn_expm1(real(2) * (size > most ? most : size));
    return std::copysign(e / (e + real(2)), x);
}""",
    ),
    "softplus": (
        ("exp", "log1p"),
        """template <typename real> inline real fn_softplus(real x) {
    const real above = x > real(0) || x != x ? x : real(0);
    return above + fn_log1p(fn_exp(-std::fabs(x)));
}""",
    ),
    "pow": (
        ("exp", "log"),
        """inline double fn_pow(double x, double y) { return std::pow(x, y); }
inline float fn_pow(float x, float y) {
    const float size = float(fn_exp(double(y) * fn_log(double(std::fabs(x)))));
    const float half = y * 0.5f;
    const bool whole = std::floor(y) == y, odd = whole && std::floor(half) != half;
    const float value = y == 0.0f || std::fabs(x) == 1.0f ? 1.0f : size;
    const bool none = (x < 0.0f && x > -INFINITY && !whole) || (y != y && x != 1.0f);
    const float signed_value = odd && std::copysign(1.0f, x) < 0.0f ? -value : value;
    return none ? NAN : signed_value;
}""",
    ),
}

NAMES = frozenset(_TEXTS)


def vector_texts(names: Iterable[str]) -> list[str]:
    """Definitions of those of `names` that are here, what they call first."""
    wanted = set(names) & NAMES
    for name in sorted(wanted):
        wanted |= {*_TEXTS[name][0]}
    if not wanted:
        return []
    return [PARTS, *(text for name, (_, text) in _TEXTS.items() if name in wanted)]
