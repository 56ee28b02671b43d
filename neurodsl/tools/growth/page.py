"""The figures as Markdown, and the page that they stand in."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from neurodsl.tools.bench.tables import Table, duration, size
from neurodsl.tools.growth.figures import series
from neurodsl.tools.growth.sweep import BASE, NEURONS, STEPS, Point

BEGIN = "<!-- begin: written by python -m neurodsl.tools.growth -->"
END = "<!-- end -->"
SPAN = 16.0
"""Growth is told over at least this factor, up to the largest size."""


def lif_tables(points: Sequence[Point]) -> list[Table]:
    """One table along steps and one along neurons: a column of times for each number of threads."""
    return [_lif_table(points, along) for along in (STEPS, NEURONS)]


def library_table(points: Sequence[Point]) -> Table:
    """For each series: the median exponent, the smallest and the largest with their neurons."""
    rows = []
    threads = max(point.threads for point in points)
    names = list(dict.fromkeys(point.neuron for point in points))
    for along in (STEPS, NEURONS):
        found = sorted((exponent(series(points, along, name, threads)), name) for name in names)
        middle = statistics.median(value for value, _ in found)
        ends = [f"{value:.2f} ({name})" for value, name in (found[0], found[-1])]
        rows.append((along, f"{middle:.2f}", *ends))
    columns = ("exponent along", "median", "smallest", "largest")
    return Table(f"The library, {len(names)} neurons", columns, tuple(rows))


def exponent(line: Sequence[Point]) -> float:
    """Of the growth of time with size, at the large end: 1 is proportional."""
    last = line[-1]
    first = max(
        (p for p in line if p.size * SPAN <= last.size), key=lambda p: p.size, default=line[0]
    )
    return math.log(last.seconds / first.seconds) / math.log(last.size / first.size)


def fill_in(page: Path, tables: Sequence[Table], facts: str) -> None:
    """Put the tables between the page's marks; a page that is not there becomes just them."""
    block = "\n".join([BEGIN, "", facts, "", *(table.as_markdown() for table in tables), END])
    text = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no place for the tables: {BEGIN} and {END}")
    page.write_text(before + block + after, encoding="utf-8")


def _lif_table(points: Sequence[Point], along: str) -> Table:
    counts = sorted({point.threads for point in points})
    lines = [series(points, along, BASE, threads) for threads in counts]
    rows = []
    for same in zip(*lines, strict=True):
        cells = [f"{same[0].size}"]
        for point in same:
            cells += [duration(point.seconds), f"{1e9 * point.per_neuron_step:.3g}"]
        last = same[-1]
        rows.append((*cells, size(last.saved), "" if last.peak is None else size(last.peak)))
    columns = ["steps" if along == STEPS else NEURONS]
    for threads in counts:
        columns += [f"{threads} thread{'s' if threads > 1 else ''}", "ns a neuron-step"]
    one = lines[0][0]
    fixed = f"{one.neurons} neurons" if along == STEPS else f"{one.steps} steps"
    grown = ", ".join(f"{exponent(line):.2f}" for line in lines)
    note = f"exponent of the growth of time at the large end (1 is proportional): {grown}"
    return Table(f"{BASE} at {fixed}", (*columns, "kept", "peak"), tuple(rows), (note,))
