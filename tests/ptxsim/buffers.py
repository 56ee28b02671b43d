"""Simulated global memory: bounded buffers, and counts of the traffic to them.

Each buffer lives alone in a window of 1 TiB of the address space, so that any pointer that leaves its buffer is noticed
and can be named. Address = (number of the buffer << 40) + 2**39 + offset.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ptxsim.formats import UNSIGNED, Array
from ptxsim.geometry import Group
from ptxsim.races import Shadow

WINDOW_BITS = 40
BIAS = 1 << 39
SHARED_WINDOW, LOCAL_WINDOW, FIRST_BUFFER = 1, 2, 16
SECTOR = 32
"""Bytes: the unit in which L1, L2 and DRAM move data."""
POISON = 0xCB
"""What memory never written reads as (a large negative float)."""


class Fault(Exception):  # noqa: N818 - the fault is the kernel's, not an error of the program
    """A wrong thing that a kernel did.

    kind: out-of-bounds, misaligned, uninitialised-read, race, readonly-cache, barrier, lane, write-to-input, deadlock,
    trap.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclass
class Traffic:
    """Counts for one buffer and one direction."""

    touched: Array = field(repr=False)
    """By sector: whether any thread touched it."""
    requests: int = 0
    """Instructions of warps."""
    lanes: int = 0
    """Accesses of threads."""
    bytes: int = 0
    """Bytes that the threads asked for."""
    sectors: int = 0
    """32-byte sectors counted for each request: what leaves L1 if L1 never hits."""

    @property
    def unique_sectors(self) -> int:
        """What DRAM must move if every cache were perfect."""
        return int(self.touched.sum())

    @property
    def efficiency(self) -> float:
        """1.0: every byte of every sector moved was asked for."""
        return self.bytes / (self.sectors * SECTOR) if self.sectors else 1.0

    def count(self, offset: Array, size: int, gapless: bool, group: Group) -> None:
        """Add one access of `size` bytes a thread at these byte offsets."""
        self.requests += group.requests
        self.lanes += group.size
        self.bytes += group.size * size
        if not gapless:
            first = offset // SECTOR
            self.sectors += _sectors(first, group.warp)
            self.touched[first] = True
            return
        start = int(offset[0])
        key = (size, start % SECTOR)
        if key not in group.sectors:
            group.sectors[key] = _sectors(offset // SECTOR, group.warp)
        self.sectors += group.sectors[key]
        self.touched[start // SECTOR : (start + group.size * size - 1) // SECTOR + 1] = True


def _sectors(sector: Array, warp: Array) -> int:
    """Distinct (warp, sector)."""
    key = (warp << 36) + sector
    steps = np.diff(key)
    return int(1 + np.count_nonzero(steps)) if (steps >= 0).all() else int(np.unique(key).size)


class Buffer:
    """A bounded piece of global memory.

    misalign: bytes past a 256-byte boundary where it starts, as when a caller passes a slice of a larger tensor.
    """

    def __init__(
        self,
        number: int,
        name: str,
        content: Array,
        initialised: bool,
        readonly: bool = False,
        misalign: int = 0,
        races: bool = True,
    ) -> None:
        self.number, self.name, self.readonly = number, name, readonly
        self.dtype, self.shape, self.nbytes = content.dtype, content.shape, content.nbytes
        self.misalign = misalign
        self.constant = False
        """Whether it is constant memory, which has a cache of its own."""
        self.raw = np.full(misalign + -(-content.nbytes // 16) * 16 + 16, POISON, np.uint8)
        if initialised:
            flat = np.ascontiguousarray(content).reshape(-1)
            self.raw[misalign : misalign + content.nbytes] = flat.view(np.uint8)
        self._views: dict[int, Array] = {}
        granule = max(1, min(content.dtype.itemsize, 8))
        while misalign % granule:
            granule //= 2
        self.shadow = Shadow(misalign + content.nbytes, granule, initialised, races)
        self.start()

    def start(self) -> None:
        """A new launch: counts from nothing."""
        self.shadow.start()
        n = (self.misalign + self.nbytes) // SECTOR + 2
        self.loads, self.stores, self.atomics = (Traffic(np.zeros(n, bool)) for _ in range(3))

    @property
    def address(self) -> int:
        """The pointer to its first byte."""
        return (self.number << WINDOW_BITS) + BIAS + self.misalign

    def traffic(self, kind: str) -> Traffic:
        """The counts for 'load', 'load.nc', 'store' or 'atomic'."""
        if kind.startswith("load"):
            return self.loads
        return self.stores if kind == "store" else self.atomics

    def view(self, width: int) -> Array:
        """The memory as unsigned numbers of `width` bytes."""
        view = self._views.get(width)
        if view is None:
            whole = self.raw[: self.raw.nbytes // width * width]
            view = self._views[width] = whole.view(UNSIGNED[width])
        return view

    def array(self) -> Array:
        """The present content, as an array of the type and shape given at the start."""
        content = self.raw[self.misalign : self.misalign + self.nbytes]
        return content.view(self.dtype).reshape(self.shape).copy()

    def unwritten(self) -> int:
        """How many bytes no one has ever written (of an output that a kernel should have filled)."""
        granule = self.shadow.granule
        return int((~self.shadow.init[self.misalign // granule :]).sum()) * granule
