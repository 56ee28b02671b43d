"""What a running launch knows: its memory, its parameters, its faults."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptxsim.buffers import POISON, SECTOR, Buffer, Fault
from ptxsim.formats import Array
from ptxsim.geometry import WARP, Geometry
from ptxsim.races import Shadow
from ptxsim.syntax import Instruction

_MOST_FINDINGS = 100


@dataclass
class Stats:
    """What one launch did."""

    threads: int
    opcodes: Counter[str] = field(default_factory=Counter)
    """Instructions of threads, by opcode."""
    thread_instructions: int = 0
    warp_instructions: int = 0
    buffers: list[Buffer] = field(default_factory=list)
    findings: list[Fault] = field(default_factory=list)
    """Faults, if the machine is not strict."""
    shared_accesses: int = 0
    bank_conflict_ways: int = 0
    """Sum over the accesses of warps of the words that the busiest bank served."""

    @property
    def simt_efficiency(self) -> float:
        """The share of lanes that took part in the instructions of their warps."""
        slots = self.warp_instructions * WARP
        return self.thread_instructions / slots if slots else 1.0

    def global_bytes(self, cache: str = "none") -> int:
        """Bytes moved to and from global memory.

        cache='none': every sector of every request; 'perfect': each touched sector once a direction. The truth on a
        GPU lies between the two.
        """
        moved = [t.unique_sectors if cache == "perfect" else t.sectors for t in self._traffic()]
        return SECTOR * sum(moved)

    def requested_bytes(self) -> int:
        """Bytes of global memory that the threads asked for."""
        return sum(t.bytes for t in self._traffic())

    def _traffic(self) -> list[Any]:
        buffers = [b for b in self.buffers if not b.constant]
        return [t for b in buffers for t in (b.loads, b.stores, b.atomics)]

    def ratio(self, minimum_bytes: float, cache: str = "none") -> float:
        """Bytes moved over the fewest that the algorithm could move: 1.0 is at the roofline."""
        return self.global_bytes(cache) / minimum_bytes

    def table(self) -> str:
        """The traffic, a line for each buffer and direction."""
        rows = [
            f"{'buffer':<12}{'dir':<7}{'requests':>9}{'bytes':>12}{'sectors':>10}{'sect/req':>9}"
            f"{'effic.':>8}{'unique B':>11}"
        ]
        for buffer in self.buffers:
            for direction in ("load", "store", "atomic"):
                t = buffer.traffic(direction)
                if t.requests:
                    rows.append(
                        f"{buffer.name:<12}{direction:<7}{t.requests:>9}{t.bytes:>12}{t.sectors:>10}"
                        f"{t.sectors / t.requests:>9.2f}{t.efficiency:>8.2f}{t.unique_sectors * 32:>11}"
                    )
        rows.append(
            f"thread instructions {self.thread_instructions}, SIMT efficiency {self.simt_efficiency:.3f}, "
            f"requested {self.requested_bytes()} B, moved {self.global_bytes()} B uncached / "
            f"{self.global_bytes('perfect')} B with perfect caches"
        )
        return "\n".join(rows)


class PrivateMemory:
    """Shared memory of all blocks, or local memory of all threads, one after another."""

    def __init__(self, size: int, owners: int, races: bool) -> None:
        self.size, self.stride = size, -(-size // 16) * 16
        self.raw = np.full(owners * self.stride + 16, POISON, np.uint8)
        self.shadow = Shadow(self.raw.size, 4, False, races)


class Launch:
    """A launch while it runs."""

    def __init__(
        self,
        geometry: Geometry,
        buffers: dict[int, Buffer],
        generator: np.random.Generator,
        *,
        strict: bool = True,
        noise: bool = False,
    ) -> None:
        self.geometry, self.buffers, self.generator = geometry, buffers, generator
        self.strict, self.noise = strict, noise
        self.parameters: dict[str, Array] = {}
        """The bytes of each."""
        self.shared = self.local = PrivateMemory(0, 0, False)
        self.stats = Stats(geometry.threads)
        self.here: Instruction | None = None
        """What is being executed."""

    def fault(self, kind: str, message: str) -> None:
        """Raise a fault, or take note of it if the machine is not strict."""
        here = self.here
        if here is not None:
            message = f"{here.line + ': ' if here.line else ''}'{here.text}': {message}"
        fault = Fault(kind, message)
        if self.strict:
            raise fault
        findings = self.stats.findings
        if len(findings) < _MOST_FINDINGS and all(str(fault) != str(f) for f in findings):
            findings.append(fault)
