"""What a pass could take at best: its counted bytes at the speed of a copy measured beside it, and an empty call.

The share of the limit that is reached tells how much there is left to gain: not the rival's skill but the memory's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from neurodsl.tools.bench.contestants import fused
from neurodsl.tools.bench.inputs import Given
from neurodsl.tools.bench.launched import copy_module, launched
from neurodsl.tools.bench.timing import Spread, taking_turns
from neurodsl.tools.bench.traffic import of_neuron

LEAST_SHARE = 0.25
"""Of a copy's time that counts as copying, however much of it an empty copy takes."""

FORWARD, BOTH = "forward", "forward + backward"
FORWARD_THERE, BACKWARD_THERE = "forward, existing memory", "backward, existing memory"


@dataclass(frozen=True, slots=True)
class Limit:
    """A pass on one shape: its bytes, what it took, and what it could take; times in seconds."""

    what: str
    bytes: int
    seconds: float
    limit: float
    of_copy: float
    """Its bytes a second as a share of the best copy's bytes a second, calls and all."""

    @property
    def reached(self) -> float:
        """The share of the limit that is reached; 1 is all there is."""
        return self.limit / self.seconds

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"reached": self.reached}


@dataclass(frozen=True, slots=True)
class Beside:
    """What was measured to know the limits: seconds of copies into existing memory, of launches, of empty calls."""

    copies: dict[str, Spread]
    launches: dict[str, Spread]
    empty: dict[str, Spread]
    bytes: int
    """That a copy reads and writes."""

    @property
    def best_copy(self) -> str:
        """The fastest copy's name."""
        return min(self.copies, key=lambda name: self.copies[name].median)

    @property
    def bandwidth(self) -> float:
        """Bytes a second of the best copy, an empty copy's call taken off."""
        seconds = self.copies[self.best_copy].median
        return self.bytes / max(seconds - self.empty["copy"].median, LEAST_SHARE * seconds)

    @property
    def raw_bandwidth(self) -> float:
        """Bytes a second of the best copy, its call included."""
        return self.bytes / self.copies[self.best_copy].median

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"best_copy": self.best_copy, "bandwidth": self.bandwidth}


def measure_beside(module: Any, neuron: str, given: Given, rounds: int) -> Beside:
    """Time the copies, the launches on existing memory and the empty calls, taking turns."""
    x = given.plain[0]
    target = torch.empty_like(x)
    ours = launched(copy_module(), "Copy", given)
    copies: dict[str, Callable[[], object]] = {"torch copy_": lambda: target.copy_(x)}
    if ours is not None:
        copies["copy compiled by neurodsl"] = ours.forward
    launches: dict[str, Callable[[], object]] = {}
    if (found := launched(module, neuron, given)) is not None:
        launches = {FORWARD_THERE: found.forward, BACKWARD_THERE: found.backward}
    empty = _empty_calls(module, neuron, given)
    times = taking_turns(copies | launches | empty, rounds)
    groups = (copies, launches, empty)
    found_times = [{name: times[name] for name in group} for group in groups]
    empty_times = {name.removeprefix("empty "): time for name, time in found_times[2].items()}
    return Beside(found_times[0], found_times[1], empty_times, 2 * x.numel() * x.element_size())


def limits(
    module: Any, neuron: str, given: Given, beside: Beside, forward: float, both: float
) -> list[Limit]:
    """The limit of each pass; `forward` and `both` are what the module's own calls took."""
    steps, neurons = given.upstream.shape[0], given.upstream.shape[-1]
    dtype = "float64" if given.upstream.dtype == torch.float64 else "float32"
    manifest = module.__manifest__["neurons"][neuron]
    infer, train, backward = of_neuron(manifest, dtype, steps, neurons)

    def limit(what: str, count: int, seconds: float, call: float) -> Limit:
        share = count / seconds / beside.raw_bandwidth
        return Limit(what, count, seconds, count / beside.bandwidth + call, share)

    found = [
        limit(FORWARD, infer, forward, beside.empty[FORWARD].median),
        limit(BOTH, train + backward, both, beside.empty[BOTH].median),
    ]
    call = beside.empty["copy"].median
    for what, count in ((FORWARD_THERE, infer), (BACKWARD_THERE, backward)):
        if what in beside.launches:
            found.append(limit(what, count, beside.launches[what].median, call))
    return found


def _empty_calls(module: Any, neuron: str, given: Given) -> dict[str, Callable[[], object]]:
    """The calls of one neuron for one step, and the copy of one number."""
    one = Given.of(len(given.plain), 1, 1, given.upstream.dtype)
    node = fused(module, neuron, 1, 1)
    target = torch.empty_like(one.plain[0])
    return {
        f"empty {FORWARD}": lambda: node.forward(one),
        f"empty {BOTH}": lambda: node.forward_backward(one),
        "empty copy": lambda: target.copy_(one.plain[0]),
    }
