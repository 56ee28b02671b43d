"""The language's functions in C++ and CUDA, as templates over `real`; only those that a file calls are printed.

Each is within 4 units in the last place of the true value, or exact where the language promises it. NaN passes
through all of them. `min`, `max`, `clip` and `relu` are selections. The CPU has most of the inexact ones from
`cpp/vector_functions.py` instead.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

_BODIES: dict[str, tuple[str, str]] = {
    "square": ("real x", "return x * x;"),
    "cube": ("real x", "return x * x * x;"),
    "pow": ("real x, real y", "return {std}pow(x, y);"),
    "exp": ("real x", "return {std}exp(x);"),
    "log": ("real x", "return {std}log(x);"),
    "expm1": ("real x", "return {std}expm1(x);"),
    "log1p": ("real x", "return {std}log1p(x);"),
    "exprel": (
        "real x",
        "const real half = {std}exp(x * real(0.5)), far = half == real(INFINITY) ? half : half / x * half;\n"
        "    return x == real(0) ? real(1) : x > real(40) ? far : {std}expm1(x) / x;",
    ),
    "sqrt": ("real x", "return {std}sqrt(x);"),
    "rsqrt": ("real x", "return real(1) / {std}sqrt(x);"),
    "abs": ("real x", "return {std}fabs(x);"),
    "sign": (
        "real x",
        "return x > real(0) ? real(1) : x < real(0) ? real(-1) : x != x ? x : real(0);",
    ),
    "floor": ("real x", "return {std}floor(x);"),
    "ceil": ("real x", "return {std}ceil(x);"),
    "round": ("real x", "return {std}rint(x);"),
    "min": ("real x, real y", "return x < y || x != x ? x : y;"),
    "max": ("real x, real y", "return x > y || x != x ? x : y;"),
    "clip": (
        "real x, real low, real high",
        "const real y = x < low || low != low ? low : x;\n"
        "    return y > high || high != high ? high : y;",
    ),
    "sin": ("real x", "return {std}sin(x);"),
    "cos": ("real x", "return {std}cos(x);"),
    "tan": ("real x", "return {std}tan(x);"),
    "atan": ("real x", "return {std}atan(x);"),
    "erf": ("real x", "return {std}erf(x);"),
    "sigmoid": (
        "real x",
        "const real e = {std}exp(-{std}fabs(x));\n"
        "    return (x >= real(0) ? real(1) : e) / (real(1) + e);",
    ),
    "tanh": ("real x", "return {std}tanh(x);"),
    "softplus": (
        "real x",
        "const real above = x > real(0) || x != x ? x : real(0);\n"
        "    return above + {std}log1p({std}exp(-{std}fabs(x)));",
    ),
    "relu": ("real x", "return x < real(0) ? real(0) : x;"),
    "heaviside": ("real x", "return x >= real(0) ? real(1) : real(0);"),
}


def function_texts(
    names: Iterable[str], *, prefix: str, std: str, without: Container[str] = ()
) -> list[str]:
    """Definitions in the order of the language's table.

    Args:
        names: the functions called.
        prefix: what stands before each, such as `static inline`.
        std: what stands before the standard library's, such as `std::`.
        without: functions that are printed elsewhere.
    """
    wanted = set(names)
    return [
        f"template <typename real> {prefix} real fn_{name}({parameters}) {{\n"
        f"    {body.replace('{std}', std)}\n}}"
        for name, (parameters, body) in _BODIES.items()
        if name in wanted and name not in without
    ]
