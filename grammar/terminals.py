"""Each terminal of the grammar in words, for messages about what was expected."""

from __future__ import annotations

RESERVED_WORDS = {
    "IF": "if",
    "ELSE": "else",
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "TRUE": "true",
    "FALSE": "false",
}
"""Terminals that are words wherever they stand."""

KEYWORDS = {
    "FROM": "from",
    "IMPORT": "import",
    "FUNCTION": "function",
    "SURROGATE": "surrogate",
    "NEURON": "neuron",
    "INPUT": "input",
    "OUTPUT": "output",
    "CONST": "const",
    "PARAM": "param",
    "STATE": "state",
    "FEEDBACK": "feedback",
    "NOISE": "noise",
    "CHARGE": "charge",
    "FIRE": "fire",
    "RESET": "reset",
    "IN": "in",
    "LEARNABLE": "learnable",
    "VIA": "via",
    "BY": "by",
}
"""Terminals that are words only where one may stand, and what is typed for them."""

IN_WORDS = {
    **{name: f"`{word}`" for name, word in (RESERVED_WORDS | KEYWORDS).items()},
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a path in quotes",
    "DOCSTRING": "a docstring",
    "DERIVATIVE": "an equation such as `dv/dt = …`",
    "SIGN": "`+` or `-`",
    "PRODUCT_SIGN": "`*` or `/`",
    "POWER_SIGN": "`^`",
    "COMPARISON_SIGN": "a comparison",
    "EQUAL": "`=`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "TILDE": "`~`",
    "NEWLINE": "the end of the line",
    "INDENT": "indented lines",
    "DEDENT": "the end of the block",
    "BLANK": "white space",
    "$END": "the end of the text",
}
"""Every terminal in words."""

VALUE_STARTS = frozenset({"NUMBER", "TRUE", "FALSE", "LPAR", "SIGN"})
"""Terminals that together mean that an expression may begin (a name and `not` may, too)."""

OPERATORS = frozenset({"SIGN", "PRODUCT_SIGN", "POWER_SIGN", "COMPARISON_SIGN", "AND", "OR"})
"""Terminals that together mean that an expression may go on."""

DECLARATIONS = (
    "input", "output", "const", "param", "state", "feedback", "noise", "function",
)  # fmt: skip
"""The words that begin a declaration in a neuron."""

PHASES = ("charge", "fire", "reset")
"""The words that begin a phase, in the order of the phases."""

TOP_LEVEL = ("from", "function", "surrogate", "neuron")
"""The words that begin what stands at the margin."""
