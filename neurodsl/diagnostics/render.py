"""Diagnostics as text with carets, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from neurodsl.diagnostics.diagnostic import Diagnostic


def render_text(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], *, color: bool = False
) -> str:
    """Thin first form."""
    out = []
    for d in diagnostics:
        out.append(f"{d.severity}[{d.code}]: {d.message}\n --> {d.span.source}:{d.span.line}:{d.span.column}\n {d.label} {d.help}\n")
    return "\n".join(out)


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """Thin first form."""
    return "{}"
