"""Elementary functions for the CPU without calls, so that compilers turn loops over neurons into vectors.

Selections stand in for branches, bit patterns for conversions that older vector units lack. NaN passes through,
infinities and subnormal numbers are handled; each function is within 2.5 units in the last place of the true value.
Polynomials are Chebyshev interpolants on the reduced range, or least squares reweighted towards the minimax. Where
`&` and `|` stand in conditions, and where values are worked out before one is chosen, g++ would else find branches.
"""

from __future__ import annotations

from collections.abc import Iterable

from neurodsl.csrc_gen.cpp.circular_functions import (
    CIRCLE,
    COSINE,
    INVERSE_TANGENT,
    SINE,
    TANGENT,
)
from neurodsl.csrc_gen.cpp.polynomials import horner
from neurodsl.csrc_gen.cpp.power_function import POWER, WHOLE

PARTS = """// Loops over neurons become vectors only where nothing is called.
#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__FMA__) || defined(__aarch64__)
ALWAYS_INLINE float multiply_add(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
ALWAYS_INLINE double multiply_add(double x, double y, double z) { return __builtin_fma(x, y, z); }
#else
ALWAYS_INLINE float multiply_add(float x, float y, float z) { return x * y + z; }
ALWAYS_INLINE double multiply_add(double x, double y, double z) { return x * y + z; }
#endif

template <typename real> struct format;
template <> struct format<float> {
    typedef std::uint32_t bits;
    static constexpr bits mantissa = 23, bias = 127, half = 1u << 11;
    static constexpr float log2_e = 1.44269504f, ln2_high = 0.693145751953125f, ln2_low = 1.42860682e-6f;
    static constexpr float shift = 12582912.0f, smallest = 1.17549435e-38f, scale = 33554432.0f, scaled = 25.0f;
    static constexpr float highest = 89.0f, lowest = -104.0f, lowest_less_one = -30.0f, saturated = 12.0f;
    static constexpr float highest_less_one = 40.0f, highest_rel = 94.0f, tiny = 2.98023224e-8f;
    static constexpr bits root_of_half = 0x3f3504f3u;
    ALWAYS_INLINE float exp_tail(float r) {
        float p = 0.00139262134663f;
        p = multiply_add(p, r, 0.00836320297158f);
        p = multiply_add(p, r, 0.0416665544377f);
        p = multiply_add(p, r, 0.16666576846f);
        return multiply_add(p, r, 0.5f);
    }
    ALWAYS_INLINE float log_tail(float z) {
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
    static constexpr double highest_less_one = 60.0, highest_rel = 717.0, tiny = 5.5511151231257827e-17;
    static constexpr bits root_of_half = 0x3fe6a09e667f3bcdull;
    ALWAYS_INLINE double exp_tail(double r) {
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
    ALWAYS_INLINE double log_tail(double z) {
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

template <typename real> ALWAYS_INLINE typename format<real>::bits bits_of(real x) {
    typename format<real>::bits b;
    __builtin_memcpy(&b, &x, sizeof b);
    return b;
}

template <typename real> ALWAYS_INLINE real of_bits(typename format<real>::bits b) {
    real x;
    __builtin_memcpy(&x, &b, sizeof x);
    return x;
}

template <typename real> ALWAYS_INLINE real power_of_two(typename format<real>::bits k) {
    return of_bits<real>((k + format<real>::bias) << format<real>::mantissa);
}

// What is left of x after k times ln 2: |r| <= ln 2 / 2.
template <typename real> ALWAYS_INLINE real reduced(real x, typename format<real>::bits& k) {
    typedef format<real> of;
    const real shifted = x * of::log2_e + of::shift, whole = shifted - of::shift;
    k = bits_of(shifted) - bits_of<real>(of::shift);
    return multiply_add(-whole, of::ln2_low, multiply_add(-whole, of::ln2_high, x));
}

// e^r - 1 for such an r.
template <typename real> ALWAYS_INLINE real small_expm1(real r) {
    return multiply_add(r * r, format<real>::exp_tail(r), r);
}"""

_ERF_NEAR_32 = (
    "1.12837911f",
    "-0.37612626f",
    "0.112835847f",
    "-0.0268537868f",
    "0.00518827979f",
    "-0.000800977985f",
    "7.85251614e-05f",
)
_ERF_NEAR_64 = (
    "1.1283791670955126",
    "-0.3761263890318375",
    "0.11283791670954857",
    "-0.026866170645072886",
    "0.005223977624780792",
    "-0.0008548326978737973",
    "0.00012055331036747935",
    "-1.4925593503307913e-05",
    "1.6460972760570014e-06",
    "-1.6350024634987124e-07",
    "1.4657875963119934e-08",
    "-1.136565125362729e-09",
    "5.945237351241597e-11",
)
_ERF_FAR_32 = (
    "0.000189624232f",
    "-1.1295855f",
    "-0.633206666f",
    "-0.108432107f",
    "0.0252163913f",
    "-0.00420743739f",
    "0.000441889628f",
    "-2.17315373e-05f",
)
_ERF_FAR_64 = (
    "2.6712749024037622e-08",
    "-1.1283795080875603",
    "-0.6366177142218388",
    "-0.10278041847415917",
    "0.019149399851351598",
    "0.00016700522479135086",
    "-0.0016299709396484158",
    "0.0005070804405728079",
    "5.854237806906454e-05",
    "-0.0001346476509245813",
    "7.744815822358535e-05",
    "-2.977921872832226e-05",
    "8.723780837321948e-06",
    "-2.0234278296330894e-06",
    "3.748245477516068e-07",
    "-5.5065889788187754e-08",
    "6.2900391115306194e-09",
    "-5.392914435523038e-10",
    "3.2664173253566916e-11",
    "-1.2460220627047514e-12",
    "2.2503957023007213e-14",
)

EXACT = """ALWAYS_INLINE double exact_sum(double x, double y, double& lost) {
    const double sum = x + y, part = sum - x;
    lost = (x - (sum - part)) + (y - part);
    return sum;
}

ALWAYS_INLINE double exact_product(double x, double y, double& lost) {
    const double product = x * y;
#if defined(__FMA__) || defined(__aarch64__)
    lost = __builtin_fma(x, y, -product);
#else
    const std::uint64_t upper = ~((std::uint64_t(1) << 27) - 1);
    const double a = of_bits<double>(bits_of(x) & upper), b = of_bits<double>(bits_of(y) & upper);
    lost = ((a * b - product) + a * (y - b) + (x - a) * b) + (x - a) * (y - b);
#endif
    return product;
}"""

_TEXTS: dict[str, tuple[tuple[str, ...], str]] = {
    "exp": (
        (),
        """template <typename real> ALWAYS_INLINE real fn_exp(real x) {
    typedef format<real> of;
    const real below = x > of::highest ? real(of::highest) : x;
    const real inside = below < of::lowest ? real(of::lowest) : below;
    typename of::bits k;
    const real q = small_expm1(reduced(inside, k));
    const typename of::bits low = ((k + 2 * of::half) >> 1) - of::half;
    return (real(1) + q) * power_of_two<real>(low) * power_of_two<real>(k - low);
}""",
    ),
    "log": (
        (),
        """template <typename real> ALWAYS_INLINE real fn_log(real x) {
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
        """// Half of e^x - 1, for x that is neither tiny nor far below 0.
template <typename real> ALWAYS_INLINE real half_expm1(real x) {
    typename format<real>::bits k;
    const real r = reduced(x, k), half = power_of_two<real>(k - 1);
    return multiply_add(r, half, half - real(0.5)) + r * r * format<real>::exp_tail(r) * half;
}

template <typename real> ALWAYS_INLINE real fn_expm1(real x) {
    typedef format<real> of;
    const real above = x < of::lowest_less_one ? real(of::lowest_less_one) : x;
    const real value = real(2) * half_expm1(x > of::highest ? real(of::highest) : above);
    return std::fabs(x) < of::tiny ? x : value;
}""",
    ),
    "log1p": (
        ("log",),
        """template <typename real> ALWAYS_INLINE real fn_log1p(real x) {
    const real u = real(1) + x, lost = x - (u - real(1));
    const real y = fn_log(u) + (x > real(-0.5) ? lost / u : real(0));
    return ((u == real(1)) | (x == real(INFINITY))) ? x : y;
}""",
    ),
    "exprel": (
        ("expm1",),
        """template <typename real> ALWAYS_INLINE real fn_exprel(real x) {
    typedef format<real> of;
    const real above = x < of::lowest_less_one ? real(of::lowest_less_one) : x;
    const real near = real(2) * (half_expm1(x > of::highest_less_one ? real(of::highest_less_one) : above) / x);
    typename of::bits k;
    const real q = small_expm1(reduced(x > of::highest_rel ? real(of::highest_rel) : x, k));
    const typename of::bits low = ((k + 2 * of::half) >> 1) - of::half;
    const real far = (real(1) + q) * power_of_two<real>(low) / x * power_of_two<real>(k - low);
    const real value = x > of::highest_less_one ? (x > of::highest_rel ? real(INFINITY) : far) : near;
    return std::fabs(x) < of::tiny ? real(1) : value;
}""",
    ),
    "sigmoid": (
        ("exp",),
        """template <typename real> ALWAYS_INLINE real fn_sigmoid(real x) {
    const real e = fn_exp(-std::fabs(x));
    return (x >= real(0) ? real(1) : e) / (real(1) + e);
}""",
    ),
    "tanh": (
        ("expm1",),
        """template <typename real> ALWAYS_INLINE real fn_tanh(real x) {
    const real most = format<real>::saturated, size = std::fabs(x);
    const real e = fn_expm1(real(2) * (size > most ? most : size));
    return std::copysign(e / (e + real(2)), x);
}""",
    ),
    "softplus": (
        ("exp", "log1p"),
        """template <typename real> ALWAYS_INLINE real fn_softplus(real x) {
    const real above = x < real(0) ? real(0) : x;
    return above + fn_log1p(fn_exp(-std::fabs(x)));
}""",
    ),
    "erf": (
        ("exp",),
        f"""ALWAYS_INLINE float erf_near(float z) {{ return {horner(_ERF_NEAR_32, "z")}; }}
ALWAYS_INLINE double erf_near(double z) {{ return {horner(_ERF_NEAR_64, "z")}; }}
ALWAYS_INLINE float log_of_erfc(float x) {{ return {horner(_ERF_FAR_32, "x")}; }}
ALWAYS_INLINE double log_of_erfc(double x) {{ return {horner(_ERF_FAR_64, "x")}; }}

template <typename real> ALWAYS_INLINE real fn_erf(real x) {{
    const real most = sizeof(real) == 4 ? real(4) : real(6), size = std::fabs(x);
    const real far = real(1) - fn_exp(log_of_erfc(size > most ? most : size));
    return size < real(1) ? x * erf_near(x * x) : std::copysign(far, x);
}}""",
    ),
    "whole": ((), WHOLE),
    "exact": ((), EXACT),
    "circle": (("exact",), CIRCLE),
    "sin": (("circle",), SINE),
    "cos": (("circle",), COSINE),
    "tan": (("circle",), TANGENT),
    "atan": ((), INVERSE_TANGENT),
    "pow": (("exp", "log", "whole", "exact"), POWER),
}

_SHARED = frozenset({"whole", "exact", "circle"})
"""What is no function of the language, but stands once for several."""

NAMES = frozenset(_TEXTS) - _SHARED


def vector_texts(names: Iterable[str]) -> list[str]:
    """Definitions of those of `names` that are here, what they call first."""
    wanted: set[str] = set()
    waiting = list(set(names) & NAMES)
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        waiting.extend(_TEXTS[name][0])
    if not wanted:
        return []
    return [PARTS, *(text for name, (_, text) in _TEXTS.items() if name in wanted)]
