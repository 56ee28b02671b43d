"""One code of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from neurodsl.diagnostics.diagnostic import Severity


@dataclass(frozen=True, slots=True)
class Entry:
    """A code and what it means.

    `title` is a few words without a full stop, `explanation` a paragraph or more. `wrong` is a whole program that
    gives this code, `right` the same program mended: no error.
    """

    code: str
    severity: Severity
    title: str
    explanation: str
    wrong: str
    right: str
