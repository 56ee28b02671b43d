"""The command: measure what is asked for, print tables, Markdown or one JSON object, and draw."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import neurodsl
from neurodsl.tools.bench import contestants as who
from neurodsl.tools.bench import library, machine
from neurodsl.tools.bench.contestants import Choice
from neurodsl.tools.bench.figure import draw, need_matplotlib
from neurodsl.tools.bench.first_call import compile_time
from neurodsl.tools.bench.fresh import fresh_table, measure_fresh
from neurodsl.tools.bench.measure import SHAPES, Result, Shapes, Tell, measure
from neurodsl.tools.bench.report import compile_note, tables_of
from neurodsl.tools.bench.tables import Table, show_all

if TYPE_CHECKING:
    from rich.console import Console

FRESH_SHAPES: Shapes = ((8, 1 << 20),)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure, and how to show it. `shapes` are pairs of time steps and neurons, empty for the usual ones."""

    shapes: Shapes = ()
    rounds: int = 15
    threads: int | None = None
    dtype: str = "float32"
    choice: Choice = field(default_factory=Choice)
    compile_times: bool = True
    fresh: bool = False
    warm_heap: bool = False
    as_json: bool = False
    markdown: bool = False
    plot: Path | None = None


@dataclass(slots=True)
class Run:
    """What has been found, and where it is shown; `facts` are the machine's."""

    settings: Settings
    console: Console
    tell: Tell
    facts: dict[str, Any]
    found: dict[str, Any] = field(default_factory=dict)

    def add(self, key: str, values: Sequence[Any], tables: Sequence[Table]) -> None:
        """Keep results for JSON and show their tables."""
        self.found.setdefault(key, []).extend(values)
        if not self.settings.as_json:
            show_all(tables, self.console, markdown=self.settings.markdown)

    def note(self, text: str) -> None:
        """A line between tables."""
        if not self.settings.as_json:
            self.console.print(text + ("\n" if self.settings.markdown else ""), soft_wrap=True)


def run(sources: Sequence[str | Path] = ("LIF",), settings: Settings | None = None) -> int:
    """Benchmark every neuron of the given files or library names; returns the exit status."""
    with running(settings or Settings()) as run:
        results: list[Result] = []
        for source in sources:
            if run.settings.fresh:
                _run_fresh(run, source)
            else:
                results += _run_in_process(run, source)
        if run.settings.plot is not None and results:
            draw(results, run.settings.plot)
            run.note(f"wrote {run.settings.plot}")
    return 0


def run_library(settings: Settings | None = None, chosen: Sequence[str] | None = None) -> int:
    """Measure the library's neurons (or those chosen) beside LIF; returns the exit status."""
    with running(settings or Settings()) as run:
        rows = library.measure_library(
            shapes=run.settings.shapes or library.SHAPES,
            rounds=run.settings.rounds,
            dtype=getattr(torch, run.settings.dtype),
            chosen=chosen,
            tell=run.tell,
        )
        by_shape: dict[tuple[int, int], list[library.PerByte]] = {}
        for row in rows:
            by_shape.setdefault((row.steps, row.neurons), []).append(row)
        for group in by_shape.values():
            run.add("library", [row.as_json() for row in group], [library.library_table(group)])
    return 0


def _run_in_process(run: Run, source: str | Path) -> Iterator[Result]:
    settings = run.settings
    module: Any = neurodsl.load(source)
    if settings.compile_times:
        run.tell(f"{source}: compiling from nothing")
        time = compile_time(source)
        run.note(compile_note(time, str(source)))
        compiled = {"source": str(source)} | (time.as_json() if time else {})
        run.found.setdefault("compile_times", []).append(compiled)
    for neuron in module.__manifest__["neurons"]:
        for result in measure(
            module,
            neuron,
            shapes=settings.shapes or SHAPES,
            rounds=settings.rounds,
            choice=settings.choice,
            dtype=getattr(torch, settings.dtype),
            tell=run.tell,
        ):
            found = result.as_json()
            run.found.setdefault("rows", []).extend(found.pop("rows"))
            run.add("shapes", [found], tables_of(result))
            yield result


def _run_fresh(run: Run, source: str | Path) -> None:
    settings = run.settings
    module: Any = neurodsl.load(source)
    for neuron in module.__manifest__["neurons"]:
        listed = who.contestants(
            module,
            neuron,
            choice=settings.choice,
            steps=1,
            neurons=1,
            dtype=getattr(torch, settings.dtype),
        )
        for steps, neurons in settings.shapes or FRESH_SHAPES:
            rows = measure_fresh(
                source,
                neuron,
                [one.name for one in listed],
                steps=steps,
                neurons=neurons,
                dtype=settings.dtype,
                threads=torch.get_num_threads(),
                tell=run.tell,
            )
            key = {"neuron": neuron, "steps": steps, "neurons": neurons, "dtype": settings.dtype}
            table = fresh_table(neuron, steps, neurons, settings.dtype, rows)
            run.add("fresh", [key | row.as_json() for row in rows], [table])


@contextmanager
def running(settings: Settings, more: Mapping[str, Any] | None = None) -> Iterator[Run]:
    """Make the machine ready, show what is being done, and print the JSON in the end; `more` facts are of a device."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    if settings.plot is not None:
        need_matplotlib("--plot")
    heap = "as the system's allocator has it"
    if settings.warm_heap:
        heap = "kept" if machine.keep_heap() else "could not be kept: not glibc"
    with _telling() as tell:
        tell("building the call path in C++")
        facts = machine.facts() | {"call_path": machine.ready_call_path(), "heap": heap}
        facts |= more or {}
        run = Run(settings, _console(), tell, facts)
        run.note(
            f"{facts['cpu']}, {facts['threads']} threads, PyTorch {facts['torch']}, "
            f"call path in {facts['call_path']}, freed memory {heap}"
        )
        if facts["load"] > machine.BUSY:
            run.note(
                f"the machine was busy (load {facts['load']:.1f}); if it still is, figures will be off"
            )
        yield run
    if settings.as_json:
        print(json.dumps({"machine": facts, "rounds": settings.rounds} | run.found, indent=2))


def _console() -> Console:
    """On stdout; in a pipe it is plain, and wide enough for any table."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=160, no_color=True, force_terminal=False)


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what is being measured; nothing in a pipe."""
    from rich.console import Console

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Console(stderr=True).status("starting", refresh_per_second=1) as status:
        yield status.update
