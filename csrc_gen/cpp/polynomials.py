"""Polynomials in C++ by Horner's rule, each step one rounding where the machine has it."""

from __future__ import annotations

from collections.abc import Sequence


def horner(coefficients: Sequence[str], variable: str) -> str:
    """An expression: coefficients of ascending powers."""
    text = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        text = f"multiply_add({text}, {variable}, {coefficient})"
    return text
