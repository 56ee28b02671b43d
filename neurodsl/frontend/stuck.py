"""Where the parser got stuck: what stands there, what would have been read, and the line around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from lark import UnexpectedInput

from neurodsl.frontend.layout import Layout

_FOUND = re.compile(
    r'"""|"[^"\n]*"|(?:[^\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f])+|[<>=!]=|\*\*|\n|.', re.DOTALL
)


@dataclass(frozen=True)
class Stuck:
    """One place at which nothing fits. Offsets are those of the text."""

    layout: Layout
    start: int
    accepts: frozenset[str]
    """The terminals that would have been read."""

    @property
    def text(self) -> str:
        """The whole text, as laid out."""
        return self.layout.text

    @cached_property
    def found(self) -> str:
        """What stands there: a word, a number, a sign; a line feed at the end of a line; nothing at the end."""
        match = _FOUND.match(self.text, self.start)
        return match[0] if match else ""

    @property
    def shown(self) -> str:
        """`found`, cut short where it is long."""
        return self.found if len(self.found) <= 40 else self.found[:39] + "…"

    @property
    def at_line_end(self) -> bool:
        """Whether the line ends here."""
        return self.found in ("\n", "")

    @property
    def is_word(self) -> bool:
        """Whether a word stands here: a name or keyword."""
        return self.found[:1].isidentifier()

    @property
    def place(self) -> tuple[int, int]:
        """The offsets of what was found; one past the last character at the end of a line."""
        if self.at_line_end:
            end = len(self.text[: self.start].rstrip("\r\n "))
            return end, end + 1
        return self.start, self.start + len(self.found)

    @cached_property
    def before(self) -> str:
        """The logical line up to here."""
        line_start = self.text.rfind("\n", 0, self.start) + 1
        return self.text[line_start : self.start].strip("\r ")

    @cached_property
    def after(self) -> str:
        """The rest of the logical line, after what was found."""
        start = self.start + len(self.found)
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].strip("\r ")

    @property
    def first_word(self) -> str:
        """The first word of the line, if there is one before this place."""
        match = re.match(r"\w+", self.before)
        return match[0] if match else ""


def stuck_at(error: UnexpectedInput, layout: Layout) -> Stuck:
    """The place of an exception of the parser."""
    accepts = error.interactive_parser.accepts()  # type: ignore[no-untyped-call]
    return Stuck(layout, error.pos_in_stream or 0, frozenset(accepts))
