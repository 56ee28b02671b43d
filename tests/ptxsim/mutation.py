"""How sharp a test is: changes instructions of a right kernel one at a time, and sees which changes nobody notices.

Every arithmetic instruction, comparison and access of a kernel is swapped for a similar one. A mutant that neither
faults nor changes any output nor moves other bytes is alive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ptxsim import Buffer, Fault, Machine, Module, PtxError, load_ptx
from ptxsim.machine import Argument

SWAPS = [
    ("add.f32", "sub.f32"),
    ("sub.f32", "add.f32"),
    ("mul.f32", "add.f32"),
    ("fma.rn.f32", "fma.rz.f32"),
    ("setp.ge.f32", "setp.gt.f32"),
    ("setp.lt.s32", "setp.le.s32"),
    ("setp.ge.s32", "setp.gt.s32"),
    ("setp.ne.s32", "setp.lt.s32"),
    ("setp.gt.s32", "setp.ge.s32"),
    ("setp.eq.s32", "setp.ne.s32"),
    ("shl.b64", "shr.b64"),
    ("add.s64", "sub.s64"),
    ("add.s32", "sub.s32"),
    ("mad.lo.s32", "mul.lo.s32"),
    ("mul.wide.s32", "mul.wide.u32"),
    ("and.b32", "or.b32"),
    ("ld.global.nc.f32", "ld.global.nc.u16"),
    ("st.global.f32", "st.global.u16"),
    ("shfl.sync.down", "shfl.sync.up"),
    ("bar.sync", "// bar.sync"),
    ("atom.global.add", "atom.global.exch"),
]
"""Instructions, and what to put in their places."""


@dataclass(frozen=True)
class Watched:
    """An output, and to how many decimals its values count; None: all bits."""

    buffer: Buffer
    decimals: int | None = None

    def content(self) -> bytes:
        """What may not change."""
        array = self.buffer.array()
        return (array if self.decimals is None else np.round(array, self.decimals)).tobytes()


@dataclass(frozen=True)
class Configuration:
    """A launch: `prepare` makes its buffers in a machine and gives the arguments and what to watch."""

    prepare: Callable[[Machine], tuple[list[Argument], list[Watched]]]
    grid: int
    block: int


def observed(module: Module, name: str, configurations: Sequence[Configuration]) -> list[object]:
    """What a kernel leaves behind in each configuration, and the bytes it asks for."""
    found: list[object] = []
    for configuration in configurations:
        machine = Machine(module, max_steps=20000)
        arguments, watched = configuration.prepare(machine)
        stats = machine.launch(name, configuration.grid, configuration.block, arguments)
        found.append(stats.requested_bytes())
        found += [(w.content(), w.buffer.unwritten()) for w in watched]
    return found


def mutants(
    ptx: str, name: str, swaps: Sequence[tuple[str, str]] = SWAPS
) -> Iterator[tuple[str, str]]:
    """(what was changed, the changed text), for every place of a kernel where a swap applies."""
    start = ptx.index(f".entry {name}(")
    end = ptx.index("\n}", start)
    body = ptx[start:end]
    for old, new in swaps:
        for hit in re.finditer(r"(?<=[\t ])" + re.escape(old) + r"(?=[ \t.])", body):
            text = body[: hit.start()] + new + body[hit.end() :]
            line = body[body.rfind("\n", 0, hit.start()) + 1 : body.find("\n", hit.end())].strip()
            yield f"{line} -> {new}", ptx[:start] + text + ptx[end:]


def survivors(
    ptx: str,
    name: str,
    configurations: Sequence[Configuration],
    swaps: Sequence[tuple[str, str]] = SWAPS,
) -> tuple[int, list[str]]:
    """How many mutants were killed, and which are alive."""
    right = observed(load_ptx(ptx), name, configurations)
    killed, alive = 0, []
    for what, text in mutants(ptx, name, swaps):
        try:
            is_alive = observed(load_ptx(text), name, configurations) == right
        except (Fault, PtxError, ValueError, KeyError):
            is_alive = False
        if is_alive:
            alive.append(what)
        else:
            killed += 1
    return killed, alive
