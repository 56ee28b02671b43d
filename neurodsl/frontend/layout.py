"""The first pass over a text: characters, comments, brackets, and then indentation.

What it returns has the length of the text, so that offsets agree, and is simpler: each logical line ends in one line
feed, and what carries no meaning (comments, blank lines, line ends inside brackets) has become carriage returns, which
cannot stand in the text otherwise. What follows may trust that brackets are paired (kinds aside) and that blocks are
well indented.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from neurodsl.frontend.characters import check_word, refuse_character
from neurodsl.frontend.indentation import check_indentation
from neurodsl.frontend.problem import Place, SyntaxProblem

MAX_NESTING = 200
"""How many brackets may be open at once, and how deep an expression may be."""

_INTERESTING = re.compile(
    r'(?P<docstring>""")|(?P<string>")|(?P<comment>#)|(?P<newline>\n)|(?P<open>[(\[])|(?P<close>[)\]])'
    r"|(?P<colon>:)|(?P<word>[^\x00-\x7f]+)|(?P<bad>[^\w .,+\-*/^=<>~!]|!(?!=))",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """A text made ready for the parser; `partners` pairs each closing bracket's offset with its opening one's."""

    text: str
    partners: dict[int, int]


@dataclass(slots=True)
class _Scan:
    """What is known at one point of the text. `line` holds what is read of the logical line."""

    text: str
    position: int = 0
    pieces: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    partners: dict[int, int] = field(default_factory=dict)

    def keep(self, end: int) -> None:
        """Read up to `end` as it is."""
        self.pieces.append(self.text[self.position : end])
        self.position = end

    def blank(self, end: int) -> None:
        """Read up to `end` as nothing."""
        self.pieces.append("\r" * (end - self.position))
        self.position = end

    def end_line(self) -> None:
        """Close the logical line."""
        self.lines.append("".join(self.pieces))
        self.pieces.clear()


def lay_out(text: str) -> Layout:
    """Prepare a text (no byte order mark, line feeds only).

    Raises:
        SyntaxProblem: a bad character, a tab, brackets that do not pair, a text without its end, wrong indentation.
    """
    scan = _Scan(text)
    while found := _INTERESTING.search(text, scan.position):
        scan.keep(found.start())
        _STEPS[str(found.lastgroup)](scan, found.end())
    scan.keep(len(text))
    if scan.open:
        raise _unclosed(scan, "the end of the text")
    scan.pieces.append("\n")
    scan.end_line()
    return Layout("".join(check_indentation(scan.lines)), scan.partners)


def _docstring(scan: _Scan, end: int) -> None:
    close = scan.text.find('"""', end)
    if close < 0:
        raise SyntaxProblem(
            "E0110",
            (scan.position, end),
            "this docstring does not end",
            label='no closing `"""` follows',
        )
    scan.keep(close + 3)


def _string(scan: _Scan, end: int) -> None:
    close = scan.text.find('"', end)
    line_end = scan.text.find("\n", end)
    if close < 0 or 0 <= line_end < close:
        raise SyntaxProblem(
            "E0110",
            (scan.position, end),
            "this text in quotes does not end",
            label='no closing `"` on this line',
        )
    scan.keep(close + 1)


def _comment(scan: _Scan, end: int) -> None:
    line_end = scan.text.find("\n", end)
    scan.blank(line_end if line_end >= 0 else len(scan.text))


def _newline(scan: _Scan, end: int) -> None:
    if scan.open:
        scan.blank(end)
    else:
        scan.keep(end)
        scan.end_line()


def _open(scan: _Scan, end: int) -> None:
    if len(scan.open) == MAX_NESTING:
        raise SyntaxProblem(
            "E0117",
            (scan.position, end),
            f"brackets are nested deeper than {MAX_NESTING}",
            label=f"{MAX_NESTING} brackets are open here",
            help="give parts of the expression names of their own, on lines before it",
        )
    scan.open.append(scan.position)
    scan.keep(end)


def _close(scan: _Scan, end: int) -> None:
    if not scan.open:
        raise SyntaxProblem(
            "E0105",
            (scan.position, end),
            f"`{scan.text[scan.position]}` closes nothing",
            label="no bracket is open here",
        )
    scan.partners[scan.position] = scan.open.pop()
    scan.keep(end)


def _colon(scan: _Scan, end: int) -> None:
    if scan.open:
        raise _unclosed(scan, "the colon")
    scan.keep(end)


def _word(scan: _Scan, end: int) -> None:
    scan.keep(check_word(scan.text, scan.position, end))


def _bad(scan: _Scan, end: int) -> None:
    raise refuse_character(scan.text, scan.position)


_STEPS = {
    "docstring": _docstring,
    "string": _string,
    "comment": _comment,
    "newline": _newline,
    "open": _open,
    "close": _close,
    "colon": _colon,
    "word": _word,
    "bad": _bad,
}


def _unclosed(scan: _Scan, where: str) -> SyntaxProblem:
    start = scan.open[-1]
    secondary: tuple[tuple[Place, str], ...] = ()
    if where == "the colon":
        place = (scan.position, scan.position + 1)
        secondary = ((place, "it should be closed before this"),)
    return SyntaxProblem(
        "E0104",
        (start, start + 1),
        f"`{scan.text[start]}` is never closed",
        label=f"still open at {where}",
        secondary=secondary,
    )
