"""Names as Python reads them, and the few that nobody may declare."""

from __future__ import annotations

import unicodedata

from neurodsl.diagnostics.span import Span
from neurodsl.frontend.problem import SyntaxProblem

RESERVED = {
    "if": "it is a word of the language",
    "else": "it is a word of the language",
    "and": "it is a word of the language",
    "or": "it is a word of the language",
    "not": "it is a word of the language",
    "true": "it is a value",
    "false": "it is a value",
    "inf": "it stands for infinity",
    "pi": "it stands for the number 3.14159…",
    "dt": "it stands for the length of a time step",
    "t": "it stands for the number of the time step",
}
"""The reserved names, and what each is. Every other word is a name where a name may stand."""

VALUES = ("inf", "pi", "dt", "t")
"""The reserved names that are read as names."""


def normalised(name: str) -> str:
    """A name in the form that counts: NFKC, as in Python."""
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def declared(name: str, span: Span) -> str:
    """The normalised name, where one is declared.

    Raises:
        SyntaxProblem: it is reserved.
    """
    name = normalised(name)
    if name in RESERVED:
        raise reserved(name, span)
    return name


def used(name: str, span: Span) -> str:
    """The normalised name, where one is read.

    Raises:
        SyntaxProblem: it is a reserved word that is no value.
    """
    name = normalised(name)
    if name in RESERVED and name not in VALUES:
        raise reserved(name, span)
    return name


def reserved(name: str, span: Span | tuple[int, int]) -> SyntaxProblem:
    """The problem of a reserved name where a name is declared."""
    return SyntaxProblem(
        "E0111",
        span,
        f"`{name}` is a reserved name",
        label=RESERVED[name],
        help=f"choose another, such as `{name}_`",
    )
