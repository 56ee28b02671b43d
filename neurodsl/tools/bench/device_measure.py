"""A bench run on a device: every contestant on every shape, called from Python and replayed from graphs, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from neurodsl.loading import class_of
from neurodsl.tools.bench.contestants import COPY, RELU, Choice, Contestant
from neurodsl.tools.bench.device import CaptureError, Device, seconds_of
from neurodsl.tools.bench.device_contestants import on_device, those_that_run
from neurodsl.tools.bench.device_result import DeviceResult, DeviceRow, Traffic
from neurodsl.tools.bench.device_traffic import traffic_of
from neurodsl.tools.bench.first_call import seconds_of_first_call
from neurodsl.tools.bench.inputs import Given, firing_scale
from neurodsl.tools.bench.measure import Shapes, Tell
from neurodsl.tools.bench.rotation import Pass, Rotation, Sets, sets_on
from neurodsl.tools.bench.saved import saved_bytes
from neurodsl.tools.bench.spikingjelly_cuda import first_line
from neurodsl.tools.bench.timing import Spread, taking_turns

SHAPES: Shapes = ((4, 512), (16, 8192), (4, 1 << 20), (16, 1 << 20), (8, 1 << 23))
"""Time steps and neurons: launches, a layer that fits L2, and three that do not."""

TURN_SECONDS = 0.005
GRAPH_SECONDS = 0.05
"""As many calls as take this long from Python go into a graph, one at least: loops would fill the memory with nodes."""


@dataclass(slots=True)
class _Shape:
    """One shape on its way: who runs, on what, and what has been noted."""

    device: Device
    sets: Sets
    running: list[Contestant]
    rounds: int
    notes: list[str] = field(default_factory=list)
    compiling: dict[str, float] = field(default_factory=dict)

    @property
    def first(self) -> Given:
        """The first set."""
        return self.sets.given[0]

    def timed(self, calls: Mapping[str, Callable[[], object]]) -> dict[str, Spread]:
        """Interleaved rounds on the device's clock."""
        clock = partial(seconds_of, self.device)
        return taking_turns(calls, self.rounds, clock=clock, turn_seconds=TURN_SECONDS)


def measure_on(
    device: Device,
    module: Any,
    neuron: str,
    *,
    shapes: Shapes = SHAPES,
    rounds: int = 15,
    choice: Choice = Choice(),  # noqa: B008
    dtype: torch.dtype = torch.float32,
    tell: Tell = lambda _: None,
) -> Iterator[DeviceResult]:
    """The results of each shape in turn."""
    count = len(class_of(module, neuron).definition.inputs)
    scale = firing_scale(module, neuron)
    for steps, neurons in shapes:
        says = partial(_says, tell, f"{neuron}, {steps} x {neurons}")
        says("making inputs")
        sets = sets_on(device, Given.of(count, steps, neurons, dtype, scale))
        notes: list[str] = []
        running = on_device(
            module,
            neuron,
            device,
            choice=choice,
            steps=steps,
            neurons=neurons,
            dtype=dtype,
            left=notes.append,
        )
        shape = _Shape(device, sets, running, rounds, notes)
        _prepare(shape, says)
        rows = _rows(shape, says)
        traffic = traffic_of(module.__manifest__["neurons"][neuron], dtype, steps, neurons)
        yield _result(shape, neuron, rows, traffic)
        del shape, sets, running
        device.release()


def _prepare(shape: _Shape, says: Tell) -> None:
    """Let compilers compile and kernels load; leave out who cannot run."""
    kept: list[Contestant] = []
    for one in shape.running:
        says(f"{one.name}, first call")
        if one.compiles:
            try:
                shape.compiling[one.name] = seconds_of_first_call(one, shape.first)
            except Exception as problem:
                shape.notes.append(f"{one.name} is left out: {first_line(problem)}")
                continue
        kept += those_that_run([one], shape.first, shape.notes.append)
    shape.running = kept
    shape.device.synchronize()


def _rows(shape: _Shape, says: Tell) -> list[DeviceRow]:
    """Everything of everyone; forward first, then forward and backward."""
    eager: list[dict[str, Spread]] = []
    replayed: list[dict[str, Spread]] = []
    held = {one.name: len(shape.sets.given) for one in shape.running}
    for name, words in (("forward", "forward"), ("forward_backward", "forward + backward")):
        passes: dict[str, Pass] = {one.name: getattr(one, name) for one in shape.running}
        says(f"{words}, from Python")
        eager.append(_from_python(shape, passes))
        says(f"{words}, graphs")
        times, sizes = _from_graphs(shape, passes, eager[-1], words)
        replayed.append(times)
        held |= sizes
    says("memory and outputs")
    return [_row(shape, one, eager, replayed, held[one.name]) for one in shape.running]


def _from_python(shape: _Shape, passes: Mapping[str, Pass]) -> dict[str, Spread]:
    """Each call as a program makes it, its launches included."""
    calls = {name: Rotation(one, shape.sets) for name, one in passes.items()}
    found = shape.timed(calls)
    for call in calls.values():
        call.drop()
    shape.device.synchronize()
    return found


def _from_graphs(
    shape: _Shape, passes: Mapping[str, Pass], eager: Mapping[str, Spread], words: str
) -> tuple[dict[str, Spread], dict[str, int]]:
    """Seconds of a call inside a replayed graph, for whom it can be captured, and how many calls it holds."""
    replays: dict[str, Callable[[], object]] = {}
    kept: list[Rotation] = []
    sizes: dict[str, int] = {}
    for name, one in passes.items():
        most = max(1, int(GRAPH_SECONDS / max(eager[name].median, 1e-9)))
        rotation = Rotation(one, shape.sets, most=most)
        try:
            replays[name] = shape.device.graph(rotation.round)
        except CaptureError as problem:
            shape.notes.append(f"{name}, {words}: no graph ({problem})")
            continue
        kept.append(rotation)  # its last results are memory of the graph
        sizes[name] = len(rotation)
    times = shape.timed(replays)
    shape.device.synchronize()
    return {name: _divided(spread, sizes[name]) for name, spread in times.items()}, sizes


def _row(
    shape: _Shape,
    one: Contestant,
    eager: list[dict[str, Spread]],
    replayed: list[dict[str, Spread]],
    held: int,
) -> DeviceRow:
    given, count = shape.first, shape.first.upstream.numel()
    every, outside = saved_bytes(one, given)
    equal = None
    if one.name not in (RELU, COPY):
        ours, theirs = shape.running[0].forward(given), one.forward(given)
        equal = float((ours == theirs).double().mean().item())
    return DeviceRow(
        one.name,
        eager[0][one.name],
        eager[1][one.name],
        replayed[0].get(one.name),
        replayed[1].get(one.name),
        held,
        every / count,
        outside / count,
        shape.device.peak_bytes(partial(one.forward_backward, given)) / count,
        equal,
        shape.compiling.get(one.name),
    )


def _result(shape: _Shape, neuron: str, rows: list[DeviceRow], traffic: Traffic) -> DeviceResult:
    upstream = shape.first.upstream
    return DeviceResult(
        neuron,
        upstream.shape[0],
        upstream.shape[-1],
        str(upstream.dtype).removeprefix("torch."),
        tuple(rows),
        traffic,
        len(shape.sets.given),
        shape.sets.beyond_cache,
        tuple(shape.notes),
        shape.device.clocks(),
    )


def _divided(spread: Spread, calls: int) -> Spread:
    return Spread(spread.median / calls, spread.lower / calls, spread.upper / calls, spread.samples)


def _says(tell: Tell, where: str, what: str) -> None:
    tell(f"{where}: {what}")
