"""What was measured on a device, as data: rows of contestants, counted bytes, and shares of the copy's bandwidth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neurodsl.tools.bench.contestants import COPY, FUSED, RELU
from neurodsl.tools.bench.timing import Spread

TIMES = ("forward", "forward_backward", "forward_graph", "forward_backward_graph")


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One contestant on one shape: times of a call as it is made from Python, and as part of a replayed graph."""

    contestant: str
    forward: Spread
    forward_backward: Spread
    forward_graph: Spread | None
    """None for those whose calls cannot be captured."""
    forward_backward_graph: Spread | None
    sets: int
    """Sets of buffers that take turns in a graph's calls."""
    saved: float
    """Bytes kept between the passes, a neuron and step; and without the inputs' own."""
    saved_beside_inputs: float
    peak: float
    """Bytes of tensors at the highest in forward and backward, a neuron and step, inputs apart."""
    equal: float | None
    """The share of outputs equal to the fused kernels'; None for what is no neuron."""
    compile_seconds: float | None

    def best(self, name: str) -> float:
        """Seconds of a graph's call, or of a plain one where that is less or there is no graph."""
        plain: Spread = getattr(self, name)
        graph: Spread | None = getattr(self, f"{name}_graph")
        return plain.median if graph is None else min(plain.median, graph.median)

    @property
    def launch_overhead(self) -> float | None:
        """Seconds that a forward and backward pass takes longer from Python than in a graph."""
        graph = self.forward_backward_graph
        return None if graph is None else self.forward_backward.median - graph.median


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counted bytes of forward, of forward and backward in training; and of a copy of the first input."""

    forward: int
    forward_backward: int
    copy: int
    counted_in: str
    """The dtype of the kernels whose arrays were counted."""

    def of(self, contestant: str, name: str) -> int:
        """Bytes that a pass has to move: a neuron's are those of the fused kernels, whoever runs it."""
        if contestant == COPY:
            return self.copy if name == "forward" else 2 * self.copy
        if contestant == RELU:  # backward reads the output and its gradient, and writes one
            return self.copy if name == "forward" else 5 * self.copy // 2
        return int(getattr(self, name))


@dataclass(frozen=True, slots=True)
class DeviceResult:
    """All of one neuron on one shape in one dtype."""

    neuron: str
    steps: int
    neurons: int
    dtype: str
    rows: tuple[DeviceRow, ...]
    traffic: Traffic
    sets: int
    beyond_cache: bool
    """Whether the inputs in turn are larger than the last cache, so that memory is measured."""
    notes: tuple[str, ...]
    clocks: dict[str, str]

    def row(self, contestant: str) -> DeviceRow:
        """The row of a contestant."""
        return next(row for row in self.rows if row.contestant == contestant)

    @property
    def fused(self) -> DeviceRow:
        """The fused kernels' row."""
        return self.row(FUSED)

    @property
    def bandwidth(self) -> float:
        """Bytes a second of the copy."""
        return self.traffic.copy / self.row(COPY).best("forward")

    def share(self, row: DeviceRow, name: str) -> float:
        """Counted bytes over time, as a share of the copy's bandwidth; 1 is as fast as a copy of as many bytes."""
        return self.traffic.of(row.contestant, name) / row.best(name) / self.bandwidth

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints of it."""
        return self._key() | {
            "rows": [self._key() | self._row_json(row) for row in self.rows],
            "bytes": {
                "forward": self.traffic.forward,
                "forward_backward": self.traffic.forward_backward,
                "copy": self.traffic.copy,
                "counted_in": self.traffic.counted_in,
            },
            "bandwidth": self.bandwidth,
            "sets": self.sets,
            "beyond_cache": self.beyond_cache,
            "notes": list(self.notes),
            "clocks": self.clocks,
        }

    def _row_json(self, row: DeviceRow) -> dict[str, Any]:
        found: dict[str, Any] = {"contestant": row.contestant}
        for name in TIMES:
            spread: Spread | None = getattr(row, name)
            base: Spread | None = getattr(self.fused, name)
            found[name] = spread and spread.median
            found[f"{name}_quartiles"] = spread and [spread.lower, spread.upper]
            found[f"{name}_samples"] = spread and spread.samples
            found[f"{name}_times_fused"] = spread and base and spread.median / base.median
        return found | {
            "share_of_copy_forward": self.share(row, "forward"),
            "share_of_copy_forward_backward": self.share(row, "forward_backward"),
            "launch_overhead": row.launch_overhead,
            "sets_in_graph": row.sets,
            "saved": row.saved,
            "saved_beside_inputs": row.saved_beside_inputs,
            "peak": row.peak,
            "equal": row.equal,
            "compile_seconds": row.compile_seconds,
        }

    def _key(self) -> dict[str, Any]:
        names = ("neuron", "steps", "neurons", "dtype")
        return {name: getattr(self, name) for name in names}
