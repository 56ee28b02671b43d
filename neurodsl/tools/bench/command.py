"""The command: measure each neuron, print a table for each, or one JSON object for all."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import neurodsl
from neurodsl.tools.bench.measure import SHAPES, Row, measure

if TYPE_CHECKING:
    from rich.console import Console


def run(
    sources: Sequence[str | Path] = ("LIF",),
    *,
    shapes: tuple[tuple[int, int], ...] = SHAPES,
    rounds: int = 15,
    compiled: bool = False,
    as_json: bool = False,
) -> int:
    """Benchmark every neuron of the given files or library names; returns the exit status.

    `shapes` are pairs of time steps and neurons, `compiled` adds torch.compile of the eager loop.
    """
    from rich.console import Console

    console = Console(highlight=False)
    results: list[dict[str, Any]] = []
    for source in sources:
        module: Any = neurodsl.load(source)
        for neuron in module.__manifest__["neurons"]:
            if not as_json:
                print_title(neuron, console)
            for rows in measure(module, neuron, shapes=shapes, rounds=rounds, compiled=compiled):
                results += [{"neuron": neuron} | row.as_json(rows[0]) for row in rows]
                if not as_json:
                    print_table(rows, console)
    if as_json:
        print(json.dumps({"machine": machine(), "rows": results}, indent=2))
    return 0


def print_title(neuron: str, console: Console) -> None:
    """What is measured, and on what."""
    facts = machine()
    console.print(f"\n{neuron}", style="bold", end="")
    console.print(
        f"  float32, {facts['threads']} threads, PyTorch {facts['torch']}, {facts['cpu']}"
    )


def print_table(rows: list[Row], console: Console) -> None:
    """One shape's rows: medians, multiples of the fused kernels' time, and saved bytes a neuron and step."""
    from rich.table import Table

    fused = rows[0]
    table = Table(title=f"{fused.steps} steps x {fused.neurons} neurons", title_justify="left")
    table.add_column("")
    for title in ("forward", "x fused", "fwd+bwd", "x fused", "saved B", "beside input"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            row.contestant,
            duration(row.forward),
            f"{row.forward / fused.forward:.2f}",
            duration(row.forward_backward),
            f"{row.forward_backward / fused.forward_backward:.2f}",
            f"{row.saved:.2f}",
            f"{row.saved_beside_inputs:.2f}",
        )
    console.print(table)


def duration(seconds: float) -> str:
    """A time in the unit that reads best."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.2f} ms"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    import torch

    return {
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "neurodsl": neurodsl.__version__,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
