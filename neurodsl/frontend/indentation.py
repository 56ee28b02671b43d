"""Blocks: a line that ends in a colon opens one, and what stands in it is indented more, by spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from neurodsl.diagnostics.suggest import nearest
from neurodsl.frontend.problem import SyntaxProblem
from neurodsl.grammar.terminals import DECLARATIONS, TOP_LEVEL

BLOCK_KEYWORDS = ("neuron", "surrogate", "charge", "fire", "reset")
"""The words that begin a line which opens a block."""

_FIRST_WORD = re.compile(r"\w*")
_BARE_HEADER = re.compile(r"(?:neuron|surrogate)\b[^:]*|\w+")
_GOES_ON = re.compile(r'(?:neuron|surrogate|charge|fire|reset)\b[^":=]*:(?=[^"])')


@dataclass(frozen=True, slots=True)
class _Line:
    """A logical line: offsets of its first character and past its last, its indentation, its text between."""

    start: int
    end: int
    indent: int
    text: str

    @property
    def opens(self) -> bool:
        return self.text.endswith(":")

    @property
    def first_word(self) -> str:
        found = _FIRST_WORD.match(self.text)
        return found[0] if found else ""

    @property
    def opens_known_block(self) -> bool:
        return self.opens and self.first_word in BLOCK_KEYWORDS


def check_indentation(lines: list[str]) -> Iterator[str]:
    """The logical lines again, blank ones as carriage returns.

    Raises:
        SyntaxProblem: a line is indented wrongly, a colon is missing, or a block is empty.
    """
    levels = [0]
    closed: set[int] = set()  # the levels that the line before ended
    previous: _Line | None = None
    offset = 0
    for text in lines:
        content = text.strip(" \r\n")
        if content:
            indent = len(text) - len(text.lstrip(" "))
            line = _Line(offset + indent, offset + indent + len(content), indent, content)
            before = list(levels)
            _place(line, previous, levels, closed)
            closed = set(before) - set(levels)
            previous = line
            yield text
        else:
            yield "\r" * len(text)
        offset += len(text)
    if previous is not None and previous.opens_known_block:
        raise _empty(previous)


def _place(line: _Line, previous: _Line | None, levels: list[int], closed: set[int]) -> None:
    if previous is not None and previous.opens_known_block and line.indent <= levels[-1]:
        raise _empty(previous)
    if previous is not None and previous.opens and line.indent > levels[-1]:
        levels.append(line.indent)
    elif line.indent > levels[-1]:
        raise _too_deep(line, previous, closed)
    else:
        before = list(levels)
        while line.indent < levels[-1]:
            levels.pop()
        if line.indent != levels[-1]:
            raise _between(line, before)


def _empty(header: _Line) -> SyntaxProblem:
    word = header.first_word
    if word in ("neuron", "surrogate"):
        what = f"this {word} has no body"
    else:
        what = f"`{word}` has no statements"
    return SyntaxProblem(
        "E0108",
        (header.start, header.end),
        what,
        label="expected indented lines after this one",
        help="leave the phase out where it does nothing" if word in BLOCK_KEYWORDS[2:] else (),
    )


def _too_deep(line: _Line, previous: _Line | None, closed: set[int]) -> SyntaxProblem:
    if previous is not None and _BARE_HEADER.fullmatch(previous.text):
        word = previous.first_word
        meant = word if word in BLOCK_KEYWORDS else nearest(word, BLOCK_KEYWORDS)
        if meant is not None:
            return _missing_colon(previous, word, meant)
    if previous is not None and (goes_on := _GOES_ON.match(previous.text)):
        return _statement_after_colon(previous, goes_on.end())
    if previous is not None and line.indent in closed and previous.first_word not in TOP_LEVEL:
        return _too_far_left(previous, line.indent)
    if previous is None:
        message = "the first line is indented"
        hint = "it stands at the margin (in Python, `textwrap.dedent` moves a text there)"
    else:
        message = "this line is indented more than the line before it"
        hint = (
            f"indent it by {previous.indent}, or end the line before it in a colon "
            "if it opens a block"
        )
    return SyntaxProblem(
        "E0107",
        (line.start - line.indent, line.start),
        message,
        label=_spaces(line.indent),
        help=hint,
    )


def _too_far_left(line: _Line, indent: int) -> SyntaxProblem:
    """A line that ends the block around it, which goes on after it."""
    word = line.first_word
    if word in DECLARATIONS:
        message = f"`{word}` belongs inside the neuron"
        return SyntaxProblem(
            "E0119",
            (line.start, line.start + len(word)),
            message,
            label="not here",
            help=f"indent it by {indent}",
        )
    return SyntaxProblem(
        "E0107",
        (line.start, line.end),
        "this line is indented less than the lines around it",
        label=_spaces(line.indent),
        help=f"indent it by {indent}",
    )


def _missing_colon(header: _Line, word: str, meant: str) -> SyntaxProblem:
    return SyntaxProblem(
        "E0109",
        (header.end, header.end + 1),
        f"a colon is missing after `{header.text if len(header.text) < 40 else word}`",
        label="expected `:`",
        help=f"did you mean `{meant}:`?" if meant != word else (),
    )


def _statement_after_colon(header: _Line, after: int) -> SyntaxProblem:
    rest = header.text[after:].lstrip()
    return SyntaxProblem(
        "E0124",
        (header.end - len(rest), header.end),
        "a block begins on the line after its colon",
        label="expected the end of the line",
        help="put this on a line of its own, indented as the lines after it",
    )


def _between(line: _Line, levels: list[int]) -> SyntaxProblem:
    known = ", ".join(str(level) for level in levels[:-1]) + f" or {levels[-1]}"
    return SyntaxProblem(
        "E0107",
        (line.start - line.indent, line.start),
        "this line's indentation fits no block around it",
        label=_spaces(line.indent),
        help=f"indent it by {known}",
    )


def _spaces(count: int) -> str:
    return f"{count} space" + ("s" if count != 1 else "")
