"""Diagnostics as text with carets under the source, and as JSON."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from neurodsl.diagnostics.diagnostic import Diagnostic, Severity
from neurodsl.diagnostics.span import NOWHERE, Span

TAB_WIDTH = 4
"""How many columns a tab takes in an excerpt."""

LONGEST_LINE = 160
"""How many columns of a source line are shown at most; the place pointed at is always among them."""

_BOLD, _BLUE = "1", "1;34"
_COLORS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.INFO: "1;36"}


def render_text(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], *, color: bool = False
) -> str:
    """Diagnostics as users read them, an empty line between two, a line feed at the end.

    `sources` holds the texts that spans point into, by name; a place in a text that is not there is named only.
    """
    return "\n".join(_Renderer(sources, color).render(diagnostic) for diagnostic in diagnostics)


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """One JSON object: `{"diagnostics": [...]}`, places counted from 1, ends exclusive."""
    return json.dumps(
        {"diagnostics": [_as_json(diagnostic) for diagnostic in diagnostics]},
        ensure_ascii=False,
        indent=2,
    )


def _as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "label": diagnostic.label,
        "secondary": [{**_place(label.span), "text": label.text} for label in diagnostic.secondary],
        "help": list(diagnostic.help),
    }


def _place(span: Span) -> dict[str, Any]:
    return {
        "path": span.source,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


@dataclass(frozen=True, slots=True)
class _Mark:
    """One underline: a place, what is said beside it, and whether it is the main one."""

    span: Span
    text: str
    main: bool


class _Renderer:
    """Renders single diagnostics; splits each source into lines once."""

    def __init__(self, sources: Mapping[str, str], color: bool) -> None:
        self._sources = sources
        self._color = color
        self._lines: dict[str, list[str]] = {}

    def render(self, diagnostic: Diagnostic) -> str:
        """One diagnostic, with a line feed at the end."""
        tint = _COLORS[diagnostic.severity]
        head = self._paint(f"{diagnostic.severity}[{diagnostic.code}]", tint)
        rows = [head + self._paint(f": {_printable(diagnostic.message)}", _BOLD)]
        marks = [_Mark(diagnostic.span, diagnostic.label, True)]
        marks += [_Mark(label.span, label.text, False) for label in diagnostic.secondary]
        width = max(len(str(mark.span.end_line)) for mark in marks)
        names = list(dict.fromkeys(mark.span.source for mark in marks))
        for name in names:
            arrow = "-->" if name == diagnostic.span.source else ":::"
            here = [mark for mark in marks if mark.span.source == name]
            rows += self._excerpt(here, arrow, width, tint)
        rows += self._hints(diagnostic.help, width)
        return "\n".join(row.rstrip() for row in rows) + "\n"

    def _hints(self, hints: tuple[str, ...], width: int) -> list[str]:
        rows = []
        for hint in hints:
            first, *rest = _printable(hint).split("\n")
            bar = " " * width + " " + self._paint("=", _BLUE)
            rows.append(f"{bar} {self._paint('help', _BOLD)}: {first}")
            rows += [" " * (width + 9) + line for line in rest]
        return rows

    def _excerpt(self, marks: list[_Mark], arrow: str, width: int, tint: str) -> list[str]:
        """The lines of one source that are marked, with the marks under them."""
        span = marks[0].span
        arrow = " " + self._paint(arrow, _BLUE)
        if span.source == NOWHERE.source:
            return [f"{arrow} {span.source}"]
        rows = [f"{arrow} {span.source}:{span.line}:{span.column}"]
        lines = self._lines_of(span.source)
        numbers = sorted({n for mark in marks for n in _shown_lines(mark.span)})
        numbers = [n for n in numbers if n <= len(lines)]
        if not numbers:
            return rows
        bar = " " * width + " " + self._paint("|", _BLUE)
        rows.append(bar)
        before = numbers[0]
        for number in numbers:
            if number > before + 1:
                rows.append(self._paint("...", _BLUE))
            before = number
            rows += self._line(number, lines[number - 1], marks, width, tint)
        return rows

    def _line(self, number: int, line: str, marks: list[_Mark], width: int, tint: str) -> list[str]:
        here = [
            (mark, *_columns(mark.span, number, line)) for mark in marks if _touches(mark, number)
        ]
        first = min((start for _, start, _ in here), default=0)
        window = _Window(line, first)
        number_text = self._paint(f"{number:>{width}} |", _BLUE)
        rows = [f"{number_text} {window.text}"]
        bar = " " * width + " " + self._paint("|", _BLUE)
        for mark, start, end in sorted(here, key=lambda item: (-item[1], not item[0].main)):
            sign = "^" if mark.main else "-"
            under = sign * max(1, window.column(end) - window.column(start))
            label = mark.text if _last_line(mark.span) == number else ""
            note = self._paint(
                f"{under} {_printable(label)}".rstrip(), tint if mark.main else _BLUE
            )
            rows.append(f"{bar} {' ' * window.column(start)}{note}")
        return rows

    def _lines_of(self, name: str) -> list[str]:
        if name not in self._sources:
            return []
        if name not in self._lines:
            text = self._sources[name].removeprefix("\ufeff")
            self._lines[name] = [line.removesuffix("\r") for line in text.split("\n")]
        return self._lines[name]

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color and text else text


class _Window:
    """The part of a source line that is shown, and where its characters stand on a terminal."""

    def __init__(self, line: str, focus: int) -> None:
        """`focus` is the index of a character that must be shown."""
        start, end = 0, len(line)
        if _width(line) > LONGEST_LINE:
            start = max(0, min(focus - LONGEST_LINE // 3, len(line) - LONGEST_LINE))
            end = start + LONGEST_LINE
        self._start, self._line = start, line
        head = "…" if start else ""
        tail = "…" if end < len(line) else ""
        self._head = len(head)
        self.text = head + "".join(_shown(character) for character in line[start:end]) + tail
        self._widths = _width(self.text)

    def column(self, index: int) -> int:
        """The column, from 0, at which the character with that index in the line begins."""
        if index <= self._start:
            return self._head if index else 0
        column = self._head + _width(self._line[self._start : index])
        past_end = max(0, index - len(self._line))
        return min(column + past_end, self._widths + 1)


def _shown_lines(span: Span) -> tuple[int, ...]:
    """The first and the last line of a span; a span of two or three lines is shown whole."""
    last = _last_line(span)
    if last - span.line <= 2:
        return tuple(range(span.line, last + 1))
    return span.line, last


def _last_line(span: Span) -> int:
    return span.end_line if span.end_column > 1 or span.end_line == span.line else span.end_line - 1


def _touches(mark: _Mark, number: int) -> bool:
    return number in _shown_lines(mark.span)


def _columns(span: Span, number: int, line: str) -> tuple[int, int]:
    """The indices in a line from which and up to which a span covers it."""
    indent = len(line) - len(line.lstrip())
    start = span.column - 1 if number == span.line else indent
    end = span.end_column - 1 if number == span.end_line else len(line)
    return start, max(end, start + 1)


def _printable(text: str) -> str:
    """Text without control characters, which could confuse a terminal."""
    return "".join(_shown(c) if c != "\n" else c for c in text)


def _shown(character: str) -> str:
    if character == "\t":
        return " " * TAB_WIDTH
    if unicodedata.category(character) in ("Cc", "Cs"):
        return "\ufffd"
    return "" if unicodedata.category(character) == "Cf" else character


def _width(text: str) -> int:
    """The columns that a text takes on a terminal, as it is shown."""
    return sum(map(_character_width, text)) if not text.isascii() or "\t" in text else len(text)


def _character_width(character: str) -> int:
    if character == "\t":
        return TAB_WIDTH
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
