"""From where the parser got stuck to a message: known mistakes, one small function each, then the general case."""

from __future__ import annotations

import re
from collections.abc import Callable

from lark import UnexpectedInput

from neurodsl.diagnostics.suggest import nearest
from neurodsl.frontend.expectations import expected, form_of, found
from neurodsl.frontend.layout import Layout
from neurodsl.frontend.line_starts import misplaced_line
from neurodsl.frontend.names import RESERVED, normalised, reserved
from neurodsl.frontend.problem import SyntaxProblem
from neurodsl.frontend.stuck import Stuck, stuck_at
from neurodsl.grammar.terminals import KEYWORDS, OPERATORS, VALUE_STARTS


def explain(error: UnexpectedInput, layout: Layout) -> SyntaxProblem:
    """The problem behind an exception of the parser."""
    stuck = stuck_at(error, layout)
    for recognise in _MISTAKES:
        problem = recognise(stuck)
        if problem is not None:
            return problem
    return SyntaxProblem(
        "E0101",
        stuck.place,
        f"expected {expected(stuck.accepts)}, found {found(stuck)}",
        label="unexpected" if not stuck.at_line_end else "something is missing here",
        help=_hint(stuck) or form_of(stuck) or (),
    )


def _reserved_name(stuck: Stuck) -> SyntaxProblem | None:
    """`state if = 0`."""
    wants_name = "NAME" in stuck.accepts and not stuck.accepts >= VALUE_STARTS
    word = normalised(stuck.found)
    return reserved(word, stuck.place) if wants_name and word in RESERVED else None


def _mismatched_bracket(stuck: Stuck) -> SyntaxProblem | None:
    """`spike(v]`."""
    partner = {")": "RSQB", "]": "RPAR"}.get(stuck.found)
    if partner not in stuck.accepts or stuck.start not in stuck.layout.partners:
        return None
    opening = stuck.layout.partners[stuck.start]
    bracket = stuck.text[opening]
    return SyntaxProblem(
        "E0106",
        stuck.place,
        f"`{stuck.shown}` cannot close `{bracket}`",
        label=f"expected `{')' if partner == 'RPAR' else ']'}`",
        secondary=(((opening, opening + 1), "opened here"),),
    )


def _missing_colon(stuck: Stuck) -> SyntaxProblem | None:
    """`charge` and nothing after it."""
    if "COLON" not in stuck.accepts or not stuck.at_line_end:
        return None
    return SyntaxProblem(
        "E0109", stuck.place, f"a colon is missing after `{stuck.before}`", label="expected `:`"
    )


def _assigns_or_compares(stuck: Stuck) -> SyntaxProblem | None:
    """`s == spike(v)`, or `1 if a = b else 0`."""
    if stuck.found == "==" and "EQUAL" in stuck.accepts:
        return SyntaxProblem(
            "E0112",
            stuck.place,
            "`==` compares; a value is given with `=`",
            label="expected `=`",
        )
    if stuck.found == "=" and stuck.accepts >= OPERATORS:
        swapped = {"<": "`<=`", ">": "`>=`"}.get(stuck.after[:1], "`==`")
        return SyntaxProblem(
            "E0112",
            stuck.place,
            f"`=` gives a value; a comparison is written {swapped}",
            label="expected an operator",
        )
    return None


def _missing_else(stuck: Stuck) -> SyntaxProblem | None:
    """`v = 0 if s`."""
    if "ELSE" not in stuck.accepts or not (stuck.at_line_end or stuck.found in (")", ",")):
        return None
    return SyntaxProblem(
        "E0101",
        stuck.place,
        f"expected `else`, found {found(stuck)}",
        label="what if not?",
        help="a choice has two arms: `a if condition else b`",
    )


def _run_on_number(stuck: Stuck) -> SyntaxProblem | None:
    """`2v`, `1_000`, `1.2.3`."""
    last = stuck.text[stuck.start - 1 : stuck.start]
    if last not in (*"0123456789.",) or not (stuck.is_word or stuck.found[:1] in ".0123456789"):
        return None
    begun = re.search(r"[0-9.][0-9.eE+-]*$", stuck.before)
    rest = re.match(r"[\w.]*", stuck.text[stuck.start :])
    digits = begun[0] if begun else last
    more = rest[0] if rest else ""
    return SyntaxProblem(
        "E0118",
        (stuck.start - len(digits), stuck.start + len(more)),
        f"`{digits}{more}` is no number",
        label="a number runs into something else",
        help=_number_instead(digits, more),
    )


def _number_instead(digits: str, more: str) -> str:
    if digits == "0" and re.fullmatch(r"[xX][0-9a-fA-F]+|[bB][01]+|[oO][0-7]+", more):
        return f"numbers are decimal: write `{int(digits + more, 0)}`"
    if more in ("e", "E"):
        return (
            f"an exponent has digits, as in `{digits}{more}-3`; "
            f"a product is written `{digits} * {more}`"
        )
    if more.isidentifier() and not more.startswith("_"):
        return f"a product is written `{digits} * {more}`"
    return "digits are not grouped, and numbers have one point: `1000.5`"


def _misspelt_word(stuck: Stuck) -> SyntaxProblem | None:
    """`param tau = 2.0 learnabel`, `a nad b`."""
    if not stuck.is_word or "NAME" in stuck.accepts:
        return None
    allowed = [word for name, word in KEYWORDS.items() if name in stuck.accepts]
    if "AND" in stuck.accepts:
        allowed += ["if", "else", "and", "or"]
    meant = nearest(stuck.found, allowed)
    if meant is None:
        return None
    return SyntaxProblem(
        "E0113",
        stuck.place,
        f"unknown keyword `{stuck.shown}`",
        label=f"expected {expected(stuck.accepts)}",
        help=f"did you mean `{meant}`?",
    )


def _statement_after_colon(stuck: Stuck) -> SyntaxProblem | None:
    """`charge: v = x`."""
    if not stuck.before.endswith(":") or "NEWLINE" not in stuck.accepts:
        return None
    return SyntaxProblem(
        "E0124",
        stuck.place,
        "a block begins on the line after its colon",
        label="expected the end of the line",
        help="put this on a line of its own, indented more than the line above it",
    )


_MISTAKES: tuple[Callable[[Stuck], SyntaxProblem | None], ...] = (
    misplaced_line,
    _statement_after_colon,
    _reserved_name,
    _mismatched_bracket,
    _missing_colon,
    _assigns_or_compares,
    _missing_else,
    _run_on_number,
    _misspelt_word,
)


def _hint(stuck: Stuck) -> str | None:
    """What to type instead of a sign that other languages have."""
    sign = stuck.found
    around = stuck.text[stuck.start - 1 : stuck.start] + sign + stuck.after[:1]
    if stuck.accepts >= {"EQUAL"} and stuck.after.startswith("=") and sign in "+-*/^":
        return f"write `{stuck.before} = {stuck.before} {sign} …`"
    if sign == "/" and re.fullmatch(r"d\w+", stuck.before):
        return f"an equation is written `{stuck.before}/dt = …`"
    if sign == "[":
        return "expressions are bracketed with `( )`"
    if sign == "by":
        return "a solver stands after an equation, `dv/dt = … by euler`"
    if sign == "," and stuck.accepts == {"EQUAL"}:
        return "a statement gives one name its value"
    if stuck.at_line_end and re.search(r"[-+*/^<>=]$", stuck.before):
        return "a line goes on in the next one while a bracket is open"
    for signs, hint in _OTHER_SIGNS.items():
        if signs in around:
            return hint
    if stuck.accepts == {"EQUAL"} and stuck.before.isidentifier():
        return "there are no statements as in Python: a line gives one name its value, `v = …`"
    if stuck.is_word and stuck.accepts >= OPERATORS and re.search(r"[\w)]$", stuck.before):
        return "a product is written with `*`"
    return None


_OTHER_SIGNS = {
    "//": "a whole quotient is written `floor(a / b)`",
    "<>": "write `!=`",
    ":=": "write `=`",
    "&&": "write `and`",
}
