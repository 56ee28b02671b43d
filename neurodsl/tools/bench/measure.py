"""One benchmark run: every contestant on every shape, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from neurodsl.loading import class_of
from neurodsl.tools.bench.contestants import FUSED, RELU, Choice, Contestant, contestants
from neurodsl.tools.bench.first_call import seconds_of_first_call
from neurodsl.tools.bench.inputs import Given, firing_scale
from neurodsl.tools.bench.limits import Beside, Limit, limits, measure_beside
from neurodsl.tools.bench.saved import saved_bytes
from neurodsl.tools.bench.timing import Spread, alone, taking_turns

Shapes = tuple[tuple[int, int], ...]

SHAPES: Shapes = ((64, 128), (16, 8192), (32, 65536))
"""Time steps and neurons: a small layer, one that fits the caches, one that does not."""

Tell = Callable[[str], None]
"""Is told what is being done."""

TIMES = ("forward", "forward_backward", "forward_alone", "forward_backward_alone")


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant on one shape: times of a call, taking turns and alone, and bytes kept a neuron and step."""

    contestant: str
    forward: Spread
    forward_backward: Spread
    forward_alone: Spread
    forward_backward_alone: Spread
    saved: float
    saved_beside_inputs: float
    compile_seconds: float | None
    """What the first forward and backward pass took, for those that compile in it."""

    def as_json(self, fused: Row, relu: Row) -> dict[str, Any]:
        """Medians under the times' names, quartiles beside, and multiples of the fused kernels' and the ReLU's."""
        found: dict[str, Any] = {"contestant": self.contestant}
        for name in TIMES:
            spread: Spread = getattr(self, name)
            found[name] = spread.median
            found[f"{name}_quartiles"] = [spread.lower, spread.upper]
            found[f"{name}_samples"] = spread.samples
            found[f"{name}_times_fused"] = spread.median / getattr(fused, name).median
            found[f"{name}_times_relu"] = spread.median / getattr(relu, name).median
        return found | {
            "saved": self.saved,
            "saved_beside_inputs": self.saved_beside_inputs,
            "compile_seconds": self.compile_seconds,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """All of one neuron on one shape; the first row is that of the fused kernels."""

    neuron: str
    steps: int
    neurons: int
    dtype: str
    rows: tuple[Row, ...]
    beside: Beside
    limits: tuple[Limit, ...]

    def row(self, contestant: str) -> Row:
        """The row of a contestant."""
        return next(row for row in self.rows if row.contestant == contestant)

    @property
    def relu(self) -> Row:
        """The ReLU's row."""
        return self.row(RELU)

    @property
    def fused(self) -> Row:
        """The fused kernels' row."""
        return self.row(FUSED)

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints of it."""
        return {
            **self._key(),
            "rows": [self._key() | row.as_json(self.fused, self.relu) for row in self.rows],
            "beside": self.beside.as_json(),
            "limits": [limit.as_json() for limit in self.limits],
        }

    def _key(self) -> dict[str, Any]:
        names = ("neuron", "steps", "neurons", "dtype")
        return {name: getattr(self, name) for name in names}


def measure(
    module: Any,
    neuron: str,
    *,
    shapes: Shapes = SHAPES,
    rounds: int = 15,
    choice: Choice = Choice(),  # noqa: B008
    dtype: torch.dtype = torch.float32,
    tell: Tell = lambda _: None,
) -> Iterator[Result]:
    """The results of each shape in turn."""
    count = len(class_of(module, neuron).definition.inputs)
    scale = firing_scale(module, neuron)
    for steps, neurons in shapes:
        tell(f"{neuron}, {steps} x {neurons}: making inputs")
        given = Given.of(count, steps, neurons, dtype, scale)
        running = contestants(
            module, neuron, choice=choice, steps=steps, neurons=neurons, dtype=dtype
        )
        yield _measure_shape(module, neuron, running, given, rounds, tell)


def _measure_shape(
    module: Any, neuron: str, running: list[Contestant], given: Given, rounds: int, tell: Tell
) -> Result:
    steps, neurons = given.upstream.shape[0], given.upstream.shape[-1]

    def says(what: str) -> None:
        tell(f"{neuron}, {steps} x {neurons}: {what}")

    compiling: dict[str, float] = {}
    for one in running:
        if one.compiles:
            says(f"{one.name} compiles")
            compiling[one.name] = seconds_of_first_call(one, given)
    forward = {one.name: partial(one.forward, given) for one in running}
    both = {one.name: partial(one.forward_backward, given) for one in running}
    times: list[dict[str, Spread]] = []
    for way, words in ((taking_turns, "taking turns"), (alone, "each alone")):
        for calls, name in ((forward, "forward"), (both, "forward + backward")):
            says(f"{name}, {words}")
            times.append(way(calls, rounds))
    says("copies and limits")
    beside = measure_beside(module, neuron, given, rounds)
    rows, count = [], given.upstream.numel()
    for one in running:
        forth, back, forth_alone, back_alone = (found[one.name] for found in times)
        every, outside = saved_bytes(one, given)
        seconds = compiling.get(one.name)
        saved = every / count, outside / count
        rows.append(Row(one.name, forth, back, forth_alone, back_alone, *saved, seconds))
    found = limits(
        module, neuron, given, beside, rows[0].forward.median, rows[0].forward_backward.median
    )
    dtype = str(given.upstream.dtype).removeprefix("torch.")
    return Result(neuron, steps, neurons, dtype, tuple(rows), beside, tuple(found))
