"""One fresh process: a contestant's first calls on large tensors, as JSON. Started by `neurodsl.tools.bench.fresh`.

Libraries are loaded and threads started by calls on a few neurons; what has to be compiled for the shape is compiled
by a call on it. Then come the inputs, and then the calls that count. Outputs and gradients come from the contestant's
own allocator and are dropped before the next call, as in training.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import neurodsl
from neurodsl.loading import class_of
from neurodsl.tools.bench.contestants import Choice, Contestant, contestants
from neurodsl.tools.bench.inputs import Given
from neurodsl.tools.bench.machine import ready_call_path

WARM_UP = (2, 64)
"""Steps and neurons of the calls before those that count."""


def main() -> None:
    """Measure what the first argument describes."""
    task: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    ready_call_path()
    module = neurodsl.load(Path(task["source"]) if task["path"] else task["source"])
    one, given = _made(task, module)
    both, faults = _times(lambda: one.forward_backward(given), task["calls"])
    forward, _ = _times(lambda: one.forward(given), task["calls"])
    found = {
        "first": both[0],
        "steady": statistics.median(both[1:]),
        "forward": statistics.median(forward[1:]),
        "faults": statistics.median(faults[1:]),
    }
    sys.stdout.write(json.dumps(found) + "\n")


def _made(task: dict[str, Any], module: Any) -> tuple[Contestant, Given]:
    dtype = getattr(torch, task["dtype"])
    count = len(class_of(module, task["neuron"]).definition.inputs)

    def made(steps: int, neurons: int) -> tuple[Contestant, Given]:
        choice = Choice(compiled=True, split=True)
        listed = contestants(
            module, task["neuron"], choice=choice, steps=steps, neurons=neurons, dtype=dtype
        )
        one = next(one for one in listed if one.name == task["contestant"])
        return one, Given.of(count, steps, neurons, dtype)

    small, little = made(*WARM_UP)
    if not small.compiles:
        _warm_up(small, little)
    torch.relu(torch.zeros(1 << 20))  # the threads of PyTorch
    one, given = made(task["steps"], task["neurons"])
    if one.compiles:
        _warm_up(one, given)
    return one, given


def _warm_up(one: Contestant, given: Given) -> None:
    one.forward(given)
    one.forward_backward(given)


def _times(call: Callable[[], object], calls: int) -> tuple[list[float], list[int]]:
    """Seconds and page faults of each call."""
    seconds, faults = [], []
    for _ in range(calls):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return seconds, faults


if __name__ == "__main__":
    main()
