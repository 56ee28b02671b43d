"""Which NumPy types hold the values of PTX types."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

UNSIGNED: dict[int, type] = {0: bool, 1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""Bit patterns by size in bytes; a predicate has size 0."""

NUMPY: dict[str, type] = {
    "pred": bool,
    "f32": np.float32,
    "f64": np.float64,
    # Formats without arithmetic in NumPy are held as bits.
    "f16": np.uint16,
    "bf16": np.uint16,
    "f16x2": np.uint32,
    "bf16x2": np.uint32,
    **{f"{kind}{8 * size}": UNSIGNED[size] for size in (1, 2, 4, 8) for kind in "ub"},
    **{f"s{8 * size}": np.dtype(f"i{size}").type for size in (1, 2, 4, 8)},
}

FLOATS = frozenset({"f32", "f64", "f16", "bf16", "f16x2", "bf16x2"})
PACKED = frozenset({"f16x2", "bf16x2"})
ROUNDINGS = frozenset({"rn", "rz", "rm", "rp"})
ONE_BITS = {"f16": 0x3C00, "bf16": 0x3F80, "f16x2": 0x3C00, "bf16x2": 0x3F80}


def scalar_format(kind: str) -> str:
    """`f16` of `f16x2`, anything else as it is."""
    return kind.removesuffix("x2")


def rounding_of(modifiers: tuple[str, ...]) -> str:
    """The rounding mode among the modifiers; to nearest if there is none."""
    return next((m for m in modifiers if m in ROUNDINGS), "rn")
