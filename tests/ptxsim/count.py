"""Counts what the library's kernels move when they are executed, for `neurodsl roofline`.

python -m ptxsim.count [NEURON ...] [--dtype float32,float64]     rewrites neurodsl/tools/roofline/counted.json

A count is of one launch at 16 time steps, with more neurons than threads, every array given but those of params'
gradients and of recordings. (Run it in the folder `tests`.)
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import neurodsl.tools.roofline
from neurodsl.build import image_by_nvrtc
from neurodsl.build.nvrtc import find_nvrtc
from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find, names
from neurodsl.options import Options
from neurodsl.runtime.arithmetic import evaluate
from neurodsl.tools.roofline.kernels import PASSES, SUFFIXES, Neuron, selection
from neurodsl.tools.roofline.traffic import STEPS, is_moved
from ptxsim import Buffer, Machine, Module, Stats, load_ptx
from ptxsim.buffers import SECTOR

COUNTED = Path(neurodsl.tools.roofline.__file__).with_name("counted.json")
NEURONS, BLOCKS = 2048, 2
"""Several times as many neurons as threads, so that a thread takes several beside each other, and more after them."""

_ARRAYS = {"float*": "f4", "double*": "f8", "half*": "f2", "uint16_t*": "u2"}
_WRITTEN = ("output", "final_state", "saved", "grad_input", "grad_initial_state")


@lru_cache
def neuron_of(name: str) -> Neuron:
    """A neuron of the library, compiled."""
    found = find(name)
    assert found is not None
    return Neuron(name, compile_text(found[1], found[0], Options(), disk_loader))


@lru_cache(maxsize=4)
def module_of(name: str, dtype: str) -> Module:
    """The kernels of a neuron for a dtype, as PTX."""
    neuron = neuron_of(name)
    flags = [*neuron.flags, *selection(dtype)]
    nvrtc = find_nvrtc()
    assert nvrtc is not None, "NVRTC is missing: pip install nvidia-cuda-nvrtc"
    return load_ptx(image_by_nvrtc(nvrtc, neuron.source, flags, "compute_80").read_text())


def execute(name: str, which: str, dtype: str) -> tuple[dict[str, Any], Stats]:
    """Run one kernel; its entry in the manifest, and what it did."""
    neuron = neuron_of(name)
    entry = neuron.entry(which, dtype)
    assert entry is not None
    machine = Machine(module_of(name, dtype), races=False)
    values = _Values(neuron, machine)
    given = [values.of(argument) for argument in entry["arguments"]]
    stats = machine.launch(entry["symbol"], BLOCKS, entry["block"], given)
    for buffer in values.written:
        assert buffer.unwritten() == 0, f"{name} {which} {dtype} left {buffer.name} unwritten"
    return entry, stats


class _Values:
    """The arguments of a launch."""

    def __init__(self, neuron: Neuron, machine: Machine) -> None:
        self.machine, self.generator = machine, np.random.default_rng(0)
        self.params = {"dt": 1.0} | {p["name"]: p["default"] for p in neuron.described["params"]}
        self.sizes = {"T": STEPS, "N": NEURONS, "C": 1, "inner": NEURONS}
        self.written: list[Buffer] = []

    def of(self, argument: dict[str, Any]) -> Any:
        role, name = argument["role"], argument["name"]
        if role in ("steps", "neurons", "channels", "inner"):
            return self.sizes[{"steps": "T", "neurons": "N", "channels": "C"}.get(role, role)]
        if role == "param":
            return self.params[argument.get("of", name)]
        if role == "uniform":
            functions = {n: getattr(math, n) for n in dir(math) if not n.startswith("_")}
            return eval(argument["expression"], {**functions, **self.params})
        if role == "param_tensor" and argument["shape"]:
            shape = self._shape(argument)
            return self.machine.buffer(name, np.full(shape, 0.5, _ARRAYS[argument["type"]]))
        if not is_moved(argument, STEPS):
            return None if argument["type"].endswith("*") else 0
        shape, dtype = self._shape(argument), np.dtype(_ARRAYS[argument["type"]])
        if role in _WRITTEN and argument["access"] == "write":
            self.written.append(self.machine.buffer(name, shape, dtype=dtype))
            return self.written[-1]
        values = self.generator.normal(0.7, 1.0, shape)
        if dtype.kind == "u":  # bfloat16
            bits = values.astype(np.float32).view(np.uint32) >> 16
            return self.machine.buffer(name, bits.astype(dtype))
        return self.machine.buffer(name, values.astype(dtype))

    def _shape(self, argument: dict[str, Any]) -> tuple[int, ...]:
        return tuple(evaluate(size, self.sizes) for size in argument["shape"])


def count(name: str, which: str, dtype: str) -> tuple[int, int, int]:
    """Bytes of the arrays that a kernel touches, bytes that it asks for, and bytes of the sectors it moves.

    Params of a time step each, which are read by every thread and stay in L1, count once.
    """
    entry, stats = execute(name, which, dtype)
    params = {a["name"] for a in entry["arguments"] if a["role"] == "param_tensor"}
    least = asked = moved = 0
    for buffer in stats.buffers:
        directions = (buffer.loads, buffer.stores, buffer.atomics)
        least += sum(buffer.nbytes for traffic in directions if traffic.lanes)
        for traffic in directions:
            once = SECTOR * traffic.unique_sectors
            asked += once if buffer.name in params else traffic.bytes
            moved += once if buffer.name in params else SECTOR * traffic.sectors
    return least, asked, moved


def passes_of(name: str) -> list[str]:
    """The kernels of a neuron."""
    return [which for which in PASSES if neuron_of(name).entry(which, "float32")]


def main(arguments: list[str]) -> int:
    """Count, and keep what was counted."""
    parser = argparse.ArgumentParser(prog="python -m ptxsim.count")
    parser.add_argument("neurons", nargs="*", metavar="NEURON")
    parser.add_argument("--dtype", default=",".join(SUFFIXES))
    given = parser.parse_args(arguments)
    known = json.loads(COUNTED.read_text()) if COUNTED.exists() else {}
    counts: dict[str, Any] = known.get("neurons", {})
    for name in given.neurons or names():
        for dtype in given.dtype.split(","):
            rows = counts.setdefault(name, {}).setdefault(dtype, {})
            for which in passes_of(name):
                least, asked, moved = rows[which] = count(name, which, dtype)
                print(f"{name:20}{dtype:10}{which:14}{asked / least:7.3f}{moved / least:7.3f}")
            sys.stdout.flush()
            _keep(counts)
    return 0


def _keep(counts: dict[str, Any]) -> None:
    """Write the file, a line a neuron and dtype, in the library's order."""
    lines = [f'{{"T": {STEPS}, "N": {NEURONS}, "neurons": {{']
    ordered = [name for name in names() if name in counts]
    for name in ordered:
        rows = [f'  "{d}": {json.dumps(counts[name][d])}' for d in SUFFIXES if d in counts[name]]
        end = "}" if name == ordered[-1] else "},"
        lines += [f' "{name}": {{', ",\n".join(rows), f" {end}"]
    COUNTED.write_text("\n".join([*lines, "}}"]) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
