"""A comparison as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurodsl.tools.compare.result import ComparisonResult, Difference

if TYPE_CHECKING:
    from rich.console import Console


def print_comparison(result: ComparisonResult, console: Console) -> None:
    """Print the result: what was run, a row a quantity, and the verdict."""
    from rich.table import Table

    rate = "" if result.firing_rate is None else f", {result.firing_rate:.3f} spikes a step"
    console.print(f"\n{result.neuron}", style="bold", end="")
    console.print(
        f"  {result.steps} steps x {result.neurons} neurons, {result.dtype}, seed {result.seed}{rate}"
    )
    table = Table()
    for title in ("against the reference", "quantity"):
        table.add_column(title)
    for title in ("spikes that differ", "largest error", "relative", "allowed"):
        table.add_column(title, justify="right")
    table.add_column("")
    previous = ""
    for row in result.differences:
        shown = row.contestant if row.contestant != previous else ""
        previous = row.contestant
        table.add_row(shown, row.quantity, *_cells(row))
    console.print(table)
    for note in result.notes:
        console.print(f"note: {note}", markup=False)


def _cells(row: Difference) -> list[str]:
    spikes = "" if row.spikes is None else f"{row.spikes} of {row.of}"
    verdict = "[green]ok[/green]" if row.passed else "[bold red]differs[/bold red]"
    return [spikes, _number(row.error), _number(row.relative), _number(row.allowed), verdict]


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"
