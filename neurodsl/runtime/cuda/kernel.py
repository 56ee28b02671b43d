"""A pass of a neuron on a GPU: the kernel that suits a call, its workspaces, its launch, and the sums after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from neurodsl.runtime.arithmetic import evaluate, holds, names_in
from neurodsl.runtime.cuda.errors import CudaError
from neurodsl.runtime.cuda.packing import Packing
from neurodsl.runtime.cuda.reductions import atomic_gradients

Entry = dict[str, Any]
"""A kernel's entry in a manifest."""

LARGEST_GRID = 2**31 - 1
ALIGNMENT = 16
"""Bytes, of every array given to a kernel that `requires` something."""

PARTIALS = "partials"
"""The workspace of each block's part of a gradient. Null: blocks add to the gradient atomically."""

MOST_KEPT = 256
"""Sizes of calls for which what was worked out is kept."""

_SIZES = {"steps": "T", "neurons": "N", "channels": "C", "inner": "inner"}
_DTYPES = {
    "float*": torch.float32,
    "double*": torch.float64,
    "half*": torch.float16,
    "int32_t*": torch.int32,
    "int64_t*": torch.int64,
    "uint8_t*": torch.uint8,
    "uint16_t*": torch.int16,
    "uint32_t*": torch.int32,
}
"""What holds a workspace; of unsigned whole numbers, what is as wide."""


class Loaded(Protocol):
    """What is loaded on a device."""

    device: torch.device

    def function(self, symbol: str, dtype: str) -> int:
        """A kernel, of those for a dtype."""

    def launch(
        self, function: int, grid: int, block: int, shared_bytes: int, arguments: Any
    ) -> None:
        """Put a kernel on PyTorch's current stream of the device."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a launch takes for some sizes: its grid, and the shape of each workspace."""

    grid: int
    workspaces: tuple[tuple[int, ...], ...]


class Function:
    """One kernel, with the argument list of the manifest."""

    def __init__(self, library: Loaded, entry: Entry) -> None:
        self.entry, self._library = entry, library
        self.arguments: list[dict[str, Any]] = entry["arguments"]
        self.names = [argument["name"] for argument in self.arguments]
        self.requires: str | None = entry.get("requires")
        self.workspaces = [p for p, a in enumerate(self.arguments) if a["role"] == "workspace"]
        self._sizes = [
            (_SIZES[a["role"]], p) for p, a in enumerate(self.arguments) if a["role"] in _SIZES
        ]
        self._constants = {
            "block": entry["block"],
            "elements_per_thread": entry["elements_per_thread"],
        }
        self._extents: dict[tuple[int, ...], Extent] = {}
        self._packing = Packing([argument["type"] for argument in self.arguments])
        self._function = library.function(entry["symbol"], entry["dtype"])

    def sizes(self, values: Sequence[Any]) -> dict[str, int]:
        """T, N and C of a call, as far as the kernel is told them."""
        return {name: values[place] for name, place in self._sizes}

    def extent(self, values: Sequence[Any]) -> Extent:
        """The grid and the workspaces of a call."""
        key = tuple([values[place] for _, place in self._sizes])
        found = self._extents.get(key)
        if found is None:
            names = {**self.sizes(values), **self._constants}
            shapes = [self.arguments[place]["shape"] for place in self.workspaces]
            found = Extent(
                evaluate(self.entry["grid"], names),
                tuple(tuple(evaluate(size, names) for size in shape) for shape in shapes),
            )
            if len(self._extents) > MOST_KEPT:
                self._extents.clear()
            self._extents[key] = found
        return found

    def launch(self, values: Sequence[Any], grid: int) -> None:
        """Put it on PyTorch's current stream.

        Raises:
            CudaError: the driver refused it, or there are more neurons than a grid can have.
        """
        entry, device = self.entry, self._library.device
        block, shared = entry["block"], entry["shared_bytes"]
        where = f"the kernel {entry['symbol']} was not launched on {device}"
        if grid > LARGEST_GRID:
            raise CudaError(
                f"{where}: {self.sizes(values)} would take a grid of {grid} blocks, and CUDA has at most "
                f"{LARGEST_GRID}\n  to mend it: split the batch"
            )
        try:
            addresses = self._packing.addresses(values)
            self._library.launch(self._function, grid, block, shared, addresses)
        except CudaError as error:
            asked = f"grid {grid}, block {block}, {shared} bytes of shared memory"
            raise CudaError(f"{where} ({asked}): {error}", error.status) from None


class CudaKernel:
    """One pass for one dtype: of its kernels, each call takes the first whose requirements hold.

    Kernels that leave each block's part of the params' gradients in a workspace are followed by `reduce`, which adds
    the parts up in a fixed order; where atomic additions are asked for, those that can do without both.
    """

    def __init__(
        self, library: Loaded, entries: Sequence[Entry], reduces: Sequence[Entry] = ()
    ) -> None:
        """`entries` are those of one pass and dtype, `reduces` those of the second stage; one has no `requires`.

        Raises:
            CudaError: the image does not have them.
        """
        general = next(entry for entry in entries if not entry.get("requires"))
        self.arguments: list[dict[str, Any]] = general["arguments"]
        self.symbol: str = general["symbol"]
        self._device = library.device
        self._general = Function(library, general)
        told = self._general.sizes([0] * len(self.arguments)).keys()
        self._special = [
            Function(library, entry)
            for entry in entries
            if (text := entry.get("requires")) and names_in(text) <= told
        ]
        self._choices: dict[tuple[int, ...], Function] = {}
        self._reduces = [Function(library, entry) for entry in reduces]
        self._names = self._general.names
        self._arrays = [
            place
            for place, a in enumerate(self.arguments)
            if a["type"].endswith("*") and a["role"] != "workspace" and a.get("shape")
        ]
        self._gradients = [p for p, a in enumerate(self.arguments) if a["role"] == "grad_param"]

    def __call__(self, values: list[Any]) -> None:
        """Launch with addresses and numbers (0 for null), workspaces left 0.

        Raises:
            CudaError: the driver refused it.
        """
        chosen = self._choice(values)
        if chosen is not self._general:
            given = dict(zip(self._names, values, strict=True))
            values = [given.get(name, 0) for name in chosen.names]
        extent = chosen.extent(values)
        if extent.grid <= 0:
            return
        summing = any(values[place] for place in self._gradients)
        held = self._workspaces(chosen, extent, values, summing)
        chosen.launch(values, extent.grid)
        if summing and self._reduces:
            self._sum(chosen, values)
        del held  # PyTorch gives this memory to later work on the same stream only

    def _choice(self, values: Sequence[Any]) -> Function:
        if not self._special or any(values[place] % ALIGNMENT for place in self._arrays):
            return self._general
        sizes = self._general.sizes(values)
        key = tuple(sizes.values())
        if key not in self._choices:
            fitting = (f for f in self._special if f.requires and holds(f.requires, sizes))
            if len(self._choices) > MOST_KEPT:
                self._choices.clear()
            self._choices[key] = next(fitting, self._general)
        return self._choices[key]

    def _workspaces(
        self, function: Function, extent: Extent, values: list[Any], summing: bool
    ) -> list[torch.Tensor]:
        """Memory from PyTorch for each workspace that the call needs."""
        held = []
        atomic = summing and atomic_gradients()
        for place, shape in zip(function.workspaces, extent.workspaces, strict=True):
            argument = function.arguments[place]
            if values[place] or (argument.get("optional") and not summing):
                continue
            if atomic and argument["name"] == PARTIALS:
                continue
            dtype = _DTYPES[argument["type"]]
            held.append(torch.empty(shape, dtype=dtype, device=self._device))
            values[place] = held[-1].data_ptr()
        return held

    def _sum(self, function: Function, values: Sequence[Any]) -> None:
        """The second stage, with what the first was given; nothing to do where it left no parts."""
        reduce = next(
            (r for r in self._reduces if r.requires == function.requires), self._reduces[-1]
        )
        given = dict(zip(function.names, values, strict=True))
        parts = [reduce.names[place] for place in reduce.workspaces]
        if not any(given[name] for name in parts):
            return
        named = [given[name] for name in reduce.names]
        if not given.get(PARTIALS):  # these have been added to already
            for place, argument in enumerate(reduce.arguments):
                if argument["role"] == "grad_param" and not argument["shape"]:
                    named[place] = 0
        reduce.launch(named, reduce.extent(named).grid)
