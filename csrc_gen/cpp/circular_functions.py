"""Sine, cosine, tangent and inverse tangent for the CPU without calls or branches, right for every argument.

An argument is a number of turns: x times 1 / 2 pi, of which whole turns are dropped before they can cost precision.
1 / 2 pi is held in pieces so short that products with (halves of) the argument are exact; a large argument drops the
pieces that give whole turns. float32 is worked out in float64. Polynomials: weighted least squares at Chebyshev nodes,
reweighted towards the minimax.
"""

from __future__ import annotations

from neurodsl.csrc_gen.cpp.polynomials import horner

# Digits of 1 / 2 pi to the base 2^26, each rounded to the nearest: that of 2^(-26 j) stands at j + 1.
_DIGITS = (
    "0, 0, 10680707, 28915984, 22192066, 30798973, 20241857, -9598378, 26461241, 1081236, 23309279, -17885817, "
    "-9287964, -24079499, -18872759, 12298279, 18424272, -7898425, 11610535, 16491017, -10530068, -19848902, "
    "27029543, -19825159, 1284381, 26108117, -12979043, -32408017, -2125180, -20447706, -8698, -27246659, "
    "-17753930, -24995000, -9619841, -12804308, 10188020, 26204584, -27268563, 30711531, 8306271, 6213442, "
    "-12978294, 21646250, -20990469, 4711255, 17323523, 12655602"
)

_SINE_32 = (
    "-0.16666666641593383",
    "0.00833332938310125",
    "-0.0001983933412972346",
    "2.718305930939582e-06",
)
_COSINE_32 = (
    "-0.49999999999543915",
    "0.041666666561925074",
    "-0.0013888881072131422",
    "2.4799039872982853e-05",
    "-2.7180027925871016e-07",
)
_SINE_64 = (
    "-0.16666666666666666",
    "0.008333333333333323",
    "-0.00019841269841255134",
    "2.7557319214226133e-06",
    "-2.5052104921133803e-08",
    "1.605836787198639e-10",
    "-7.578760864188439e-13",
)
_COSINE_64 = (
    "0.041666666666666664",
    "-0.0013888888888888874",
    "2.480158730157153e-05",
    "-2.7557319215390886e-07",
    "2.087675436967317e-09",
    "-1.1470293675860202e-11",
    "4.738127898577238e-14",
)
_ATAN_32 = (
    "-0.333333164f",
    "0.199984878f",
    "-0.142438218f",
    "0.105958253f",
    "-0.0608304441f",
)
_ATAN_64 = (
    "-0.33333333333333326",
    "0.19999999999997692",
    "-0.14285714285391005",
    "0.1111111108836483",
    "-0.09090908151290923",
    "0.07692282911881554",
    "-0.06666229024564921",
    "0.05877044044641003",
    "-0.0521854789397677",
    "0.04504134194425607",
    "-0.03348810047595076",
    "0.015209040477973125",
)

CIRCLE = f"""constexpr double to_whole = 6755399441055744.0;  // added and taken off again, it rounds to whole numbers

ALWAYS_INLINE double part_of_turn(double turns) {{ return turns - ((turns + to_whole) - to_whole); }}

// The sine and the cosine of an angle that is less than an eighth of a turn from `quarter` quarters.
struct circular {{
    double sine, cosine;
    std::uint64_t quarter;
}};

ALWAYS_INLINE circular on_circle(float x) {{
    const double wide = x, size = std::fabs(wide);
    const bool middle = size >= 0x1p43, far = size >= 0x1p86;  // what is left out gives whole turns there
    const double a = far ? 0x1.fc27578p-66 : middle ? 0x1.b72722p-25 : 0x1.4p-3;
    const double b = far ? 0x1.47d4d37p-92 : middle ? 0x1.529fc2p-54 : 0x1.7cc1b7p-9;
    const double c = far ? 0x1.c0db628p-122 : middle ? 0x1.d5f47d4p-80 : 0x1.391054ap-36;
    const double d = far ? 0x1.5993c439041fep-150 : middle ? 0x1.a6ee06db14acdp-109 : 0x1.fc2757d1f534ep-66;
    const double most = part_of_turn(part_of_turn(wide * a) + part_of_turn(wide * b));
    const double quarters = 4.0 * (most + part_of_turn(wide * c) + wide * d), moved = quarters + to_whole;
    const double r = (quarters - (moved - to_whole)) * 1.5707963267948966, z = r * r;
    const double s = {horner(_SINE_32, "z")};
    const double q = {horner(_COSINE_32, "z")};
    return {{r * multiply_add(z, s, 1.0), multiply_add(z, q, 1.0), bits_of(moved)}};
}}

constexpr double digits[] = {{
    {_DIGITS}}};

ALWAYS_INLINE circular on_circle(double x) {{
    const std::uint64_t exponent = (bits_of(std::fabs(x) + 1.0) >> 52) - 1023;
    // x = (high + low) 2^(26 first), first = exponent / 26; digits before `first - 1` give whole turns
    const std::uint64_t first = exponent * 2521 >> 16;
    const double scaled = of_bits<double>(bits_of(x) - (26 * first << 52));
    const double high = of_bits<double>((bits_of(scaled) + (1u << 25)) & ~((std::uint64_t(1) << 26) - 1));
    const double low = scaled - high;
    const std::int64_t at = std::int64_t(first);
    const double d0 = part_of_turn(high * digits[at + 1]) + part_of_turn(low * 0x1p26 * digits[at]);
    const double d1 = (high * digits[at + 2] + low * 0x1p26 * digits[at + 1]) * 0x1p-26;
    const double d2 = (high * digits[at + 3] + low * 0x1p26 * digits[at + 2]) * 0x1p-52;
    const double d3 = (high * digits[at + 4] + low * 0x1p26 * digits[at + 3]) * 0x1p-78;
    const double d4 = (high * digits[at + 5] + low * 0x1p26 * digits[at + 4]) * 0x1p-104;
    const double d5 = (high * digits[at + 6] + low * 0x1p26 * digits[at + 5]) * 0x1p-130;
    const double d6 = (high * digits[at + 7] + low * 0x1p26 * digits[at + 6]) * 0x1p-156;
    double lost1, lost2, lost3, lost;
    const double most = part_of_turn(d0 + part_of_turn(d1));
    const double turns = exact_sum(exact_sum(exact_sum(most, d2, lost1), d3, lost2), d4, lost3);
    const double rest = lost1 + lost2 + lost3 + (d5 + d6) + (x - x);  // NaN of what is not finite
    const double moved = 4.0 * turns + to_whole;
    const double part = exact_sum(4.0 * turns - (moved - to_whole), 4.0 * rest, lost);
    double tail;
    const double angle = exact_product(part, 1.5707963267948966, tail);
    const bool near = std::fabs(x) < 0.785;
    const double r = near ? x : angle;
    const double e = near ? 0.0 : tail + (part * 6.123233995736766e-17 + lost * 1.5707963267948966);
    const double z = r * r;
    const double s = {horner(_SINE_64, "z")};
    const double q = {horner(_COSINE_64, "z")};
    const double half = 0.5 * z, one = 1.0 - half;
    const double cosine = one + ((1.0 - one - half) + (z * z * q - r * e));
    const double sine = near && r == 0.0 ? r : r + (r * z * s + e * one);
    return {{sine, cosine, bits_of(near ? to_whole : moved)}};
}}

// One of two numbers by the last bit of `quarter`, its sign turned by the last bit of `turned`.
ALWAYS_INLINE double one_of(double even, double odd, std::uint64_t quarter, std::uint64_t turned) {{
    const std::uint64_t mask = 0 - (quarter & 1);
    return of_bits<double>(((bits_of(even) & ~mask) | (bits_of(odd) & mask)) ^ (turned << 63));
}}"""

SINE = """template <typename real> ALWAYS_INLINE real fn_sin(real x) {
    const circular at = on_circle(x);
    return real(one_of(at.sine, at.cosine, at.quarter, at.quarter >> 1));
}"""

COSINE = """template <typename real> ALWAYS_INLINE real fn_cos(real x) {
    const circular at = on_circle(x);
    return real(one_of(at.cosine, at.sine, at.quarter, (at.quarter + 1) >> 1));
}"""

TANGENT = """template <typename real> ALWAYS_INLINE real fn_tan(real x) {
    const circular at = on_circle(x);
    const double above = one_of(at.sine, at.cosine, at.quarter, 0);
    return real(above / one_of(at.cosine, at.sine, at.quarter, at.quarter));
}"""

INVERSE_TANGENT = f"""ALWAYS_INLINE float atan_tail(float z) {{ return {horner(_ATAN_32, "z")}; }}
ALWAYS_INLINE double atan_tail(double z) {{ return {horner(_ATAN_64, "z")}; }}

// About 0, about pi / 4, about pi / 2: the tangent of what is left is less than tan(pi / 8).
template <typename real> ALWAYS_INLINE real fn_atan(real x) {{
    constexpr double quarter = 0.78539816339744830962;
    const real size = std::fabs(x);
    const bool middle = size > real(0.41421356237309503), far = size > real(2.414213562373095);
    const real above = far ? real(-1) : middle ? size - real(1) : size;
    const real below = far ? size : middle ? size + real(1) : real(1);
    const real whole = far ? real(2 * quarter) : middle ? real(quarter) : real(0);
    const real rest = sizeof(real) == 4 ? real(2 * quarter - double(real(2 * quarter))) : real(6.123233995736766e-17);
    const real t = above / below, z = t * t;
    const real less = far ? rest : middle ? real(0.5) * rest : real(0);
    return std::copysign(whole + (t + (t * z * atan_tail(z) + less)), x);
}}"""
