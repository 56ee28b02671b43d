"""Lines that begin with what cannot stand there: misspelt keywords, and lines in the wrong place."""

from __future__ import annotations

import re

from neurodsl.diagnostics.suggest import nearest
from neurodsl.frontend.problem import SyntaxProblem
from neurodsl.frontend.stuck import Stuck
from neurodsl.grammar.terminals import DECLARATIONS, PHASES, TOP_LEVEL

_OTHER_WORDS = {
    "parameter": "param",
    "parameters": "param",
    "variable": "state",
    "var": "state",
    "constant": "const",
    "def": "function",
    "class": "neuron",
    "model": "neuron",
    "import": "from",
    "include": "from",
    "integrate": "charge",
    "update": "charge",
    "threshold": "fire",
    "spike": "fire",
}
"""What other languages call it."""


def misplaced_line(stuck: Stuck) -> SyntaxProblem | None:
    """The problem of a line whose first word or sign cannot begin it; None if the trouble is another."""
    if stuck.before in DECLARATIONS + PHASES and "EQUAL" in stuck.accepts:
        return _in_phase(stuck)
    if stuck.before or stuck.at_line_end:
        return None
    if stuck.found == '"""':
        return _docstring(stuck)
    if "NEURON" in stuck.accepts:
        return _at_margin(stuck)
    if "INPUT" in stuck.accepts:
        return _in_neuron(stuck)
    if stuck.found in ("if", "else") and not stuck.after.startswith("="):
        return _choice(stuck)
    return None


def _docstring(stuck: Stuck) -> SyntaxProblem:
    return SyntaxProblem(
        "E0122",
        stuck.place,
        "a docstring stands in a neuron, before all else",
        label="not here",
        help="a comment begins with `#`",
    )


def _at_margin(stuck: Stuck) -> SyntaxProblem:
    if stuck.found in DECLARATIONS or stuck.found in PHASES:
        return _wrong_place(
            stuck,
            f"`{stuck.shown}` stands in a neuron, not at the margin",
            "indent it under the line `neuron …:`",
        )
    return _unknown(stuck, TOP_LEVEL, "an import, a function, a surrogate or a neuron")


def _in_neuron(stuck: Stuck) -> SyntaxProblem:
    if stuck.found in TOP_LEVEL:
        return _wrong_place(
            stuck, f"`{stuck.shown}` stands at the margin, not in a neuron", "indent it by 0"
        )
    if stuck.is_word and re.match(r"=|/ *dt\b", stuck.after):
        return SyntaxProblem(
            "E0119",
            stuck.place,
            "a statement stands in a phase",
            label="not in `charge`, `fire` or `reset`",
            help=f"to declare it: `state {stuck.shown} = …`, `param {stuck.shown} = …` or "
            f"`const {stuck.shown} = …`"
            if stuck.after.startswith("=")
            else "put it under `charge:`",
        )
    return _unknown(stuck, DECLARATIONS + PHASES, "a declaration or a phase")


def _in_phase(stuck: Stuck) -> SyntaxProblem | None:
    """A declaration or a phase, one line into it, where a statement may stand."""
    word = stuck.before
    end = len(stuck.text[: stuck.start].rstrip("\r "))
    place = (end - len(word), end)
    if word in DECLARATIONS and stuck.is_word:
        message = f"`{word}` stands above the phases, not in one"
        return SyntaxProblem(
            "E0119", place, message, label="not here", help="move it above the first phase"
        )
    if word in PHASES and stuck.found == ":":
        message = f"`{word}` stands in a neuron, not in another phase"
        return SyntaxProblem(
            "E0119", place, message, label="not here", help="indent it as the phase above it"
        )
    return None


def _choice(stuck: Stuck) -> SyntaxProblem:
    return SyntaxProblem(
        "E0101",
        stuck.place,
        f"expected a statement, found `{stuck.found}`",
        label="no statement begins so",
        help="a choice is a value: `v = a if condition else b`",
    )


def _wrong_place(stuck: Stuck, message: str, hint: str) -> SyntaxProblem:
    return SyntaxProblem("E0119", stuck.place, message, label="not here", help=hint)


def _unknown(stuck: Stuck, words: tuple[str, ...], what: str) -> SyntaxProblem:
    meant = _OTHER_WORDS.get(stuck.found.lower()) or nearest(stuck.found, words)
    known = ", ".join(f"`{word}`" for word in words[:-1]) + f" or `{words[-1]}`"
    return SyntaxProblem(
        "E0113",
        stuck.place,
        f"unknown keyword `{stuck.shown}`"
        if stuck.is_word
        else f"no line begins with `{stuck.shown}`",
        label=f"expected {what}",
        help=f"did you mean `{meant}`?" if meant in words else f"such a line begins with {known}",
    )
