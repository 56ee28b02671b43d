"""Tables for a terminal, and the same ones in Markdown to paste."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Table:
    """A title, heads, rows of cells, and sentences to go below; the first column is words, the rest are figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def as_markdown(self) -> str:
        """As a Markdown table, the title above it and the notes below."""
        lines = [f"**{self.title}**", "", _row(self.columns)]
        lines.append("| --- |" + " ---: |" * (len(self.columns) - 1))
        lines += [_row(row) for row in self.rows]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def show(self, console: Console) -> None:
        """Print it on a terminal, or plain in a pipe."""
        from rich.table import Table as RichTable

        table = RichTable(title=self.title, title_justify="left")
        for place, column in enumerate(self.columns):
            table.add_column(column, justify="right" if place else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for note in self.notes:
            console.print(f"  {note}")


def show_all(tables: Iterable[Table], console: Console, *, markdown: bool) -> None:
    """Print tables in the one form or the other."""
    for table in tables:
        if markdown:
            console.out(table.as_markdown(), highlight=False)
        else:
            table.show(console)


def duration(seconds: float) -> str:
    """A time in the unit that reads best."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def size(count: float) -> str:
    """Bytes in the unit that reads best."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= one:
            return f"{count / one:.2f} {unit}"
    return f"{count:.0f} B"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
