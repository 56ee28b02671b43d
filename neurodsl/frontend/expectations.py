"""What was expected, in words."""

from __future__ import annotations

from neurodsl.frontend.stuck import Stuck
from neurodsl.grammar.terminals import IN_WORDS, OPERATORS, VALUE_STARTS

_FORMS = {
    "from": 'from "lif.neuron" import LIF',
    "function": "function gate(z, k=1.0) = 1 / (1 + exp(-k * z))",
    "surrogate": "surrogate rect(u, width = 1.0):",
    "neuron": "neuron LIF:",
    "input": "input x, y",
    "output": "output s, v",
    "const": "const c = 0.5",
    "param": "param tau = 2.0 in (1, inf)",
    "state": "state v = 0.0",
    "feedback": "feedback y from s",
    "noise": "noise e ~ normal(0, 1)",
}
"""How each kind of line is written."""


def expected(accepts: frozenset[str]) -> str:
    """The terminals that may follow, in words: `a value or ")"`."""
    rest = set(accepts)
    words = []
    if accepts >= VALUE_STARTS:
        words.append("a value")
        rest -= VALUE_STARTS | {"NAME", "NOT"}
    if accepts >= OPERATORS:
        words.append("an operator")
        rest -= OPERATORS | {"IF", "LPAR"}
    words += [word for name, word in IN_WORDS.items() if name in rest]
    return joined(words)


def joined(words: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def found(stuck: Stuck) -> str:
    """What stands there instead, in words."""
    if stuck.found == "":
        return "the end of the text"
    if stuck.at_line_end:
        return "the end of the line"
    if stuck.found == '"""':
        return "a docstring"
    return f"`{stuck.shown}`"


def form_of(stuck: Stuck) -> str | None:
    """How a line is written that begins as this one does."""
    form = _FORMS.get(stuck.first_word)
    return f"it is written as in `{form}`" if form else None
