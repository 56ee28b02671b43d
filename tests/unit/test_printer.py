"""The printer: what it prints parses to the same tree, with no bracket that could be left out."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodsl.diagnostics import CompileError, Report
from neurodsl.frontend import ast, parse, parse_expression
from neurodsl.frontend.printer import declaration_text, expression_text, statement_text

NAMES = st.sampled_from(["x", "v_1", "τ", "in", "state", "spike_", "inf", "pi", "dt", "t"])
LABELS = st.sampled_from(["k", "alpha", "lambda", "by"]).map(ast.Identifier)
NUMBERS = st.one_of(
    st.from_regex(r"(0|[1-9][0-9]{0,5})(\.[0-9]{0,4})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"\.[0-9]{1,4}", fullmatch=True),
).map(lambda text: ast.Number(float(text), text))
LEAVES = st.one_of(NAMES.map(ast.Name), NUMBERS, st.booleans().map(ast.Boolean))


def rows(operands: st.SearchStrategy[Any], signs: list[str]) -> st.SearchStrategy[Any]:
    """Pairs (operators, operands) that fit."""
    return st.lists(operands, min_size=2, max_size=4).flatmap(
        lambda found: st.tuples(
            st.tuples(*[st.sampled_from(signs)] * (len(found) - 1)), st.just(tuple(found))
        )
    )


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arguments = st.lists(
        st.builds(ast.Argument, st.one_of(st.none(), LABELS), inner), max_size=3
    ).map(tuple)
    return st.one_of(
        rows(inner, ["+", "-"]).map(lambda row: ast.Chain(*row)),
        rows(inner, ["*", "/"]).map(lambda row: ast.Chain(*row)),
        rows(inner, ["<", "<=", ">", ">=", "==", "!="]).map(lambda row: ast.Comparison(*row)),
        rows(inner, ["and"]).map(lambda row: ast.Logic("and", row[1])),
        rows(inner, ["or"]).map(lambda row: ast.Logic("or", row[1])),
        st.builds(ast.Unary, st.sampled_from(["-", "+", "not"]), inner),
        st.builds(ast.Power, inner, inner),
        st.builds(ast.Conditional, inner, inner, inner),
        st.builds(ast.Call, st.sampled_from(["f", "max"]).map(ast.Identifier), arguments),
    )


EXPRESSIONS = st.recursive(LEAVES, larger, max_leaves=20)


def parsed(text: str) -> ast.Expression:
    return parse_expression(text, "<text>", Report())


@given(EXPRESSIONS)
@settings(max_examples=500, deadline=None)
def test_what_is_printed_parses_to_the_same_tree(tree: ast.Expression) -> None:
    text = expression_text(tree)
    assert "\n" not in text
    assert parsed(text) == tree
    assert expression_text(parsed(text)) == text


@given(EXPRESSIONS)
@settings(max_examples=150, deadline=None)
def test_no_bracket_can_be_left_out(tree: ast.Expression) -> None:
    text = expression_text(tree)
    for start, end in groups(text):
        shorter = text[:start] + " " + text[start + 1 : end] + " " + text[end + 1 :]
        with contextlib.suppress(CompileError):
            assert parsed(shorter) != tree, f"{text} needs no brackets at {start}"


def groups(text: str) -> list[tuple[int, int]]:
    """The offsets of brackets that group, calls' excepted."""
    found, opened = [], []
    for offset, character in enumerate(text):
        if character == "(":
            before = text[offset - 1 : offset]
            opened.append((offset, not (before.isalnum() or before == "_")))
        elif character == ")":
            start, is_group = opened.pop()
            if is_group:
                found.append((start, offset))
    return found


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("(x-(v-v_reset))/tau", "(x - (v - v_reset)) / tau"),
        ("a-(b-c)", "a - (b - c)"),
        ("a/(b*c)", "a / (b * c)"),
        ("((a*b))+c", "a * b + c"),
        ("-(x**2)", "-x^2"),
        ("(-x)^2", "(-x)^2"),
        ("x^(-0.50)", "x^-0.50"),
        ("(x^y)^z", "(x^y)^z"),
        ("x^(y^z)", "x^y^z"),
        ("not (a and b)", "not (a and b)"),
        ("(a<b) == c", "(a < b) == c"),
        ("a if c else (b if d else e)", "a if c else b if d else e"),
        ("(a if c else b) + 1", "(a if c else b) + 1"),
        ("a if (b if c else d) else e", "a if (b if c else d) else e"),
        ("- - x", "--x"),
        ("a - -b", "a - -b"),
        ("f( a,k = 1e-3 , )", "f(a, k=1e-3)"),
        ("1e+05 * .50", "1e+05 * .50"),
    ],
)
def test_layout(written: str, printed: str) -> None:
    assert expression_text(parsed(written)) == printed


LINES = [
    "input x, y",
    "output s, v",
    "const c = 1 / 3",
    "param tau[time, channel] = 2.0 in [1, inf) learnable via exp",
    "param tau = 2.0 in (0, 1)",
    "param flag = true",
    "param gain[channel]",
    "state v = v_reset",
    "feedback y from s",
    "noise e ~ normal(0, sigma)",
    "function gate(z, k=1.0) = 1 / (1 + exp(-k * z))",
    "function one() = 1",
]


@pytest.mark.parametrize("line", LINES)
def test_declarations_round_trip(line: str) -> None:
    (item,) = parse(f"neuron A:\n    {line}\n", "<text>", Report()).items
    assert isinstance(item, ast.Neuron)
    (found,) = item.declarations
    assert declaration_text(found) == line


def test_options_are_printed_in_one_order() -> None:
    text = "neuron A:\n    param tau = 2 learnable via exp in (0,1)\n"
    (item,) = parse(text, "<text>", Report()).items
    assert isinstance(item, ast.Neuron)
    assert declaration_text(item.declarations[0]) == "param tau = 2 in (0, 1) learnable via exp"


@pytest.mark.parametrize(
    "line",
    [
        "v = v_reset if s else v",
        "dv/dt = (x - v) / tau",
        "dτ/dt = x by euler",
        "dv/dt = -v / tau by rk4(steps=4)",
    ],
)
def test_statements_round_trip(line: str) -> None:
    (item,) = parse(f"neuron A:\n    charge:\n        {line}\n", "<text>", Report()).items
    assert isinstance(item, ast.Neuron)
    assert statement_text(item.phases[0].statements[0]) == line
