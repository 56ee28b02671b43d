"""The four dtypes as NumPy arrays: what is computed in, and what the arrays `[T, N]` hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]

ELEMENTS = {"float32": "f4", "float64": "f8", "float16": "f2", "bfloat16": "u2"}
"""Elements of arrays `[T, N]`; bfloat16 as its bits."""

POINTERS = {"float*": "f4", "double*": "f8", "half*": "f2", "uint16_t*": "u2", "uint32_t*": "u4"}

EPSILONS = {"float32": 2.0**-23, "float64": 2.0**-52, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def computed_in(dtype: str) -> Any:
    """The type of states and params."""
    return np.float64 if dtype == "float64" else np.float32


def packed(values: Array, kind: str) -> Array:
    """Numbers as a kernel's array holds them, rounded once; `kind` is one of POINTERS."""
    if kind != "uint16_t*":
        with np.errstate(over="ignore"):
            return values.astype(POINTERS[kind])
    tensor = torch.from_numpy(np.ascontiguousarray(values.astype(np.float32)))
    return tensor.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)


def unpacked(values: Array, dtype: str) -> Array:
    """What a kernel's array of two bytes or more says, as what is computed in."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(computed_in(dtype))


def spikes_of(words: Array, neurons: int) -> Array:
    """`[T, N]` of words of 32 neurons; the bits after the last neuron must be 0."""
    bits = np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little")
    assert not bits[:, neurons:].any(), "bits of no neuron are set"
    return bits[:, :neurons].astype(np.float32)


def rounded(values: Array, dtype: str) -> Array:
    """Numbers of the dtype, as what is computed in."""
    kind = {"f4": "float*", "f8": "double*", "f2": "half*", "u2": "uint16_t*"}[ELEMENTS[dtype]]
    return unpacked(packed(values, kind), dtype)
