"""Bytes that a kernel has to move once, from its argument list, and those that it was seen to move when executed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from neurodsl.runtime.arithmetic import evaluate

STEPS = 16
"""Time steps, of the counts and of every figure that depends on them."""

_OF_PARAMS = frozenset(("param_tensor", "uniform_tensor", "grad_param", "workspace"))
_SIZES = {"half": 2, "float": 4, "double": 8, "int32_t": 4, "int64_t": 8, "uint8_t": 1}
_SIZES |= {"uint16_t": 2, "uint32_t": 4}


@dataclass(frozen=True, slots=True)
class Count:
    """What a kernel moved when it was executed in a simulator, in bytes of the whole launch."""

    neurons: int
    least: int
    """Of the arrays that it touches: some gradients depend on less than the argument list has."""
    asked: int
    """By its threads."""
    moved: int
    """In sectors of 32 bytes, counted for each access of a warp: what leaves L1 if L1 never hits."""


def is_moved(argument: dict[str, Any], steps: int) -> bool:
    """Whether a plain run moves an array: not what is recorded or of params, checkpoints only where there are some."""
    if not argument["type"].endswith("*") or argument["role"] in _OF_PARAMS:
        return False
    if argument["role"] == "recorded" or argument.get("recorded"):
        return False
    return bool(argument["shape"]) and steps > int(argument.get("above", 0))


def minimum_bytes(entry: dict[str, Any], steps: int, neurons: int) -> int:
    """Bytes of the arrays that a plain run has to move once: inputs, outputs, states, gradients, checkpoints.

    Args:
        entry: the kernel's, of a manifest.
        steps: T.
        neurons: N.
    """
    names = {"T": steps, "N": neurons, "C": 1, "inner": neurons}
    total = 0
    for argument in entry["arguments"]:
        if is_moved(argument, steps):
            count = _SIZES[argument["type"].removesuffix("*")]
            for size in argument["shape"]:
                count *= evaluate(size, names)
            total += count
    return total


def counted(neuron: str, entry: dict[str, Any]) -> Count | None:
    """What the kernel of a library neuron was seen to move at `STEPS` time steps; None if it was not executed."""
    found = _counts()["neurons"].get(neuron, {}).get(entry["dtype"], {}).get(entry["pass"])
    return Count(_counts()["N"], *found) if found else None


@cache
def _counts() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("counted.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
