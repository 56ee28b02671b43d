"""What the terminal can show: colours, widths, and how messages begin."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_COLORS = {"error": "1;31", "internal error": "1;31", "warning": "1;33", "note": "1;36"}


def has_color(stream: TextIO) -> bool:
    """Whether a stream is a terminal that wants colours: not a pipe, not where NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def complain(message: str, *, kind: str = "error") -> None:
    """Print a message on stderr, led by what kind of message it is."""
    lead = f"{kind}:"
    if has_color(sys.stderr):
        lead = f"\x1b[{_COLORS[kind]}m{lead}\x1b[0m"
    sys.stderr.write(f"{lead} {message}\n")


def console() -> Console:
    """A rich console on stdout; in a pipe it is plain and wide enough for any table."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=160, no_color=True, force_terminal=False)


def columns(rows: Sequence[Sequence[str]], *, indent: str = "  ") -> str:
    """Rows of cells as aligned columns, without importing anything; the last column is as long as it likes."""
    count = max((len(row) for row in rows), default=0)
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(count)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)
