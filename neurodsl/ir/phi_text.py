"""An entry of `(exp(M) - 1) / M` in the manifest's expression language.

Of a 2x2 matrix with the eigenvalues m +- sqrt(D), in closed form: alpha 1 + beta M, where beta is the divided
difference of exp at 0 and both eigenvalues. It is taken where nothing cancels: as a series near 0, else between the
two points that are farthest apart. Of a larger matrix the language has no closed form: `phi(row, column, entries)`.
"""

from __future__ import annotations

from math import comb, factorial

_DEGREE = 18


def phi_text(entries: tuple[str, ...], size: int, row: int, column: int) -> str:
    """The text of one entry, `entries` being texts of the matrix's, row by row."""
    if size != 2:
        return f"phi({row}, {column}, {', '.join(entries)})"
    a, b, c, d = (f"({text})" for text in entries)
    m = f"(({a} + {d}) / 2)"
    q = f"((({a} - {d}) / 2) ** 2 + {b} * {c})"
    beta = _beta(m, q)
    if row != column:
        return f"({beta}) * {b if row == 0 else c}"
    return f"({_mean(m, q)}) + ({beta}) * ({a if row == 0 else d} - 2 * {m})"


def _exprel(x: str) -> str:
    return f"(expm1({x}) / {x} if {x} != 0 else 1)"


def _mean(m: str, q: str) -> str:
    """The divided difference of exp at both eigenvalues: exp(m) sinh(sqrt(q)) / sqrt(q)."""
    above = f"exp({m} - sqrt({q})) * {_exprel(f'(2 * sqrt({q}))')}"
    below = f"exp({m}) * sin(sqrt(-{q})) / sqrt(-{q})"
    return f"({above}) if {q} > 0 else ({below}) if {q} < 0 else exp({m})"


def _beta(m: str, q: str) -> str:
    root, wave = f"sqrt({q})", f"sqrt(-{q})"
    far = f"({m} + ({root} if {m} > 0 else -{root}))"
    near = f"({m} - ({root} if {m} > 0 else -{root}))"
    one_side = f"(({_mean(m, q)}) - {_exprel(near)}) / {far}"
    plus, minus = f"({m} + {root})", f"({m} - {root})"
    two_sides = f"({_exprel(plus)} - {_exprel(minus)}) / (2 * {root})"
    real = f"(({one_side}) if fabs({m}) >= {root} else ({two_sides}))"
    complex_ = f"(1 + {m} * ({_mean(m, q)}) - exp({m}) * cos({wave})) / ({m} ** 2 - {q})"
    small = f"fabs({m}) + sqrt(fabs({q})) < 1"
    return f"({_series(m, q)}) if {small} else {real} if {q} > 0 else ({complex_})"


def _series(m: str, q: str) -> str:
    """The sum over k of h_k / (k + 2)!, h_k the complete homogeneous polynomial of the eigenvalues."""
    text = ""
    for power in reversed(range(_DEGREE // 2 + 1)):
        inner = _horner(
            m,
            [comb(k + 1, 2 * power + 1) / factorial(k + 2) for k in range(2 * power, _DEGREE + 1)],
        )
        text = f"({inner}) + {q} * ({text})" if text else inner
    return text


def _horner(x: str, coefficients: list[float]) -> str:
    text = repr(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        text = f"{coefficient!r} + {x} * ({text})"
    return text
