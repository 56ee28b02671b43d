"""A stand-in for `torch.cuda` that records what it is asked, in order, and computes on the CPU.

It holds PyTorch to its rules: no capture without a warm-up, none on the default stream, no synchronisation and no
second capture while one runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any


class FakeCuda:
    """What the bench uses of `torch.cuda`; `log` has (word, detail) of every call."""

    def __init__(
        self, *, devices: int = 1, l2: int = 1 << 16, refuses_capture: bool = False
    ) -> None:
        self.log: list[tuple[str, Any]] = []
        self.devices, self.l2, self.refuses_capture = devices, l2, refuses_capture
        self.clock = itertools.count(1)
        self.stack: list[Any] = [FakeStream(self, "default")]
        self.capturing = False

    def note(self, word: str, detail: Any = None) -> None:
        """Called by tests' contestants, too."""
        self.log.append((word, detail))

    def words(self) -> list[str]:
        return [word for word, _ in self.log]

    def is_available(self) -> bool:
        return self.devices > 0

    def device_count(self) -> int:
        return self.devices

    def set_device(self, index: int) -> None:
        self.note("set_device", index)

    def get_device_properties(self, index: int) -> Any:
        return SimpleNamespace(
            name="Recorder 1",
            major=9,
            minor=0,
            multi_processor_count=132,
            total_memory=1 << 34,
            L2_cache_size=self.l2,
            uuid="1234",
        )

    def mem_get_info(self, index: int) -> tuple[int, int]:
        return 1 << 30, 1 << 34

    def memory_reserved(self, index: int) -> int:
        return 300

    def memory_allocated(self, index: int) -> int:
        return 100

    def reset_peak_memory_stats(self, index: int) -> None:
        self.note("reset_peak")

    def max_memory_allocated(self, index: int) -> int:
        return 4196

    def empty_cache(self) -> None:
        self.note("empty_cache")

    def synchronize(self, index: int) -> None:
        assert not self.capturing, "a device cannot be waited for while a stream is captured"
        self.note("synchronize")

    def current_stream(self, index: int) -> Any:
        return self.stack[-1]

    def Stream(self, index: int) -> Any:  # noqa: N802
        return FakeStream(self, "side")

    @contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        self.note("enter stream", stream.name)
        self.stack.append(stream)
        yield
        self.stack.pop()
        self.note("leave stream", stream.name)

    def Event(self, enable_timing: bool = False) -> Any:  # noqa: N802
        assert enable_timing
        return FakeEvent(self)

    def CUDAGraph(self) -> Any:  # noqa: N802
        return FakeGraph(self)

    @contextmanager
    def graph(self, graph: Any, stream: Any = None) -> Iterator[None]:
        assert stream is not None
        assert stream.name != "default"
        assert not self.capturing
        assert stream.used, "warm up on the stream of the capture"
        self.note("begin capture", stream.name)
        self.capturing = True
        try:
            yield
            if self.refuses_capture:
                raise RuntimeError("operation not permitted when stream is capturing\nmore lines")
            graph.captured = True
        finally:
            self.capturing = False
            self.note("end capture")


class FakeStream:
    """Remembers whether anything waited on it."""

    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self.cuda, self.name, self.used = cuda, name, False

    def wait_stream(self, other: FakeStream) -> None:
        self.used = True
        self.cuda.note("wait_stream", (self.name, other.name))


class FakeEvent:
    """Takes the number of clock ticks for milliseconds."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.at = cuda, 0

    def record(self) -> None:
        assert not self.cuda.capturing
        self.at = next(self.cuda.clock)
        self.cuda.note("record", self.at)

    def synchronize(self) -> None:
        assert self.at, "an event that was never recorded"
        self.cuda.note("wait for event", self.at)

    def elapsed_time(self, end: FakeEvent) -> float:
        assert ("wait for event", end.at) in self.cuda.log
        return float(end.at - self.at)


class FakeGraph:
    """Replays nothing, but only after a capture."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.captured = cuda, False

    def replay(self) -> None:
        assert self.captured
        self.cuda.note("replay")
