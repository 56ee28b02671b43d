"""What is wrong with a user's program, as data: a code, a place, words, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from neurodsl.diagnostics.span import Span


class Severity(StrEnum):
    """How much a diagnostic matters: errors stop the compilation, warnings and infos do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that a diagnostic points at, and what is said there."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a user's program.

    `label` stands beside the caret, `secondary` names other places that matter, `help` holds hints, a line each.
    """

    code: str
    severity: Severity
    message: str
    span: Span
    label: str = ""
    secondary: tuple[Label, ...] = ()
    help: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """The diagnostics of one compilation, in the order found, and the texts they point into."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        label: str = "",
        secondary: tuple[Label, ...] = (),
        help: tuple[str, ...] | str = (),
    ) -> None:
        """Record a diagnostic; its severity is the catalogue's."""
        from neurodsl.diagnostics.catalogue import severity_of

        hints = (help,) if isinstance(help, str) else help
        self.diagnostics.append(
            Diagnostic(code, severity_of(code), message, span, label, secondary, hints)
        )

    @property
    def errors(self) -> list[Diagnostic]:
        """The diagnostics that stop the compilation."""
        return [d for d in self.diagnostics if d.severity is Severity.ERROR]

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.diagnostics)

    def raise_if_errors(self) -> None:
        """Raise CompileError if any error has been recorded."""
        if self.errors:
            raise CompileError(tuple(self.diagnostics), dict(self.sources))


class CompileError(Exception):
    """The user's program is wrong; `diagnostics` says where and how, `sources` holds the texts by name."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], sources: dict[str, str]) -> None:
        self.diagnostics = diagnostics
        self.sources = sources
        super().__init__(diagnostics, sources)

    def __str__(self) -> str:
        from neurodsl.diagnostics.render import render_text

        return "\n" + render_text(self.diagnostics, self.sources, color=False)
