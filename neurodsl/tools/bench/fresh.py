"""Fresh processes: what a contestant takes where no memory has been used yet, several processes each, taking turns."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neurodsl.tools.bench.contestants import FUSED
from neurodsl.tools.bench.measure import Tell
from neurodsl.tools.bench.tables import Table, duration

CALLS = 7
PROCESSES = 3
PROGRAM = "neurodsl.tools.bench.fresh_process"


class FreshProcessError(RuntimeError):
    """A process of ours ended badly; the text has what it said."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Of one contestant: medians over processes. Times are of forward and backward, `forward` is of forward alone.

    `first` is the first call on these tensors, `steady` the median of the calls after it, `faults` the pages that the
    system cleared in such a call.
    """

    contestant: str
    first: float
    steady: float
    forward: float
    faults: float
    steady_of_each: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def measure_fresh(
    source: str | Path,
    neuron: str,
    names: Sequence[str],
    *,
    steps: int,
    neurons: int,
    dtype: str,
    threads: int,
    processes: int = PROCESSES,
    tell: Tell = lambda _: None,
) -> list[Fresh]:
    """Start `processes` processes for each contestant, one after the other."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(processes):
        for name in names:
            tell(f"{neuron}, {steps} x {neurons}: fresh process {turn + 1} of {processes}, {name}")
            task = {"source": str(source), "path": isinstance(source, Path), "neuron": neuron}
            task |= {"contestant": name, "steps": steps, "neurons": neurons, "calls": CALLS}
            found[name].append(_run(task | {"dtype": dtype, "threads": threads}))
    return [_median(name, runs) for name, runs in found.items()]


def fresh_table(neuron: str, steps: int, neurons: int, dtype: str, rows: Sequence[Fresh]) -> Table:
    """Medians, and multiples of the fused kernels'."""
    fused = next(row for row in rows if row.contestant == FUSED)
    cells = tuple(
        (
            row.contestant,
            duration(row.steady),
            f"{row.steady / fused.steady:.2f}",
            duration(row.first),
            f"{row.first / fused.first:.2f}",
            duration(row.forward),
            f"{row.forward / fused.forward:.2f}",
            f"{row.faults:.0f}",
        )
        for row in rows
    )
    columns = (
        "",
        "fwd+bwd",
        "x fused",
        "first call",
        "x fused",
        "forward",
        "x fused",
        "page faults",
    )
    title = f"{neuron}, {steps} steps x {neurons} neurons, {dtype}, fresh processes"
    return Table(title, columns, cells)


def _median(name: str, runs: Sequence[dict[str, float]]) -> Fresh:
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return Fresh(contestant=name, **middle, steady_of_each=tuple(run["steady"] for run in runs))


def _run(task: dict[str, Any]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, json.dumps(task)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise FreshProcessError(f"{task['contestant']} in a fresh process:\n{done.stderr.strip()}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
