"""A launch in the simulator from a kernel's entry in the manifest: each array a buffer, inputs read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ptxsim import Buffer, Machine, Module, Stats

from cuda_proof.numbers import POINTERS, Array, packed
from neurodsl.runtime.arithmetic import evaluate

Key = tuple[str, str]
"""Role of an argument, and what it is of; for gradients of recordings, the role is `grad_recorded`."""

WRITTEN = "written"
"""In place of an array: one that the kernel is to fill."""


@dataclass(frozen=True)
class Launched:
    """What a kernel left behind."""

    stats: Stats
    buffers: dict[Key, Buffer]

    def array(self, *key: str) -> Array:
        """The content of an array."""
        role, of = key
        return self.buffers[role, of].array()


def key_of(argument: dict[str, Any]) -> Key:
    """Role, and what the argument is of."""
    role = argument["role"]
    if role == "grad_output" and argument.get("recorded"):
        role = "grad_recorded"
    return role, argument.get("of", argument["name"])


def sizes_of(entry: dict[str, Any], steps: int, neurons: int) -> dict[str, int]:
    """What the manifest's expressions are of."""
    names = {"T": steps, "N": neurons, "C": 1, "inner": neurons}
    return names | {key: entry[key] for key in ("block", "elements_per_thread") if key in entry}


def shape_of(argument: dict[str, Any], sizes: dict[str, int]) -> tuple[int, ...]:
    """Of an array."""
    return tuple(evaluate(text, sizes) for text in argument["shape"])


def launch(
    module: Module,
    entry: dict[str, Any],
    values: dict[Key, Any],
    size: tuple[int, int],
    *,
    grid: int | None = None,
    aligned: bool | str = True,
    noise: bool = False,
    races: bool = True,
) -> Launched:
    """Run one kernel; a fault raises.

    Args:
        module: its PTX.
        entry: of the manifest.
        values: arrays, numbers and WRITTEN, by key; what is missing is null or 0.
        size: T and N.
        grid: blocks, if not those of the manifest.
        aligned: whether arrays begin where vectors may, else an element after that; a name: all but this array.
        noise: whether approximate instructions err.
        races: whether data races are looked for.
    """
    machine = Machine(module, races=races, noise=noise, seed=size[1])
    sizes = sizes_of(entry, *size)
    blocks = evaluate(entry["grid"], sizes) if grid is None else grid
    buffers: dict[Key, Buffer] = {}
    given: list[Any] = []
    for argument in entry["arguments"]:
        key = key_of(argument)
        value = {"steps": size[0], "neurons": size[1]}.get(argument["role"], values.get(key))
        if not argument["type"].endswith("*"):
            given.append(0 if value is None else value)
            continue
        if value is not None:
            buffers[key] = _buffer(
                machine,
                argument,
                value,
                {**sizes, "blocks": blocks},
                aligned not in (False, argument["name"]),
            )
        given.append(buffers.get(key))
    stats = machine.launch(entry["symbol"], blocks, entry["block"], given) if blocks else None
    assert stats is not None
    for (role, of), buffer in buffers.items():
        if isinstance(values[role, of], str):
            assert buffer.unwritten() == 0, f"{entry['symbol']}: {of} ({role}) has gaps"
    return Launched(stats, buffers)


def _buffer(
    machine: Machine, argument: dict[str, Any], value: Any, sizes: dict[str, int], aligned: bool
) -> Buffer:
    kind = np.dtype(POINTERS[argument["type"]])
    misalign = 0 if aligned else kind.itemsize
    name = argument["name"]
    if isinstance(value, str):
        shape = shape_of(argument, sizes)
        if argument["role"] == "workspace" and name == "partials":
            shape = (shape[0], sizes["blocks"])
        return machine.buffer(name, shape, kind, misalign=misalign)
    content = packed(np.asarray(value), argument["type"])
    fixed = argument["access"] == "read"
    return machine.buffer(name, content, kind, readonly=fixed, misalign=misalign)
