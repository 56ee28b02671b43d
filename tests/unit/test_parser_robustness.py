"""Whatever the text: a tree, or one syntax error whose place is in the text and whose message can be shown."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from neurodsl.diagnostics import CompileError, Report
from neurodsl.diagnostics.render import render_json, render_text
from neurodsl.frontend import parse

PROGRAMS = [
    path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parents[1] / "invalid").glob("E01*.neuron"))
]
WHOLE = '''\
from library import LIF, IF
function gate(z, k = 1.0) = 1 / (1 + exp(-k * z))

surrogate tent(u, width = 1.0):
    gradient = max(0, 1 - abs(u) / width)

neuron A(LIF):
    """Raw
    text."""
    input x, y  # both
    output s
    param p[time, channel] = 2.0 in [0, inf) learnable via exp
    state v = 0
    noise e ~ normal(0, 1)
    feedback z from s
    charge:
        dv/dt = (x - v) / p by rk4(steps=4)
        w = v if 0 <= v < 1 and not y > 1 else max(v,
            x)
    fire:
        s = spike(v - 1, tent(width=2))
'''
SIGNS = "()[]{}:=<>+-*/^~,.!\"'#\t\n\r \\;&0e1τ²\u00a0\x00"
WORDS = (
    '"""', "    ", "\n    ", "\n        ", " if ", " else ", " not ", " in ", " by ", " == ",
    "dv/dt = ", "charge:\n", "neuron ", "param ", "from ", "t", "dt", "x", "(x)", "1.5", "\r\n",
)  # fmt: skip
PIECES = st.sampled_from([*SIGNS, *WORDS])


def check(text: str) -> None:
    report = Report()
    try:
        parse(text, "a.neuron", report)
    except CompileError as error:
        (found,) = error.diagnostics
        assert re.fullmatch(r"E01\d\d", found.code)
        lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        for span in (found.span, *(label.span for label in found.secondary)):
            assert 1 <= span.line <= span.end_line <= len(lines)
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1
            assert (span.line, span.column) < (span.end_line, span.end_column)
        shown = render_text([found], {"a.neuron": text})
        assert f" --> a.neuron:{found.span.line}:{found.span.column}" in shown
        assert render_json([found])
    else:
        assert not report.diagnostics


@given(st.sampled_from([*PROGRAMS, WHOLE]), st.data())
@settings(max_examples=400, deadline=None)
def test_a_program_with_changes(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 0, 1, 1, 2, 5, 20]))
        piece = data.draw(st.one_of(st.just(""), PIECES))
        text = text[:start] + piece + text[start + length :]
    check(text)


@given(st.sampled_from([*PROGRAMS, WHOLE]), st.data())
@settings(max_examples=150, deadline=None)
def test_a_program_with_lines_left_out_or_moved(text: str, data: st.DataObject) -> None:
    lines = text.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 3))):
        line = lines.pop(data.draw(st.integers(0, len(lines) - 1))) if lines else "\n"
        if data.draw(st.booleans()):
            indent = " " * data.draw(st.integers(0, 9))
            lines.insert(data.draw(st.integers(0, len(lines))), indent + line.lstrip())
    check("".join(lines))


@given(st.lists(PIECES, max_size=30).map("".join))
@settings(max_examples=200, deadline=None)
def test_pieces(text: str) -> None:
    check(text)


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    check(text)
    check(f"neuron A:\n    charge:\n        v = {text}\n")
