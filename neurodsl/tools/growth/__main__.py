"""`python -m neurodsl.tools.growth [--out DIR]`: measure, write JSON, draw, and fill in the page.

`DIR/growth.md` gets the tables, `DIR/images` the pictures and the JSON. What `--only` leaves out is taken from the JSON
that is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurodsl.build.errors import ToolchainError
from neurodsl.tools.bench.figure import need_matplotlib
from neurodsl.tools.bench.machine import facts, ready_call_path
from neurodsl.tools.bench.tables import Table
from neurodsl.tools.growth.figures import draw_library, draw_lif
from neurodsl.tools.growth.page import fill_in, library_table, lif_tables
from neurodsl.tools.growth.sweep import Point, Task, library_tasks, lif_tasks, measure

PARTS = {"lif": lif_tasks, "library": library_tasks}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m neurodsl.tools.growth", description=__doc__)
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("growth"))
    parser.add_argument("--only", choices=sorted(PARTS))
    parser.add_argument("--quick", action="store_true", help="a few small sizes, in seconds")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw what is there")
    given = parser.parse_args(arguments)
    try:
        need_matplotlib("growth")
    except ToolchainError as problem:
        sys.stderr.write(f"error: {problem}\n")
        return 3
    images = given.out / "images"
    images.mkdir(parents=True, exist_ok=True)
    if not given.draw:
        _measure([given.only] if given.only else list(PARTS), images, quick=given.quick)
    _show(images, given.out / "growth.md")
    return 0


def _measure(parts: Sequence[str], images: Path, *, quick: bool) -> None:
    machine = facts() | {"call_path": ready_call_path(), "quick": quick}
    for part in parts:
        points = list(_watched(part, PARTS[part](quick=quick)))
        found = {"machine": machine, "points": [_rounded(point) for point in points]}
        text = json.dumps(found, indent=None, separators=(",", ":"))
        (images / f"growth-{part}.json").write_text(text + "\n", encoding="utf-8")


def _rounded(point: Point) -> dict[str, Any]:
    """Four digits of a time are more than it can be known to."""
    found = asdict(point)
    return found | {key: float(f"{found[key]:.4g}") for key in ("seconds", "lower", "upper")}


def _watched(part: str, tasks: list[Task]) -> Iterator[Point]:
    """With a bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(part, total=len(tasks))
        for point in measure(tasks):
            where = f"{point.neuron} {point.steps} x {point.neurons}"
            progress.update(bar, advance=1, description=where)
            yield point


def _show(images: Path, page: Path) -> None:
    tables: list[Table] = []
    written: list[Path] = []
    machine: dict[str, Any] = {}
    for part in PARTS:
        file = images / f"growth-{part}.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        machine = found["machine"]
        points = [Point(**point) for point in found["points"]]
        tables += lif_tables(points) if part == "lif" else [library_table(points)]
        written += (draw_lif if part == "lif" else draw_library)(points, images)
    if not tables:
        sys.stderr.write(f"nothing was measured yet: {images} has no growth-*.json\n")
        return
    names = "Measured with NeuroDSL {neurodsl} and PyTorch {torch} on {cores} cores of a {cpu}, float32."
    fill_in(page, tables, names.format(**machine))
    sys.stdout.write("".join(f"wrote {path}\n" for path in (*written, page)))


if __name__ == "__main__":
    sys.exit(main())
