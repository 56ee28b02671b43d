"""The measurements: forward and backward of a neuron along time steps and along neurons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch

import neurodsl
from neurodsl.library import names
from neurodsl.loading import class_of
from neurodsl.tools.bench.contestants import fused
from neurodsl.tools.bench.inputs import Given, firing_scale
from neurodsl.tools.bench.saved import saved_bytes
from neurodsl.tools.bench.timing import taking_turns
from neurodsl.tools.growth.peak import LEAST, peak_bytes

STEPS, NEURONS = "steps", "neurons"
ROUNDS, SECONDS_EACH = 9, 0.5


@dataclass(frozen=True, slots=True)
class Task:
    """One point to measure. `along` says which of the two sizes is varied in the series that it belongs to."""

    neuron: str
    along: str
    steps: int
    neurons: int
    threads: int


@dataclass(frozen=True, slots=True)
class Point:
    """What was found: seconds of forward and backward, bytes kept for backward, and bytes at the peak of both."""

    neuron: str
    along: str
    steps: int
    neurons: int
    threads: int
    seconds: float
    lower: float
    upper: float
    saved: int
    peak: int | None

    @property
    def size(self) -> int:
        """The size that varies."""
        return self.steps if self.along == STEPS else self.neurons

    @property
    def per_neuron_step(self) -> float:
        """Seconds a neuron-step."""
        return self.seconds / (self.steps * self.neurons)


@dataclass(frozen=True, slots=True)
class Grid:
    """Which sizes: steps at a fixed number of neurons, neurons at a fixed number of steps, numbers of threads."""

    steps: tuple[int, ...]
    at_neurons: int
    neurons: tuple[int, ...]
    at_steps: int
    threads: tuple[int, ...]

    def tasks(self, neuron: str) -> list[Task]:
        """Both series, thread count by thread count."""
        found = []
        for threads in self.threads:
            for steps in self.steps:
                found.append(Task(neuron, STEPS, steps, self.at_neurons, threads))
            for neurons in self.neurons:
                found.append(Task(neuron, NEURONS, self.at_steps, neurons, threads))
        return found


_POWERS = tuple(2**exponent for exponent in range(11))
_HALF_DECADES = tuple(round(10 ** (half / 2)) for half in range(4, 17))

LIF_GRID = Grid(_POWERS, 8192, _HALF_DECADES, 4, (1, 2))
LIBRARY_GRID = Grid(_POWERS[::2], 1024, tuple(10**e for e in range(2, 7)), 4, (2,))
QUICK_GRID = Grid(_POWERS[:5:2], 256, (100, 1000), 4, (1, 2))
BASE = "LIF"


def lif_tasks(*, quick: bool) -> list[Task]:
    """LIF in full."""
    return (QUICK_GRID if quick else LIF_GRID).tasks(BASE)


def library_tasks(*, quick: bool) -> list[Task]:
    """Every library neuron, or two of them, in a coarser grid."""
    chosen = (BASE, "IF") if quick else names()
    grid = QUICK_GRID if quick else LIBRARY_GRID
    return [task for name in chosen for task in grid.tasks(name)]


def measure(tasks: list[Task]) -> Iterator[Point]:
    """One point for each task; PyTorch's number of threads is what it was afterwards."""
    scales: dict[str, float] = {}
    before = torch.get_num_threads()
    try:
        for task in tasks:
            if task.neuron not in scales:
                scales[task.neuron] = firing_scale(neurodsl.load(task.neuron), task.neuron)
            torch.set_num_threads(task.threads)
            yield _point(task, scales[task.neuron])
    finally:
        torch.set_num_threads(before)


def _point(task: Task, scale: float) -> Point:
    module = neurodsl.load(task.neuron)
    count = len(class_of(module, task.neuron).definition.inputs)
    given = Given.of(count, task.steps, task.neurons, torch.float32, scale)
    one = fused(module, task.neuron, task.steps, task.neurons)
    call = partial(one.forward_backward, given)
    times = taking_turns({"": call}, ROUNDS, seconds_each=SECONDS_EACH)[""]
    saved, _ = saved_bytes(one, given)
    one.start()
    large = given.upstream.numel() * given.upstream.element_size() >= LEAST
    peak = peak_bytes(call) if large else None
    return Point(
        task.neuron,
        task.along,
        task.steps,
        task.neurons,
        task.threads,
        times.median,
        times.lower,
        times.upper,
        saved,
        peak,
    )
