"""The function phi(M) = (exp(M) - 1) / M of a small matrix, which one step of a linear system takes.

    x(dt) = x(0) + dt phi(A dt) (A x(0) + b)    for    dx/dt = A x + b,

singular A included: phi(M) = sum of M^k / (k + 1)! (Higham, Functions of Matrices, 2008, section 10.7.4).
"""

from __future__ import annotations

import math
from functools import lru_cache

Matrix = tuple[tuple[float, ...], ...]

_TERMS = 18
"""Of the series; the norm is at most 1/2 there."""


def phi(entries: tuple[float, ...]) -> tuple[float, ...]:
    """Work out a square matrix, given and returned row by row; NaN throughout where the given one is not finite."""
    return _phi(entries)


@lru_cache(maxsize=1024)
def _phi(entries: tuple[float, ...]) -> tuple[float, ...]:
    size = math.isqrt(len(entries))
    if not all(map(math.isfinite, entries)):
        return (math.nan,) * len(entries)
    rows = [entries[k * size : (k + 1) * size] for k in range(size)]
    norm = max(sum(map(abs, row)) for row in rows)
    halvings = max(0, math.frexp(norm)[1] + 1)
    matrix = tuple(tuple(math.ldexp(x, -halvings) for x in row) for row in rows)
    result = _series(matrix)
    power = _plus_identity(_times(matrix, result))
    for _ in range(halvings):
        # phi(2M) = (exp(M) + 1) phi(M) / 2
        doubled = _times(_plus_identity(power), result)
        result = tuple(tuple(x / 2 for x in row) for row in doubled)
        power = _times(power, power)
    return tuple(x for row in result for x in row)


def _series(matrix: Matrix) -> Matrix:
    """Horner: 1 + M/2 (1 + M/3 (1 + …))."""
    size = len(matrix)
    total: Matrix = tuple(tuple(float(i == j) for j in range(size)) for i in range(size))
    for k in range(_TERMS, 1, -1):
        scaled = tuple(tuple(x / k for x in row) for row in _times(matrix, total))
        total = _plus_identity(scaled)
    return total


def _plus_identity(matrix: Matrix) -> Matrix:
    return tuple(tuple(x + (i == j) for j, x in enumerate(row)) for i, row in enumerate(matrix))


def _times(a: Matrix, b: Matrix) -> Matrix:
    columns = list(zip(*b, strict=True))
    return tuple(
        tuple(sum(x * y for x, y in zip(row, column, strict=True)) for column in columns)
        for row in a
    )
