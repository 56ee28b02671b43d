"""Builds a text line by line, with indentation that follows its blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Writer:
    """Lines with an indentation; `text()` gives them, each ended by a newline."""

    def __init__(self, indent: str = "    ") -> None:
        self._indent = indent
        self._depth = 0
        self._lines: list[str] = []

    def line(self, text: str = "") -> None:
        """One line; an empty one has no spaces."""
        self._lines.append((self._indent * self._depth + text).rstrip())

    def lines(self, texts: Iterable[str]) -> None:
        """Several lines."""
        for text in texts:
            self.line(text)

    @contextmanager
    def block(self, head: str, tail: str | None = "}") -> Iterator[None]:
        """Lines one step further in, between `head` and `tail` (none if None)."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1
        if tail is not None:
            self.line(tail)

    @contextmanager
    def indented(self) -> Iterator[None]:
        """Lines one step further in."""
        self._depth += 1
        yield
        self._depth -= 1

    def text(self) -> str:
        """All lines."""
        return "\n".join(self._lines) + "\n"


def comment_text(text: str) -> str:
    """A text that can stand behind `//` or `#`: one line, printable, no backslash at its end."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown.rstrip().rstrip("\\").rstrip()
