"""A covering selection: few rows in which every two values of two factors meet somewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from random import Random
from typing import Any

Row = dict[str, Any]
Pair = tuple[tuple[str, Any], tuple[str, Any]]
Allowed = Callable[[Row], bool]


def covering(
    factors: Mapping[str, Sequence[Any]], allowed: Allowed = lambda row: True, seed: int = 0
) -> list[Row]:
    """Rows, each a value for every factor, that hold every pair of values which can stand together.

    Args:
        factors: the values of each, by name.
        allowed: whether a row is possible. It is asked of rows that lack factors, too, and says no only where no
            values for those could help.
        seed: the same seed gives the same rows.
    """
    random = Random(seed)
    missing = dict.fromkeys(pairs_of(factors, allowed))
    rows = []
    while missing:
        row = _filled(dict(next(iter(missing))), factors, allowed, missing, random)
        for pair in combinations(((f, row[f]) for f in factors), 2):
            missing.pop(pair, None)
        rows.append(row)
    return rows


def pairs_of(factors: Mapping[str, Sequence[Any]], allowed: Allowed) -> list[Pair]:
    """Every pair of values of two factors that can stand together."""
    return [
        ((a, x), (b, y))
        for a, b in combinations(factors, 2)
        for x in factors[a]
        for y in factors[b]
        if allowed({a: x, b: y})
    ]


def _filled(
    row: Row,
    factors: Mapping[str, Sequence[Any]],
    allowed: Allowed,
    missing: Mapping[Pair, None],
    random: Random,
) -> Row:
    """The row with the other factors chosen one after another, so that most missing pairs come in."""
    order = list(factors)
    for factor in sorted(factors, key=lambda f: (f not in row, random.random())):
        if factor in row:
            continue
        best, most = None, -1.0
        for value in factors[factor]:
            if not allowed({**row, factor: value}):
                continue
            met = sum(_pair(order, factor, value, f, v) in missing for f, v in row.items())
            score = met + random.random() / 2
            if score > most:
                best, most = value, score
        if most < 0:
            raise ValueError(f"no value of {factor} goes with {row}")
        row[factor] = best
    return row


def _pair(order: list[str], a: str, x: Any, b: str, y: Any) -> Pair:
    first, second = (a, x), (b, y)
    return (first, second) if order.index(a) < order.index(b) else (second, first)
