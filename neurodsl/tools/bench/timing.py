"""Measuring fairly: contestants take turns, each sample is many calls, the median of the samples counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

SAMPLE_SECONDS = 0.004
"""A sample repeats a short call until it lasts about this long."""
MOST_CALLS = 50


def interleaved_medians(
    calls: Mapping[str, Callable[[], object]], rounds: int, budget: float
) -> dict[str, float]:
    """Median seconds of one call, by name.

    In each round every contestant is sampled once, so that a slow spell of the machine hits all alike. Rounds end
    early, but not before the third, when `budget` seconds are over. Each call is warmed up first.
    """
    repeats = {name: _warm_up(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    start = time.perf_counter()
    for done in range(rounds):
        if done >= 3 and time.perf_counter() - start > budget:
            break
        for name, call in calls.items():
            samples[name].append(_sample(call, repeats[name]))
    return {name: statistics.median(seconds) for name, seconds in samples.items()}


def _warm_up(call: Callable[[], object]) -> int:
    """Run a call until its time settles; how often to repeat it in a sample."""
    call()
    call()
    seconds = _sample(call, 1)
    return max(1, min(MOST_CALLS, int(SAMPLE_SECONDS / max(seconds, 1e-9))))


def _sample(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
