"""`pow` for the CPU without calls or branches: the exponential of a logarithm that is held in more than its type.

float32 goes through float64; float64 holds the logarithm as a sum of two numbers.
"""

from __future__ import annotations

from neurodsl.csrc_gen.cpp.polynomials import horner

_LOG_TAIL = (
    "0.3999999999999998",
    "0.285714285714451",
    "0.22222222217538717",
    "0.18181818870029823",
    "0.15384556890809595",
    "0.13336316645413274",
    "0.1167483440777027",
    "0.11988879252495187",
)

POWER = f"""// The power of |x|, but for the arguments that fn_pow decides.
ALWAYS_INLINE float power_of_size(float size, float y) {{ return float(fn_exp(double(y) * fn_log(double(size)))); }}

ALWAYS_INLINE double power_of_size(double size, double y) {{
    typedef format<double> of;
    const bool tiny = size < of::smallest;
    const std::uint64_t b = bits_of(tiny ? size * of::scale : size);
    const std::uint64_t k = ((b - of::root_of_half + (of::bias << of::mantissa)) >> of::mantissa) - of::bias;
    const double whole = of_bits<double>(bits_of(of::shift) + k) - of::shift;
    const double e = tiny ? whole - of::scaled : whole;
    // log of the mantissa: 2 (s + s^3 / 3 + s^5 / 5 ...), s = f / (2 + f) = s + s_low
    const double f = of_bits<double>(b - (k << of::mantissa)) - 1.0, below = 2.0 + f;
    const double s = f / below;
    double taken_low, z_low, cube_low, third_low, lost1, lost2, log_low, h_low;
    const double taken = exact_product(s, below, taken_low);
    const double s_low = ((f - taken) - taken_low - s * (f - (below - 2.0))) / below;
    const double z = exact_product(s, s, z_low);
    const double cube = exact_product(z, s, cube_low);
    const double third = exact_product(cube, 0.6666666666666666, third_low);
    const double cube_rest = cube_low + (z_low * s + 3.0 * z * s_low);
    const double tail = {horner(_LOG_TAIL, "z")};
    const double third_rest = third_low + (0.6666666666666666 * cube_rest + cube * 3.700743415417188e-17);
    const double most = exact_sum(e * of::ln2_high, 2.0 * s, lost1);
    const double nearly = exact_sum(most, third, lost2);
    const double rest = lost1 + lost2 + (third_rest + (cube * z * tail + (2.0 * s_low + e * of::ln2_low)));
    const double log = exact_sum(nearly, rest, log_low);
    // e^(y log)
    const double edge = size == 0.0 ? -INFINITY : size;
    const double h = y * (((size > 0.0) & (size < INFINITY)) ? log : edge);
    exact_product(y, log, h_low);
    const bool inside = (h > of::lowest) & (h < of::highest);
    const double not_above = h > of::highest ? of::highest : h;
    const double clamped = not_above < of::lowest ? of::lowest : not_above;
    const double h_rest = inside ? h_low + y * log_low : 0.0;
    std::uint64_t n;
    const double q = small_expm1(reduced(clamped, n));
    const std::uint64_t low = ((n + 2 * of::half) >> 1) - of::half;
    return (1.0 + (q + (1.0 + q) * h_rest)) * power_of_two<double>(low) * power_of_two<double>(n - low);
}}

template <typename real> ALWAYS_INLINE real fn_pow(real x, real y) {{
    const real half = y * real(0.5), size = std::fabs(x);
    const bool whole = is_whole(y), odd = whole & !is_whole(half);
    const real power = power_of_size(size, y), value = ((y == real(0)) | (size == real(1))) ? real(1) : power;
    const bool none = ((x < real(0)) & (x > real(-INFINITY)) & !whole) | ((y != y) & (x != real(1)));
    const real signed_value = (odd & (std::copysign(real(1), x) < real(0))) ? -value : value;
    return none ? real(NAN) : signed_value;
}}"""

WHOLE = """template <typename real> ALWAYS_INLINE bool is_whole(real x) {
    typedef format<real> of;
    const real size = std::fabs(x), large = real(typename of::bits(1) << of::mantissa);
    return (size >= large) | ((size + large) - large == size);
}"""
