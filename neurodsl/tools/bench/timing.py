"""Timing calls: contestants taking turns or each alone, many short samples, the median and the quartiles of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

TURN_SECONDS = 0.001
"""A turn repeats a short call until it lasts about this long; a longer call is made once."""
MOST_CALLS = 200
LEAST_TURNS = 5
SECONDS_EACH = 3.0
"""A contestant that has had this long, and `LEAST_TURNS` turns, sits out the rest: the slow do not hold up the fast."""

Calls = Mapping[str, Callable[[], object]]

Sample = Callable[[Callable[[], object], int], float]
"""Seconds of one call among so many made one after the other."""


def sample(call: Callable[[], object], repeats: int) -> float:
    """By this process' clock: for calls that are done when they return."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds of one call: the median and the quartiles of so many samples."""

    median: float
    lower: float
    upper: float
    samples: int

    @classmethod
    def of(cls, seconds: list[float]) -> Spread:
        """Of at least one sample."""
        if len(seconds) == 1:
            return cls(seconds[0], seconds[0], seconds[0], 1)
        lower, middle, upper = statistics.quantiles(seconds, n=4, method="inclusive")
        return cls(middle, lower, upper, len(seconds))


def taking_turns(
    calls: Calls,
    rounds: int,
    *,
    least: int = LEAST_TURNS,
    seconds_each: float = SECONDS_EACH,
    clock: Sample = sample,
    turn_seconds: float = TURN_SECONDS,
) -> dict[str, Spread]:
    """What one call takes, by name, where contestants take turns.

    In each round everyone has one turn, so that a slow spell of the machine hits all alike and nobody finds the caches
    as it left them. Calls are warmed up first, all of them, before anything counts. `clock` times a turn, which repeats
    a short call until it lasts about `turn_seconds`.
    """
    repeats = {name: _warm_up(call, clock, turn_seconds) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    spent = dict.fromkeys(calls, 0.0)
    with _without_collection():
        for done in range(rounds):
            for name, call in calls.items():
                if done >= least and spent[name] > seconds_each:
                    continue
                samples[name].append(clock(call, repeats[name]))
                spent[name] += samples[name][-1] * repeats[name]
    return {name: Spread.of(seconds) for name, seconds in samples.items()}


def alone(
    calls: Calls, rounds: int, *, least: int = LEAST_TURNS, seconds_each: float = SECONDS_EACH
) -> dict[str, Spread]:
    """What one call takes, by name, where each contestant has all its turns before the next one begins."""
    found: dict[str, Spread] = {}
    for name, call in calls.items():
        only = {name: call}
        found |= taking_turns(only, rounds, least=least, seconds_each=seconds_each)
    return found


@contextmanager
def _without_collection() -> Iterator[None]:
    """Python's garbage collector would run in whoever's turn its time comes."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _warm_up(call: Callable[[], object], clock: Sample, turn_seconds: float) -> int:
    """Run a call until its time settles; how often to repeat it in a turn."""
    call()
    call()
    seconds = min(clock(call, 1), clock(call, 1))
    return max(1, min(MOST_CALLS, int(turn_seconds / max(seconds, 1e-9))))
