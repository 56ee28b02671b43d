"""The `.approx` instructions: correctly rounded, or moved at random within NVIDIA's documented error.

NVIDIA documents error bounds for these instructions, not their bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ptxsim.formats import Array

BOUNDS = {
    "rcp": (2**-23, 0.0),
    "div": (2**-22, 0.0),
    "sqrt": (2**-23, 0.0),
    "rsqrt": (2**-22.9, 0.0),
    "ex2": (2**-22, 0.0),
    "lg2": (2**-22, 2**-22),
    "sin": (0.0, 2**-20.5),
    "cos": (0.0, 2**-20.5),
    "tanh": (2**-11, 0.0),
}
"""(relative, absolute) error bounds of the float32 forms, as in the PTX ISA manual."""

EXACT: dict[str, Callable[[Array], Array]] = {
    "rcp": lambda x: 1.0 / x,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "ex2": np.exp2,
    "lg2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
}

_HIGH_WORD = np.uint64(0xFFFF_FFFF_0000_0000)


def disturb(name: str, value: Array, generator: np.random.Generator) -> Array:
    """Move correct values anywhere within the documented error of an instruction."""
    relative, absolute = BOUNDS[name]
    noise = generator.uniform(-1, 1, np.shape(value))
    out = value + noise * (np.abs(value) * relative + absolute)
    return np.where(np.isfinite(value), out, value)


def gross_f64(name: str, x: Array) -> Array:
    """`rcp.approx.ftz.f64` and `rsqrt.approx.ftz.f64`: of the upper 32 bits, giving the upper 32 bits."""
    high = (np.atleast_1d(x).view(np.uint64) & _HIGH_WORD).view(np.float64)
    return (np.ascontiguousarray(EXACT[name](high)).view(np.uint64) & _HIGH_WORD).view(np.float64)
