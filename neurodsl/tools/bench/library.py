"""Every neuron of the library beside LIF: time of forward and backward per byte of counted traffic."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

import neurodsl
from neurodsl.library import names
from neurodsl.loading import class_of
from neurodsl.tools.bench.contestants import fused
from neurodsl.tools.bench.inputs import Given, firing_scale
from neurodsl.tools.bench.measure import Shapes, Tell
from neurodsl.tools.bench.tables import Table, duration
from neurodsl.tools.bench.timing import taking_turns
from neurodsl.tools.bench.traffic import of_neuron

SHAPES: Shapes = ((16, 8192), (32, 65536))
BASE = "LIF"


@dataclass(frozen=True, slots=True)
class PerByte:
    """Of one neuron on one shape: counted bytes, seconds of forward and backward, and those of LIF beside it."""

    neuron: str
    steps: int
    neurons: int
    bytes: int
    seconds: float
    base_bytes: int
    base_seconds: float
    fed_back: bool
    """Whether a module is called between its steps."""

    @property
    def ratio(self) -> float:
        """Its time per byte over LIF's."""
        return (self.seconds / self.bytes) / (self.base_seconds / self.base_bytes)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"ratio": self.ratio}


def measure_library(
    *,
    shapes: Shapes = SHAPES,
    rounds: int = 15,
    dtype: torch.dtype = torch.float32,
    chosen: Sequence[str] | None = None,
    tell: Tell = lambda _: None,
) -> Iterator[PerByte]:
    """All neurons but LIF (or those chosen), shape by shape; each takes turns with LIF.

    All are compiled before anything is measured.
    """
    wanted = [name for name in (names() if chosen is None else chosen) if name != BASE]
    scales: dict[str, float] = {}
    for name in (BASE, *wanted):
        tell(f"{name}: compiling")
        scales[name] = firing_scale(neurodsl.load(name), name)
    for steps, neurons in shapes:
        base, base_bytes = _call(BASE, steps, neurons, dtype, scales[BASE])
        for name in wanted:
            tell(f"{name}, {steps} x {neurons}")
            call, count = _call(name, steps, neurons, dtype, scales[name])
            times = taking_turns({name: call, BASE: base}, rounds)
            seconds = times[name].median
            fed_back = bool(getattr(neurodsl.load(name), name).definition.feedbacks)
            yield PerByte(
                name, steps, neurons, count, seconds, base_bytes, times[BASE].median, fed_back
            )


def library_table(rows: Sequence[PerByte]) -> Table:
    """Sorted by ratio; the median and the worst below."""
    steps, neurons = rows[0].steps, rows[0].neurons
    ordered = sorted(rows, key=lambda row: row.ratio)
    cells = tuple(
        (
            row.neuron,
            f"{row.bytes / (steps * neurons):.1f}",
            duration(row.seconds),
            f"{1e12 * row.seconds / row.bytes:.1f}",
            f"{row.ratio:.2f}",
        )
        for row in ordered
    )
    middle, worst = statistics.median(row.ratio for row in rows), ordered[-1]
    reason = ": its feedback's module is called between the steps" if worst.fed_back else ""
    note = (
        f"median {middle:.2f} x LIF's time per byte, worst {worst.neuron} {worst.ratio:.2f}{reason}"
    )
    columns = ("", "bytes a neuron-step", "fwd+bwd", "ps a byte", "x LIF")
    return Table(f"The library, {steps} steps x {neurons} neurons", columns, cells, (note,))


def _call(
    name: str, steps: int, neurons: int, dtype: torch.dtype, scale: float
) -> tuple[Callable[[], object], int]:
    """Forward and backward of a neuron, and their counted bytes."""
    module = neurodsl.load(name)
    count = len(class_of(module, name).definition.inputs)
    given = Given.of(count, steps, neurons, dtype, scale)
    kernels = "float64" if dtype == torch.float64 else "float32"
    manifest = module.__manifest__["neurons"][name]
    _, train, backward = of_neuron(manifest, kernels, steps, neurons)
    one = fused(module, name, steps, neurons)
    return partial(one.forward_backward, given), train + backward
