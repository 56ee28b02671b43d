"""The generator of covering selections."""

from __future__ import annotations

from itertools import product

import pytest

from cuda_proof.pairwise import Row, covering, pairs_of

FACTORS = {"a": (1, 2, 3, 4, 5), "b": ("x", "y", "z"), "c": (True, False), "d": (0, 1, 2)}


def covers(rows: list[Row], pair: tuple[tuple[str, object], tuple[str, object]]) -> bool:
    return any(all(row[name] == value for name, value in pair) for row in rows)


def test_every_pair_stands_in_a_row() -> None:
    rows = covering(FACTORS)
    assert all(covers(rows, pair) for pair in pairs_of(FACTORS, lambda row: True))
    assert all(list(row) and set(row) == set(FACTORS) for row in rows)


def test_few_rows() -> None:
    assert len(covering(FACTORS)) <= 20 < len(list(product(*FACTORS.values())))


def test_the_same_seed_gives_the_same_rows() -> None:
    assert covering(FACTORS, seed=3) == covering(FACTORS, seed=3)
    assert covering(FACTORS, seed=3) != covering(FACTORS, seed=4)


def test_what_is_not_allowed_stands_nowhere() -> None:
    def allowed(row: Row) -> bool:
        return not (row.get("a") == 1 and row.get("b", "x") != "x")

    rows = covering(FACTORS, allowed)
    assert all(row["b"] == "x" for row in rows if row["a"] == 1)
    assert all(covers(rows, pair) for pair in pairs_of(FACTORS, allowed))
    assert not covers(rows, (("a", 1), ("b", "y")))


def test_a_dead_end_is_said() -> None:
    def allowed(row: Row) -> bool:
        return len(row) < 3

    with pytest.raises(ValueError, match="no value of"):
        covering(FACTORS, allowed)
