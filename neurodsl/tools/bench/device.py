"""What the bench asks of a device: events, graphs, memory and facts; and the CPU as such a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

Call = Callable[[], object]

CPU_CACHE = 1 << 20
"""What `CpuDevice` says its cache holds: it stands in for a GPU in tests, where buffers are to be small."""


class Event(Protocol):
    """A point in a device's queue of work."""

    def record(self) -> None:
        """Put it into the queue, behind the work that is there."""

    def synchronize(self) -> None:
        """Wait until the device has come to it."""

    def elapsed_time(self, end: Any, /) -> float:
        """Milliseconds from here to a later event, on the device's clock."""


class CaptureError(RuntimeError):
    """A call cannot be recorded as a graph; the text is the first line of what the device said."""


class Device(Protocol):
    """A device that calls are timed on. Its work may be done later than it is asked for."""

    torch_device: torch.device
    """Where tensors have to be."""

    def facts(self) -> dict[str, Any]:
        """Names, versions and sizes that figures depend on, for tables and `--json`."""

    def clocks(self) -> dict[str, str]:
        """What the clocks are now; empty where nobody can tell."""

    def cache_bytes(self) -> int:
        """Of the last cache before the memory (L2)."""

    def memory_bytes(self) -> int:
        """Of the memory that is free for tensors."""

    def event(self) -> Event:
        """A new event with a time."""

    def synchronize(self) -> None:
        """Wait until all is done."""

    def graph(self, call: Call) -> Call:
        """Record a call and return its replay, which costs one launch.

        Raises:
            CaptureError: the call does something that cannot be recorded.
        """

    def peak_bytes(self, call: Call) -> int:
        """Memory of tensors in a call beyond what was held before it, at the highest."""

    def release(self) -> None:
        """Give memory that no tensor holds back to the system."""


class _Tick:
    """An event of a device that has done everything at once."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def record(self) -> None:
        """Take the time."""
        self._seconds = time.perf_counter()

    def synchronize(self) -> None:
        """Nothing is left to wait for."""

    def elapsed_time(self, end: _Tick, /) -> float:
        """Milliseconds to a later one."""
        return 1e3 * (end._seconds - self._seconds)


class CpuDevice:
    """The CPU where a GPU is expected, so that all around it can be run without one. Its graphs are plain calls."""

    torch_device = torch.device("cpu")

    def facts(self) -> dict[str, Any]:
        """Says that this is no GPU."""
        return {"gpu": "none (the CPU stands in)", "l2_bytes": self.cache_bytes()}

    def clocks(self) -> dict[str, str]:
        """Unknown."""
        return {}

    def cache_bytes(self) -> int:
        """A size that keeps tests small."""
        return CPU_CACHE

    def memory_bytes(self) -> int:
        """Enough for tests."""
        return 1 << 30

    def event(self) -> _Tick:
        """A clock reading."""
        return _Tick()

    def synchronize(self) -> None:
        """All is done already."""

    def graph(self, call: Call) -> Call:
        """The call itself, after the warm-up that a graph has."""
        call()
        return call

    def peak_bytes(self, call: Call) -> int:
        """Runs the call; nobody counts."""
        call()
        return 0

    def release(self) -> None:
        """Nothing is kept."""


def seconds_of(device: Device, call: Call, repeats: int) -> float:
    """Seconds of one call among `repeats`, between two events in the device's own queue.

    The queue is empty before, so that a call's own launch is in its time; the wait for the end is not.
    """
    begin, end = device.event(), device.event()
    device.synchronize()
    begin.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / repeats


__all__ = ["Call", "CaptureError", "CpuDevice", "Device", "Event", "seconds_of"]
