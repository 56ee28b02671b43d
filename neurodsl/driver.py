"""The pipeline, from text to generated files. Each stage is a function of one package; this file calls them in order.

    stage      package            in                      out
    parse      frontend           text                    syntax tree (frontend/ast.py)
    analyse    sema               syntax tree             FileModel of NeuronModels (sema/model.py)
    plan       ir (+ symbolic)    NeuronModel             KernelPlan: forward step, adjoint, tape (ir/kernel_plan.py)
    generate   csrc_gen           CompilationUnit         lif.py, lif.cpp, lif.cu, lif.h, lif.json as texts

What is built from the texts (build), what imports them (runtime) and what writes them (output) is not here: compiling
is a pure function of the texts and the options.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from neurodsl.diagnostics import Diagnostic, Report
from neurodsl.options import Options
from neurodsl.version import __version__

if TYPE_CHECKING:
    from neurodsl.csrc_gen.backend import CompilationUnit, GeneratedFile
    from neurodsl.ir.kernel_plan import KernelPlan
    from neurodsl.sema.model import FileModel, NeuronModel

Loader = Callable[[str, str], tuple[str, str]]
"""(name of the importing text, path as written) -> (name, text) of the imported one.

It raises OSError if there is none, and CompileError if that is no text.
"""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A checked source: its model, and every warning and info about it."""

    model: FileModel
    diagnostics: tuple[Diagnostic, ...]
    sources: dict[str, str]
    timings: dict[str, float]

    def fingerprint(self, options: Options) -> str:
        """A hex digest of texts, options and compiler version: equal means that the same bytes come out.

        Of one state of the code, that is; the cache adds that to its keys (`neurodsl.build.generator_digest`).
        """
        bundle = _bundle(self.model)
        content = json.dumps(
            [__version__, options.as_manifest(), bundle.name, bundle.sources], ensure_ascii=False
        )
        return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Compilation:
    """A compiled source: the generated texts, and each stage's result for whoever wants to look."""

    stem: str
    files: tuple[GeneratedFile, ...]
    unit: CompilationUnit
    diagnostics: tuple[Diagnostic, ...]
    sources: dict[str, str]
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds a stage, in the order run."""

    @property
    def fingerprint(self) -> str:
        """See Analysis.fingerprint."""
        return self.unit.fingerprint


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start


def analyse_text(text: str, name: str, options: Options, loader: Loader) -> Analysis:
    """Parse and check a source. Neither torch nor sympy is imported.

    Raises:
        CompileError: the program is wrong; all that was found is in it.
    """
    timings: dict[str, float] = {}
    report = Report()
    report.sources[name] = text
    with _timed(timings, "parse"):
        from neurodsl.frontend import parse

        tree = parse(text, name, report)
    with _timed(timings, "analyse"):
        from neurodsl.sema import analyse

        model = analyse(
            tree,
            name=name,
            text=text,
            report=report,
            loader=loader,
            surrogate=options.surrogate,
            shapes={key: tuple(shape) for key, shape in options.shapes.items()},
        )
    report.raise_if_errors()
    return Analysis(model, tuple(report.diagnostics), dict(report.sources), timings)


def plan_neurons(model: FileModel, options: Options) -> tuple[tuple[NeuronModel, KernelPlan], ...]:
    """Lower and differentiate each neuron of a file."""
    from neurodsl.ir.plan import make_plan

    return tuple(
        (
            neuron,
            make_plan(
                neuron, prefix=prefix, save=options.save, fp=options.fp, spiking=options.spiking
            ),
        )
        for neuron, prefix in zip(model.neurons, _prefixes(model), strict=True)
    )


def compile_analysis(analysis: Analysis, options: Options) -> Compilation:
    """Everything after the checks: plans and generated texts."""
    timings = dict(analysis.timings)
    with _timed(timings, "plan"):
        planned = plan_neurons(analysis.model, options)
    with _timed(timings, "generate"):
        from neurodsl.csrc_gen import backends
        from neurodsl.csrc_gen.backend import CompilationUnit

        bundle = _bundle(analysis.model)
        unit = CompilationUnit(
            stem=stem_of(bundle.name),
            file=bundle,
            neurons=planned,
            options=options.as_manifest(),
            version=__version__,
            fingerprint=analysis.fingerprint(options),
        )
        files = tuple(text for backend in backends() for text in backend.generate(unit))
    return Compilation(unit.stem, files, unit, analysis.diagnostics, analysis.sources, timings)


def compile_text(text: str, name: str, options: Options, loader: Loader) -> Compilation:
    """The whole pipeline: a source text in, generated texts out.

    Raises:
        CompileError: the program is wrong; all that was found is in it.
    """
    return compile_analysis(analyse_text(text, name, options, loader), options)


def stem_of(name: str) -> str:
    """The stem of generated files: `lif` of `neurons/lif.neuron`, `neuron` of a text without a file."""
    return "neuron" if name.startswith("<") and "/" not in name else PurePath(name).stem


def _prefixes(model: FileModel) -> list[str]:
    """A symbol prefix a neuron: its name in lower case, or as it is where two would be the same."""
    lowered = [neuron.name.lower() for neuron in model.neurons]
    return [
        lower if lowered.count(lower) == 1 else neuron.name
        for lower, neuron in zip(lowered, model.neurons, strict=True)
    ]


def _bundle(model: FileModel) -> FileModel:
    """The model with texts named relative to the folder of the first: the same wherever the folder stands."""
    folder = posixpath.dirname(PurePath(model.name).as_posix())
    sources = tuple(
        (_relative(PurePath(name).as_posix(), folder), text) for name, text in model.sources
    )
    return replace(model, name=_relative(PurePath(model.name).as_posix(), folder), sources=sources)


def _relative(name: str, folder: str) -> str:
    if name.startswith("<"):
        return name
    return posixpath.relpath(name, folder or ".")
