"""The shadow of a piece of memory: what was written at all, and which accesses race.

Two accesses conflict when they come from different threads, one of them writes, they are not both atomic, and no
barrier orders them. Threads of different blocks are never ordered; threads of a block are by its barriers, threads of a
warp also by `bar.warp.sync`. Every granule holds a stamp (thread and barrier epochs, see `Group.stamp`) of its last
writer and of its last reader, and how far the readers of that time were apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ptxsim.formats import Array
from ptxsim.geometry import BLOCK_EPOCH_SHIFT, EPOCH_BITS, TID_SHIFT, Geometry, Group

_ATOMIC = np.int64(1 << 62)
_TID_MASK = (1 << 22) - 1
_EPOCH_MASK = (1 << EPOCH_BITS) - 1
_ALONE, _SAME_WARP, _SAME_BLOCK, _BLOCKS = 0, 1, 2, 3

Cells = slice | Array
Finding = tuple[str, int, str]
"""Kind, which access of the group's (cells flat), and what to say."""


def _tid(stamp: Array) -> Array:
    return (stamp >> TID_SHIFT) & _TID_MASK


class Shadow:
    """What happened to each granule of a piece of memory. `races=False` only knows what was written."""

    def __init__(self, nbytes: int, granule: int, initialised: bool, races: bool) -> None:
        self.granule, self.races = granule, races
        self.init = np.full(-(-nbytes // granule), initialised, bool)
        self.start()

    def start(self) -> None:
        """A new launch: it comes after everything before."""
        self.written = False
        self._pending: list[tuple[Cells, Array, Group]] = []
        self._tables: tuple[Array, Array, Array] | None = None

    def _marks(self) -> tuple[Array, Array, Array]:
        """Last writer, last reader, distance of the readers."""
        if self._tables is None:
            n = self.init.size
            self._tables = np.full(n, -1, np.int64), np.full(n, -1, np.int64), np.zeros(n, np.uint8)
        return self._tables

    def refine(self, granule: int) -> None:
        """Switch to a smaller granule (for an access narrower than any before)."""
        self._flush()
        times = self.granule // granule
        self.init = np.repeat(self.init, times)
        if self._tables is not None:
            writer, reader, far = (np.repeat(table, times) for table in self._tables)
            self._tables = writer, reader, far
        self.granule = granule

    def check(
        self, offset: Array, width: int, gapless: bool, group: Group, kind: str
    ) -> Iterator[Finding]:
        """Check an access of `width` bytes a thread at byte offsets `offset`, and take note of it.

        kind: 'load', 'load.nc', 'store' or 'atomic'; gapless: each thread's bytes follow the ones before.
        """
        if width < self.granule:
            self.refine(width)
        times = width // self.granule
        cells: Cells
        if gapless:
            first = int(offset[0]) // self.granule
            cells = slice(first, first + group.size * times)
        else:
            cells = offset // self.granule
            if times > 1:
                cells = (cells[:, None] + np.arange(times)).reshape(-1)
        if kind != "store" and not self.init[cells].all():
            bad = int(np.flatnonzero(~self.init[cells])[0])
            yield (
                "uninitialised-read",
                bad // times,
                f"byte {self._byte(cells, bad)} was never written",
            )
        if self.races:
            stamp = group.stamp if times == 1 else np.repeat(group.stamp, times)
            if kind.startswith("load"):
                if self.written:
                    yield from self._read(cells, stamp, group.geometry, times, kind)
                self._pending.append((cells, stamp, group))
            else:
                yield from self._write(cells, stamp, group.geometry, times, kind)
        if not kind.startswith("load"):
            self.init[cells] = True

    def _byte(self, cells: Cells, at: int) -> int:
        cell = cells.start + at if isinstance(cells, slice) else int(cells[at])
        return cell * self.granule

    def _read(
        self, cells: Cells, stamp: Array, geometry: Geometry, times: int, kind: str
    ) -> Iterator[Finding]:
        last = self._marks()[0][cells]
        seen = last >= 0
        if not seen.any():
            return
        bad = seen & (_tid(last) != _tid(stamp)) & _unordered(last, stamp, geometry)
        if bad.any():
            yield self._race(cells, bad, stamp, last, times, "reads", "wrote")
        if kind == "load.nc":
            i = int(np.flatnonzero(seen)[0])
            yield (
                "readonly-cache",
                i // times,
                f"ld.global.nc of byte {self._byte(cells, i)}, which this kernel writes too "
                f"(thread {int(_tid(last)[i])}): a __restrict__ promise is broken",
            )

    def _write(
        self, cells: Cells, stamp: Array, geometry: Geometry, times: int, kind: str
    ) -> Iterator[Finding]:
        self._flush()
        writer, reader, far = self._marks()
        last = writer[cells]
        bad = last >= 0
        if bad.any():
            bad &= (_tid(last) != _tid(stamp)) & _unordered(last, stamp, geometry)
            if kind == "atomic":
                bad &= (last & _ATOMIC) == 0
            if bad.any():
                yield self._race(cells, bad, stamp, last, times, "writes", "wrote")
        last = reader[cells]
        read = last >= 0
        if read.any():
            many = far[cells]
            bad = ((_tid(last) != _tid(stamp)) | (many > _ALONE)) & _unordered(
                last, stamp, geometry
            )
            bad |= (many == _BLOCKS) | ((many == _SAME_BLOCK) & _same_epoch(last, stamp))
            bad &= read
            if bad.any():
                yield self._race(cells, bad, stamp, last, times, "writes", "read")
        if kind == "store" and not isinstance(cells, slice) and not (np.diff(cells) > 0).all():
            ordered = np.sort(cells)
            twice = np.flatnonzero(np.diff(ordered) == 0)
            if twice.size:
                byte = int(ordered[twice[0]]) * self.granule
                yield "race", 0, f"more than one thread writes byte {byte} in the same instruction"
        writer[cells] = stamp | _ATOMIC if kind == "atomic" else stamp
        self.written = True

    def _race(
        self, cells: Cells, bad: Array, stamp: Array, last: Array, times: int, does: str, did: str
    ) -> Finding:
        i = int(np.flatnonzero(bad)[0])
        return (
            "race",
            i // times,
            f"thread {int(_tid(stamp)[i])} {does} byte {self._byte(cells, i)}, which thread "
            f"{int(_tid(last)[i])} {did} with no barrier between",
        )

    def _flush(self) -> None:
        """Enter the reads. They wait here until the first write, and mostly there is none."""
        pending, self._pending = self._pending, []
        for cells, stamp, group in pending:
            self._enter_read(cells, stamp, group.geometry)

    def _enter_read(self, cells: Cells, stamp: Array, geometry: Geometry) -> None:
        _, reader, far = self._marks()
        last = reader[cells]
        read = last >= 0
        if read.any():
            old = far[cells]
            stays = (old == _BLOCKS) | ((old == _SAME_BLOCK) & _same_epoch(last, stamp))
            stays |= (old == _SAME_WARP) & _unordered(last, stamp, geometry)
            now = np.where(
                _unordered(last, stamp, geometry), _distance(last, stamp, geometry), _ALONE
            )
            far[cells] = np.where(read, np.maximum(now, np.where(stays, old, _ALONE)), _ALONE)
        else:
            far[cells] = _ALONE
        if not isinstance(cells, slice) and not (np.diff(cells) > 0).all():
            self._enter_shared_read(cells, stamp, geometry)
        reader[cells] = stamp

    def _enter_shared_read(self, cells: Array, stamp: Array, geometry: Geometry) -> None:
        """Several threads read the same granule in one instruction."""
        far = self._marks()[2]
        order = np.argsort(cells, kind="stable")
        cell, sorted_stamp = cells[order], stamp[order]
        first = np.flatnonzero(np.diff(cell, prepend=-1) != 0)
        count = np.diff(first, append=cell.size)
        # The threads of a group are sorted: the first and the last of a granule are the furthest apart.
        apart = _distance(sorted_stamp[first], sorted_stamp[first + count - 1], geometry)
        far[cell[first]] = np.maximum(far[cell[first]], apart)


# In these, marks of -1 (nobody yet) count as thread 0; who asks masks them out.


def _unordered(last: Array, stamp: Array, geometry: Geometry) -> Array:
    """Whether nothing orders the thread of `last`, at its time, before that of `stamp`."""
    then, now = _tid(np.maximum(last, 0)), _tid(stamp)
    same_warp = geometry.warp[then] == geometry.warp[now]
    epochs = (last ^ stamp) & ((1 << TID_SHIFT) - 1)
    in_block = np.where(same_warp, (epochs & _EPOCH_MASK) == 0, (epochs >> BLOCK_EPOCH_SHIFT) == 0)
    return np.where(geometry.block[then] != geometry.block[now], True, in_block)


def _same_epoch(last: Array, stamp: Array) -> Array:
    """Whether no barrier of the block lies between (of one block)."""
    return (((last ^ stamp) >> BLOCK_EPOCH_SHIFT) & _EPOCH_MASK) == 0


def _distance(one: Array, other: Array, geometry: Geometry) -> Array:
    """How far apart the threads of two stamps are."""
    a, b = _tid(np.maximum(one, 0)), _tid(other)
    in_block = np.where(geometry.warp[a] == geometry.warp[b], _SAME_WARP, _SAME_BLOCK)
    apart = np.where(geometry.block[a] == geometry.block[b], in_block, _BLOCKS)
    return np.where(a == b, _ALONE, apart).astype(np.uint8)
