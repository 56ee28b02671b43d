"""Threads, warps and blocks of a launch, and the groups of threads that run together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ptxsim.formats import Array

WARP = 32
TID_SHIFT, BLOCK_EPOCH_SHIFT, EPOCH_BITS = 40, 20, 20
MOST_THREADS = 1 << 22

Dim3 = int | Sequence[int]


def dim3(size: Dim3) -> tuple[int, int, int]:
    """A size of a grid or block as three numbers."""
    parts = [size] if isinstance(size, (int, np.integer)) else list(size)
    x, y, z = (int(part) for part in [*parts, 1, 1][:3])
    return x, y, z


class Geometry:
    """All threads of a launch: where each one is, and its special registers.

    A thread has a number in the grid (`tid`), counted through the blocks.
    """

    def __init__(self, grid: Dim3, block: Dim3) -> None:
        self.grid, self.block_shape = dim3(grid), dim3(block)
        self.blocks, self.block_size = int(np.prod(self.grid)), int(np.prod(self.block_shape))
        self.threads = self.blocks * self.block_size
        if self.threads > MOST_THREADS:
            raise ValueError(f"{self.threads} threads; the simulator takes {MOST_THREADS}")
        self.tid = np.arange(self.threads, dtype=np.int64)
        self.block = self.tid // max(1, self.block_size)
        inside = self.tid % max(1, self.block_size)
        self.warps_per_block = -(-self.block_size // WARP)
        self.warp = self.block * self.warps_per_block + inside // WARP
        self.lane = inside % WARP
        self.warps = self.blocks * self.warps_per_block
        self.block_epoch = np.zeros(self.blocks, np.int64)
        self.warp_epoch = np.zeros(self.warps, np.int64)
        self.epochs = 0
        self.at = np.full((self.warps, WARP), -1, np.int64)
        """The thread at (warp, lane), or -1."""
        self.at[self.warp, self.lane] = self.tid
        self.special = self._special(inside)
        self._groups: dict[object, Group] = {}

    def _special(self, inside: Array) -> dict[str, Array | np.generic]:
        bit = np.uint32(1) << self.lane.astype(np.uint32)
        special: dict[str, Array | np.generic] = {
            "laneid": self.lane.astype(np.uint32),
            "warpid": (inside // WARP).astype(np.uint32),
            "nwarpid": np.uint32(self.warps_per_block),
            "smid": np.uint32(0),
            "gridid": np.uint64(1),
            "clock": np.uint32(0),
            "clock64": np.uint64(0),
            "globaltimer": np.uint64(0),
            "lanemask_eq": bit,
            "lanemask_lt": bit - np.uint32(1),
            "lanemask_le": bit | (bit - np.uint32(1)),
            "lanemask_ge": ~(bit - np.uint32(1)),
            "lanemask_gt": ~(bit | (bit - np.uint32(1))),
        }
        for i, axis in enumerate("xyz"):
            shape, grid = self.block_shape, self.grid
            special[f"ntid.{axis}"], special[f"nctaid.{axis}"] = (
                np.uint32(shape[i]),
                np.uint32(grid[i]),
            )
            within = inside // max(1, int(np.prod(shape[:i]))) % max(1, shape[i])
            special[f"tid.{axis}"] = within.astype(np.uint32)
            of_grid = self.block // max(1, int(np.prod(grid[:i]))) % max(1, grid[i])
            special[f"ctaid.{axis}"] = of_grid.astype(np.uint32)
        return special

    def start(self) -> None:
        """A new launch: no barrier was passed yet."""
        self.block_epoch[:] = 0
        self.warp_epoch[:] = 0
        self.epochs += 1

    def group(self, index: Array) -> Group:
        """The group of the threads `index` (increasing numbers); kept, so that asking again is cheap."""
        first, last = int(index[0]), int(index[-1])
        contiguous = last - first + 1 == index.size
        key: object = (first, last) if contiguous else index.tobytes()
        known = self._groups.get(key)
        if known is None:
            if len(self._groups) > 4096:
                self._groups.clear()
            span = slice(first, last + 1) if contiguous else None
            known = self._groups[key] = Group(self, index, span)
        return known

    def pass_barrier(self, blocks: Array, warps: Array) -> None:
        """These blocks and warps have met: what they did before comes before what they do now."""
        self.block_epoch[blocks] += 1
        self.warp_epoch[warps] += 1
        self.epochs += 1


@lru_cache(maxsize=64)
def geometry_of(grid: tuple[int, int, int], block: tuple[int, int, int]) -> Geometry:
    """The geometry of these sizes, kept: launches of one size come in rows. Only one runs at a time."""
    return Geometry(grid, block)


class Group:
    """Threads that stand at the same place and run together."""

    def __init__(self, geometry: Geometry, index: Array, span: slice | None) -> None:
        self.geometry, self.index, self.span = geometry, index, span
        self.size = int(index.size)
        self.warp, self.block = geometry.warp[index], geometry.block[index]
        self.lane = geometry.lane[index]
        self._warp_starts = np.flatnonzero(np.diff(self.warp, prepend=-1))
        self.requests = int(self._warp_starts.size)
        """Warps with threads here: so many requests an access makes."""
        self.sectors: dict[tuple[int, int], int] = {}
        """Sectors of an access without gaps, by (bytes a thread, first byte within its sector)."""
        self._ramps: dict[int, Array] = {}
        self._stamp: Array | None = None
        self._stamped = -1

    def ramp(self, step: int) -> Array:
        """0, step, 2*step, … as addresses."""
        ramp = self._ramps.get(step)
        if ramp is None:
            ramp = self._ramps[step] = np.arange(self.size, dtype=np.uint64) * np.uint64(step)
        return ramp

    def or_in_warp(self, bits: Array) -> Array:
        """The bits of all the threads of a warp together, for each of them."""
        words = np.bitwise_or.reduceat(bits, self._warp_starts)
        return np.repeat(words, np.diff(self._warp_starts, append=self.size))

    @property
    def stamp(self) -> Array:
        """Who accesses and when: thread, epoch of its block, epoch of its warp, in one number."""
        geometry = self.geometry
        if self._stamp is None or self._stamped != geometry.epochs:
            self._stamp = (
                (self.index << TID_SHIFT)
                | (geometry.block_epoch[self.block] << BLOCK_EPOCH_SHIFT)
                | geometry.warp_epoch[self.warp]
            )
            self._stamped = geometry.epochs
        return self._stamp
