"""The command: compile what is asked for, estimate, print tables, write JSON, draw."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find
from neurodsl.options import Options
from neurodsl.tools.bench.figure import need_matplotlib
from neurodsl.tools.bench.tables import Table, show_all
from neurodsl.tools.roofline import report
from neurodsl.tools.roofline.disassembly import need_tools
from neurodsl.tools.roofline.figure import draw
from neurodsl.tools.roofline.gpus import GPUS
from neurodsl.tools.roofline.kernels import Neuron, compiler_name
from neurodsl.tools.roofline.traffic import STEPS

if TYPE_CHECKING:
    from rich.console import Console

Source = tuple[str, str]
"""A program: its name and its text."""

MOST_IN_DETAIL = 4
"""Neurons of which all columns are shown; of more, those that matter most."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to estimate, and how to show it. No `archs`: each GPU's own."""

    gpus: tuple[str, ...] = ("h100",)
    archs: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    json: Path | None = None
    markdown: bool = False
    out: Path | None = None


class _Tell(Protocol):
    def __call__(self, text: str) -> None:
        """Say what is done now."""


def run(sources: Sequence[Source], settings: Settings, console: Console) -> int:
    """Estimate every kernel of the neurons; the exit status.

    Raises:
        ToolchainError: this machine has no compiler for GPUs, no disassembler, or nothing to draw with.
        CompileError: a program is wrong.
    """
    need_tools()
    compiler = compiler_name()
    if settings.out is not None:
        need_matplotlib("--out")
    rows = estimates(sources, settings)
    show_all(_tables(rows), console, markdown=settings.markdown)
    console.print(f"Compiled by {compiler}.", soft_wrap=True)
    if settings.json is not None:
        found = {"compiler": compiler, "steps": STEPS, "note": report.NO_GPU}
        found |= {"rows": [row.as_json() for row in rows]}
        settings.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        console.print(f"wrote {settings.json}", soft_wrap=True)
    if settings.out is not None:
        draw(rows, settings.out)
        console.print(f"wrote {settings.out}", soft_wrap=True)
    return 0


def estimates(sources: Sequence[Source], settings: Settings) -> list[report.Row]:
    """A row for each kernel, dtype, and GPU (or architecture on the first GPU)."""
    machines = _machines(settings)
    neurons = [pair for source in sources for pair in _neurons(*source)]
    archs = list(dict.fromkeys(arch for _, arch in machines))
    total = len(neurons) * len(settings.dtypes) * len(archs)
    rows = []
    with _telling(total) as tell:
        for neuron, is_library in neurons:
            for dtype in settings.dtypes:
                kernels = {}
                for arch in archs:
                    tell(f"{neuron.name}, {dtype}, {arch}")
                    kernels[arch] = neuron.kernels(dtype, arch)
                for name, arch in machines:
                    rows += [
                        report.row_of(neuron.name, kernel, name, GPUS[name], is_library=is_library)
                        for kernel in kernels[arch]
                    ]
    return rows


def _machines(settings: Settings) -> list[tuple[str, str]]:
    """GPUs with the architecture of their code."""
    if settings.archs:
        return [(name, arch) for name in settings.gpus for arch in settings.archs]
    return [(name, GPUS[name].arch) for name in settings.gpus]


def _neurons(name: str, text: str) -> Iterator[tuple[Neuron, bool]]:
    """The neurons of a program, and whether each is the library's."""
    compilation = compile_text(text, name, Options(), disk_loader)
    for model, _ in compilation.unit.neurons:
        found = find(model.name)
        yield Neuron(model.name, compilation), found is not None and found[1] == text


def _tables(rows: Sequence[report.Row]) -> list[Table]:
    if len({row.neuron for row in rows}) > MOST_IN_DETAIL:
        return [report.share_table(rows)]
    return [report.code_table(rows), report.time_table(rows)]


@contextmanager
def _telling(total: int) -> Iterator[_Tell]:
    """A progress bar on the terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("compiling", total=total)
        done: list[Any] = []

        def tell(text: str) -> None:
            progress.update(task, description=text, completed=len(done))
            done.append(text)

        yield tell
