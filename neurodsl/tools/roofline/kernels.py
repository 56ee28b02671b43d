"""The kernels of a neuron as machine code: compiled for an architecture, read, and their loops over time found."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodsl.build import ToolchainError, cubin, image_by_nvrtc
from neurodsl.build.nvrtc import find_nvrtc
from neurodsl.build.toolchain import NVRTC_REMEDY, find_nvcc
from neurodsl.tools.roofline.disassembly import machine_code, need_tools, resources
from neurodsl.tools.roofline.flow import main_loops
from neurodsl.tools.roofline.sass import LOADS, LOCAL, STORES, Loop, functions

if TYPE_CHECKING:
    from neurodsl.driver import Compilation

PASSES = ("forward", "forward_train", "backward")
SUFFIXES = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}
WIDTHS = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
"""Bytes of an element of the `[T, N]` arrays."""


@dataclass(frozen=True, slots=True)
class KernelCode:
    """One kernel's machine code for an architecture.

    `loops` are the versions of its loop over time that move most bytes, that with the fewest instructions first, and
    `elements` the (neuron, step) that a thread computes in one pass of it.
    """

    entry: dict[str, Any]
    arch: str
    registers: int
    stack: int
    loops: tuple[Loop, ...]
    elements: float
    local: int
    """Instructions of the whole kernel that reach local memory."""

    @property
    def loop(self) -> Loop:
        """The version for usual params, which has the fewest instructions."""
        return self.loops[0]

    @property
    def local_in_loop(self) -> int:
        """Instructions of the loop that reach local memory."""
        return sum(i.base in LOCAL for i in self.loop.body)

    def widths(self, *opcodes: str) -> list[int]:
        """The bytes of each access of the loop."""
        return [i.width for i in self.loop.body if i.base in opcodes]


class Neuron:
    """A neuron of a compiled file, and its CUDA kernels."""

    def __init__(self, name: str, compilation: Compilation) -> None:
        self.name = name
        texts = {file.suffix: file.text for file in compilation.files}
        self.source, manifest = texts[".cu"], json.loads(texts[".json"])
        self.flags: list[str] = manifest["flags"]["nvcc"]
        self.described: dict[str, Any] = manifest["neurons"][name]
        self._plan = next(plan for model, plan in compilation.unit.neurons if model.name == name)

    def entry(self, which: str, dtype: str) -> dict[str, Any] | None:
        """The manifest's entry of a pass for spikes as numbers; None if there is none, as where nothing is saved."""
        wanted = {"target": "cuda", "pass": which, "dtype": dtype, "spikes": None, "requires": None}
        kernels = self.described["kernels"]
        return next((k for k in kernels if {key: k.get(key) for key in wanted} == wanted), None)

    @cached_property
    def _simple(self) -> Any:
        from neurodsl.ir.contracted import simplified

        return simplified(self._plan)

    def elements(self, which: str, dtype: str) -> int:
        """The (neuron, step) that a thread is meant to compute in a pass of the loop."""
        from neurodsl.csrc_gen.cuda.schedule import NUMBERS
        from neurodsl.csrc_gen.cuda.unit import schedule_of

        number = next(n for n in NUMBERS if n.dtype == dtype)
        schedule = schedule_of(self._simple, which, number)
        return schedule.neurons * schedule.steps

    def kernels(self, dtype: str, arch: str) -> list[KernelCode]:
        """The kernels of a dtype, compiled and read.

        Raises:
            ToolchainError: there is no compiler or no disassembler, or the compiler does not know the architecture.
            BuildError: the compiler refused the text.
        """
        need_tools()
        image = _compiled(self.source, [*self.flags, *selection(dtype)], arch)
        codes, used = functions(machine_code(image)), resources(image)
        found = []
        for which in PASSES:
            entry = self.entry(which, dtype)
            if entry is None:
                continue
            code, taken = codes[entry["symbol"]], used[entry["symbol"]]
            moving = tuple(main_loops(code))
            made = KernelCode(
                entry,
                arch,
                taken.registers,
                taken.stack,
                moving,
                _elements(entry, moving[0], self.elements(which, dtype), WIDTHS[dtype]),
                sum(i.base in LOCAL for i in code),
            )
            found.append(made)
        return found


def selection(dtype: str) -> list[str]:
    """The flags that compile only what is looked at: kernels of one dtype, with the reset in the gradient."""
    return [f"-DNEURODSL_ONLY={SUFFIXES[dtype]}", "-DNEURODSL_PART=main"]


def compiler_name() -> str:
    """What compiles for GPUs here.

    Raises:
        ToolchainError: nothing does.
    """
    nvcc, nvrtc = find_nvcc(), find_nvrtc()
    if nvcc is not None:
        release = re.search(r"(?:release |cuda_)([0-9]+\.[0-9]+)", nvcc.version)
        return f"nvcc {release[1]}" if release else "nvcc"
    if nvrtc is not None:
        return f"NVRTC {nvrtc.version_text}"
    raise ToolchainError("neither nvcc nor NVRTC found: nothing compiles for GPUs", NVRTC_REMEDY)


def _compiled(source: str, flags: Sequence[str], arch: str) -> Path:
    """A cubin, from the cache if it is there."""
    compiler_name()
    if find_nvcc() is not None:
        return cubin(source, flags, arch)
    nvrtc = find_nvrtc()
    assert nvrtc is not None
    return image_by_nvrtc(nvrtc, source, flags, arch)


def _elements(entry: dict[str, Any], loop: Loop, planned: int, width: int) -> float:
    """What a pass of the loop found computes: as planned, unless its streams are wider or narrower than that."""
    possible = [
        loop.bytes(opcode) / (_streams(entry, access) * width)
        for opcode, access in ((LOADS, "read"), (STORES, "write"))
        if loop.bytes(opcode) and _streams(entry, access)
    ]
    if possible and max(possible) < planned:
        return max(possible)
    return planned * max(1, int(min(possible, default=planned) / (planned * 1.75)))


def _streams(entry: dict[str, Any], access: str) -> int:
    """Arrays of the input's element type that every step reads or writes."""
    roles = ("input", "output", "grad_output", "grad_input")
    arguments = [a for a in entry["arguments"] if a["role"] in roles and not a.get("recorded")]
    return sum(a["access"] == access for a in arguments)
