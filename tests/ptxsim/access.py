"""Finds what the addresses of a memory access mean, checks them, and counts the traffic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptxsim.buffers import BIAS, LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BITS, Buffer
from ptxsim.formats import UNSIGNED, Array
from ptxsim.geometry import Group
from ptxsim.launch_state import Launch, PrivateMemory
from ptxsim.races import Shadow

_OFFSET = (1 << WINDOW_BITS) - 1


@dataclass(frozen=True)
class Access:
    """What an instruction does with memory."""

    space: str
    width: int
    """Bytes of an element."""
    elements: int
    """How many elements a thread moves."""
    kind: str
    """load, load.nc, store or atomic."""

    @property
    def size(self) -> int:
        """Bytes a thread moves."""
        return self.width * self.elements


@dataclass(frozen=True)
class Place:
    """Where some threads' elements are: `memory[cells(n)]` is the n-th element of each of them."""

    memory: Array
    first: int | Array
    """By thread; a number if each thread's elements follow the ones before."""
    elements: int
    at: Array | None
    """Which threads of the group; None: all."""
    count: int

    def cells(self, n: int) -> slice | Array:
        """Index of the n-th element of each thread."""
        if isinstance(self.first, int):
            end = self.first + self.count * self.elements
            return slice(self.first + n, end, self.elements)
        return self.first + n if n else self.first


def locate(launch: Launch, group: Group, addresses: Array, access: Access) -> list[Place]:
    """The places of an access: one, unless generic pointers go to several buffers."""
    if access.space in ("shared", "local"):
        return [_private(launch, group, addresses.astype(np.int64), access, access.space, None)]
    start = int(addresses[0])
    buffer = launch.buffers.get(start >> WINDOW_BITS)
    if buffer is not None and _is_gapless(addresses, start, group, access.size):
        offset = (start & _OFFSET) - BIAS
        end = offset + group.size * access.size
        inside = buffer.misalign <= offset and end <= buffer.misalign + buffer.nbytes
        if inside and offset % access.size == 0:
            offsets = (group.ramp(access.size) + np.uint64(offset)).view(np.int64)
            return [_global(launch, group, buffer, offsets, access, None, gapless=True)]
    window = (addresses >> np.uint64(WINDOW_BITS)).astype(np.int64)
    offsets = (addresses & np.uint64(_OFFSET)).astype(np.int64) - BIAS
    if (window == window[0]).all():
        return [_in_window(launch, group, int(window[0]), offsets, access, None)]
    places = []
    for number in np.unique(window):
        at = np.flatnonzero(window == number)
        some = group.geometry.group(group.index[at])
        places.append(_in_window(launch, some, int(number), offsets[at], access, at))
    return places


def _is_gapless(addresses: Array, start: int, group: Group, size: int) -> bool:
    if int(addresses[-1]) - start != (group.size - 1) * size:
        return False
    return bool(((addresses - np.uint64(start)) == group.ramp(size)).all())


def _in_window(
    launch: Launch, group: Group, window: int, offsets: Array, access: Access, at: Array | None
) -> Place:
    if window == SHARED_WINDOW:
        return _private(launch, group, offsets, access, "shared", at)
    if window == LOCAL_WINDOW:
        return _private(launch, group, offsets, access, "local", at)
    buffer = launch.buffers.get(window)
    if buffer is None:
        address = (window << WINDOW_BITS) + int(offsets[0]) + BIAS
        thread = group.index[0]
        launch.fault(
            "out-of-bounds", f"thread {thread} uses the address {address:#x}, in no buffer"
        )
        nothing = np.zeros(64, UNSIGNED[access.width])
        return Place(nothing, np.zeros(group.size, np.int64), access.elements, at, group.size)
    offsets = _bounded(launch, group, buffer, offsets, access)
    return _global(launch, group, buffer, offsets, access, at, gapless=False)


def _bounded(launch: Launch, group: Group, buffer: Buffer, offsets: Array, access: Access) -> Array:
    """Check bounds and alignment; wrong offsets become right ones, to go on with."""
    size, low, high = access.size, buffer.misalign, buffer.misalign + buffer.nbytes
    bad = (offsets < low) | (offsets + size > high)
    if bad.any():
        k = int(np.flatnonzero(bad)[0])
        launch.fault(
            "out-of-bounds",
            f"thread {group.index[k]} (block {group.block[k]}): {access.kind} of {size} bytes at byte "
            f"{int(offsets[k]) - low} of '{buffer.name}', which has {buffer.nbytes}; {int(bad.sum())} threads",
        )
        offsets = np.where(bad, low, offsets)
    if (offsets % size).any():
        k = int(np.flatnonzero(offsets % size)[0])
        launch.fault(
            "misaligned",
            f"thread {group.index[k]}: {size}-byte {access.kind} at byte {int(offsets[k]) - low} of "
            f"'{buffer.name}'" + (f", itself {low} bytes past alignment" if low else ""),
        )
        offsets = offsets // size * size
    return offsets


def _global(
    launch: Launch,
    group: Group,
    buffer: Buffer,
    offsets: Array,
    access: Access,
    at: Array | None,
    gapless: bool,
) -> Place:
    kind = access.kind
    if buffer.readonly and kind in ("store", "atomic"):
        launch.fault("write-to-input", f"thread {group.index[0]} writes to '{buffer.name}'")
    buffer.traffic(kind).count(offsets, access.size, gapless, group)
    _check(launch, group, buffer.shadow, offsets, access, gapless, f"'{buffer.name}'")
    first = int(offsets[0]) // access.width if gapless else offsets // access.width
    return Place(buffer.view(access.width), first, access.elements, at, group.size)


def _check(
    launch: Launch,
    group: Group,
    shadow: Shadow,
    offsets: Array,
    access: Access,
    gapless: bool,
    name: str,
) -> None:
    for fault, n, message in shadow.check(offsets, access.size, gapless, group, access.kind):
        launch.fault(fault, f"{access.kind} of {name} by thread {group.index[n]}: {message}")


def _private(
    launch: Launch, group: Group, offsets: Array, access: Access, space: str, at: Array | None
) -> Place:
    """An access to shared or local memory."""
    memory: PrivateMemory = getattr(launch, space)
    size = access.size
    bad = (offsets < 0) | (offsets + size > memory.size)
    if bad.any():
        k = int(np.flatnonzero(bad)[0])
        launch.fault(
            "out-of-bounds",
            f"thread {group.index[k]}: {access.kind} at byte {int(offsets[k])} of {space} memory, "
            f"which has {memory.size}",
        )
        offsets = np.where(bad, 0, offsets)
    if (offsets % size).any():
        k = int(np.flatnonzero(offsets % size)[0])
        launch.fault(
            "misaligned",
            f"thread {group.index[k]}: {size}-byte {access.kind} at byte {int(offsets[k])} of {space} memory",
        )
        offsets = offsets // size * size
    if space == "shared":
        _count_banks(launch, group, offsets)
    owner = group.block if space == "shared" else group.index
    offsets = offsets + owner * memory.stride
    _check(launch, group, memory.shadow, offsets, access, False, f"{space} memory")
    width = access.width
    words = memory.raw[: memory.raw.size // width * width].view(UNSIGNED[width])
    return Place(words, offsets // width, access.elements, at, group.size)


def _count_banks(launch: Launch, group: Group, offsets: Array) -> None:
    """Conflicts of shared memory's banks: the most distinct words that one bank serves in an access of a warp."""
    word = np.unique((group.warp << 20) + offsets // 4)
    bank, served = np.unique((word >> 20) * 32 + word % 32, return_counts=True)
    warp = bank // 32
    first = np.flatnonzero(np.diff(warp, prepend=-1) != 0)
    launch.stats.shared_accesses += first.size
    if first.size:
        launch.stats.bank_conflict_ways += int(np.maximum.reduceat(served, first).sum())
