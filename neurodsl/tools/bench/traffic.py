"""Counted traffic: the bytes that a kernel must read and write, from its manifest, each array once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from neurodsl.runtime.arithmetic import evaluate

SIZES = {"float": 4, "double": 8, "half": 2}
SIZES |= {f"{sign}int{bits}_t": bits // 8 for bits in (8, 16, 32, 64) for sign in ("", "u")}

ALWAYS = ("input", "output", "final_state", "saved", "grad_input")
"""Roles of arrays that every call of ours passes; other pointers may be null."""


def passes(argument: Mapping[str, Any], first_output: str, steps: int) -> bool:
    """Whether a call passes this array.

    Such a call starts from numbers where it may, keeps the final states, records nothing, has a gradient for the first
    output only, and wants those of the inputs only.
    """
    role = argument["role"]
    if argument.get("every", 1) > 1:
        return bool(steps > argument["above"])
    if role == "grad_output":
        return not argument.get("recorded") and argument.get("of") == first_output
    if role in ("initial_state", "param_tensor", "uniform_tensor"):
        return not argument.get("optional", False)
    return role in ALWAYS


def extent(shape: Collection[str | int], sizes: Mapping[str, int]) -> int:
    """Elements of an array whose shape the manifest gives in `T`, `N`, `C` and the like."""
    return math.prod(evaluate(str(size), sizes) for size in shape)


def bytes_of(argument: Mapping[str, Any], sizes: Mapping[str, int]) -> int:
    """Bytes of one array."""
    return extent(argument["shape"], sizes) * SIZES[argument["type"].rstrip("*")]


def counted(kernel: Mapping[str, Any], first_output: str, steps: int, neurons: int) -> int:
    """Bytes that one call of a kernel reads and writes, each array once, with one neuron a channel."""
    sizes = {"T": steps, "N": neurons, "C": neurons, "inner": 1}
    return sum(
        bytes_of(argument, sizes)
        for argument in kernel["arguments"]
        if argument["type"].endswith("*") and passes(argument, first_output, steps)
    )


def of_neuron(
    manifest: Mapping[str, Any], dtype: str, steps: int, neurons: int
) -> tuple[int, int, int]:
    """Counted bytes of a forward pass, of one that backward may follow, and of a backward pass."""
    kernels = {
        kernel["pass"]: kernel
        for kernel in manifest["kernels"]
        if kernel["target"] == "cpp" and kernel["dtype"] == dtype and "requires" not in kernel
    }
    first = manifest["outputs"][0]
    train = kernels.get("forward_train", kernels["forward"])
    each = (kernels["forward"], train, kernels["backward"])
    forward, training, backward = (counted(kernel, first, steps, neurons) for kernel in each)
    return forward, training, backward
