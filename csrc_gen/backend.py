"""What every back end is: a compilation unit in, named texts and the manifest's kernel entries out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from neurodsl.ir.kernel_plan import KernelPlan
from neurodsl.sema.model import FileModel, NeuronModel


@dataclass(frozen=True, slots=True)
class CompilationUnit:
    """One source file, compiled: what a back end prints.

    `stem` names the files (`lif`), `options` is what the manifest records, `fingerprint` identifies source, options
    and compiler version.
    """

    stem: str
    file: FileModel
    neurons: tuple[tuple[NeuronModel, KernelPlan], ...]
    options: dict[str, Any]
    version: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A text to write, and the suffix of its name: `.cpp`, `.cu`, `.h`, `.py`, `.json`."""

    suffix: str
    text: str


class Backend(Protocol):
    """A folder of csrc_gen: it prints one kind of file."""

    name: str

    def generate(self, unit: CompilationUnit) -> tuple[GeneratedFile, ...]:
        """The texts of this back end, the same bytes for the same unit."""
        ...
