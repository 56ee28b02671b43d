"""Buffers in turn: so many sets of inputs and results that none is in the cache when its turn comes again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch

from neurodsl.tools.bench.device import Device
from neurodsl.tools.bench.inputs import Given

TIMES_CACHE = 2.0
"""The inputs of all sets are together this many times the last cache; results come on top."""
MOST_SETS = 256
"""Beyond, a launch costs more than the memory, whatever is in the cache."""
SHARE_OF_MEMORY = 0.25
"""Of the free memory, for the inputs of all sets."""

Pass = Callable[[Given], object]
"""A contestant's pass on one set of inputs; returns what it made."""


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of inputs on a device with the same numbers in each."""

    given: tuple[Given, ...]
    cache_bytes: int

    @property
    def bytes(self) -> int:
        """Of all inputs and upstream gradients."""
        return len(self.given) * bytes_of(self.given[0])

    @property
    def beyond_cache(self) -> bool:
        """Whether the inputs alone do not fit the last cache, so that memory is measured."""
        return self.bytes > self.cache_bytes


def bytes_of(given: Given) -> int:
    """Of a set's inputs and its upstream gradient; the inputs that want a gradient share their memory."""
    return sum(t.numel() * t.element_size() for t in (*given.plain, given.upstream))


def how_many(one: int, cache: int, memory: int) -> int:
    """Sets of `one` byte count each that leave the cache far behind, at least two, as far as memory goes."""
    wanted = -(-int(TIMES_CACHE * cache) // one)
    room = int(SHARE_OF_MEMORY * memory) // one
    return max(1, min(max(2, wanted), MOST_SETS, room))


def sets_on(device: Device, given: Given) -> Sets:
    """As many copies of these inputs on the device as `how_many` says."""
    cache = device.cache_bytes()
    count = how_many(bytes_of(given), cache, device.memory_bytes())
    made = tuple(_moved(given, device.torch_device) for _ in range(count))
    return Sets(made, cache)


class Rotation:
    """A pass as a call without arguments: each call takes the next set, and its results live for a whole round.

    Held results make the allocator give fresh memory to each set's call; else every call would write where the last
    one did, in the cache.
    """

    def __init__(self, one: Pass, sets: Sets, *, most: int | None = None) -> None:
        """`most` sets at most."""
        self._pass, self._given = one, sets.given[:most]
        self._held: deque[object] = deque(maxlen=max(1, len(self._given) - 1))
        self._next = 0

    def __len__(self) -> int:
        """How many sets take turns."""
        return len(self._given)

    def __call__(self) -> None:
        """The next set's turn."""
        given = self._given[self._next]
        self._next = (self._next + 1) % len(self._given)
        self._held.append(self._pass(given))

    def round(self) -> None:
        """Every set's turn, once, from the first: what a graph records."""
        self.drop()
        self._next = 0
        for _ in self._given:
            self()

    def drop(self) -> None:
        """Let go of the results."""
        self._held.clear()


def _moved(given: Given, device: torch.device) -> Given:
    plain = tuple(x.to(device, copy=True) for x in given.plain)
    wanting = tuple(x.detach().requires_grad_() for x in plain)
    return Given(plain, wanting, given.upstream.to(device, copy=True))
