"""Diagnostics on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from neurodsl.cli.terminal import has_color
from neurodsl.diagnostics import Diagnostic


def print_diagnostics(
    diagnostics: Sequence[Diagnostic], sources: dict[str, str], stream: TextIO
) -> None:
    """Print diagnostics as text, coloured where the stream wants it; nothing if there are none."""
    if not diagnostics:
        return
    from neurodsl.diagnostics.render import render_text

    text = render_text(diagnostics, sources, color=has_color(stream))
    stream.write(text.rstrip("\n") + "\n")
