"""Characters that may not stand in a program, and what to type instead."""

from __future__ import annotations

import unicodedata

from neurodsl.frontend.problem import SyntaxProblem

_INSTEAD = {
    "\u2212": "write `-`",
    "\u2013": "write `-`",
    "\u2014": "write `-`",
    "×": "write `*`",
    "·": "write `*`",
    "⋅": "write `*`",
    "÷": "write `/`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "²": "write `^2`",
    "³": "write `^3`",
    "√": "write `sqrt(…)`",
    "∞": "write `inf`",
    "“": 'write `"`',
    "”": 'write `"`',
    "!": "negation is written `not`",
    "&": "write `and`",
    "|": "write `or`",
    "?": "a choice is written `a if condition else b`",
    "@": "every product is written with `*`",
    ";": "one statement stands on one line",
    "{": "brackets are `( )`, and `[ ]` in intervals and shapes",
    "}": "brackets are `( )`, and `[ ]` in intervals and shapes",
    "%": "a remainder is written `a - b * floor(a / b)`",
    "'": 'texts stand in double quotes `"`',
    "\\": "a line goes on in the next one while a bracket is open",
}


def check_word(text: str, start: int, end: int) -> int:
    """The end of the word around `text[start:end]`, which are letters outside ASCII.

    Raises:
        SyntaxProblem: the word is no name in Python.
    """
    first = start
    while (
        first
        and text[first - 1].isascii()
        and (text[first - 1].isalnum() or text[first - 1] == "_")
    ):
        first -= 1
    last = end
    while last < len(text) and (
        not text[last].isascii() or text[last].isalnum() or text[last] == "_"
    ):
        last += 1
    word = text[first:last].lstrip("0123456789")
    if word.isidentifier():
        return last
    first = last - len(word)
    good = 0
    while word[: good + 1].isidentifier():
        good += 1
    raise refuse_character(text, first + good)


def refuse_character(text: str, position: int) -> SyntaxProblem:
    """The problem of a character that may not stand where it does."""
    character = text[position]
    if character == "\t":
        return SyntaxProblem(
            "E0103",
            (position, position + 1),
            "a tab is no white space of this language",
            label="a tab",
            help="use spaces, for indentation too",
        )
    return SyntaxProblem(
        "E0102",
        (position, position + 1),
        f"{_in_words(character)} cannot stand here",
        help=_INSTEAD.get(character, ()),
    )


def _in_words(character: str) -> str:
    if character.isascii() and character.isprintable():
        return f"the character `{character}`"
    name = unicodedata.name(character, "").lower()
    shown = f"`{character}` " if character.isprintable() and not character.isspace() else ""
    code = f"U+{ord(character):04X}"
    return f"the character {shown}({name + ', ' if name else ''}{code})"
