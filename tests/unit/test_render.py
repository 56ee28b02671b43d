"""The renderer: its form, to the letter, and what it does with odd texts."""

from __future__ import annotations

import json
import re

from neurodsl.diagnostics import NOWHERE, Diagnostic, Label, Severity, Span
from neurodsl.diagnostics.render import LONGEST_LINE, render_json, render_text

SOURCE = "\n" * 15 + "        dv/dt = (x - (v - v_reset)) / taw\n"


def span(line: int, column: int, end_column: int, end_line: int | None = None) -> Span:
    return Span("lif.neuron", line, column, end_line or line, end_column)


def diagnostic(
    at: Span, label: str = "here", secondary: tuple[Label, ...] = (), help: tuple[str, ...] = ()
) -> Diagnostic:
    return Diagnostic("E0201", Severity.ERROR, "unknown name `taw`", at, label, secondary, help)


def shown(found: Diagnostic, text: str) -> str:
    return render_text([found], {"lif.neuron": text})


def test_the_form() -> None:
    found = diagnostic(
        span(16, 39, 42), "not declared in this neuron", help=("did you mean `tau`?",)
    )
    assert shown(found, SOURCE) == (
        "error[E0201]: unknown name `taw`\n"
        " --> lif.neuron:16:39\n"
        "   |\n"
        "16 |         dv/dt = (x - (v - v_reset)) / taw\n"
        "   |                                       ^^^ not declared in this neuron\n"
        "   = help: did you mean `tau`?\n"
    )


def test_a_second_label_elsewhere_and_a_gap() -> None:
    found = diagnostic(span(9, 1, 4), "the second", (Label(span(2, 3, 5), "the first"),))
    text = "one\n  two\n" + "\n" * 6 + "nine\nten\n"
    assert shown(found, text).splitlines()[1:] == [
        " --> lif.neuron:9:1",
        "  |",
        "2 |   two",
        "  |   -- the first",
        "...",
        "9 | nine",
        "  | ^^^ the second",
    ]


def test_two_labels_on_a_line_and_no_label() -> None:
    found = diagnostic(span(1, 5, 6), "", (Label(span(1, 1, 2), "opened"),))
    assert shown(found, "(a b]\n").splitlines()[2:] == [
        "  |",
        "1 | (a b]",
        "  |     ^",
        "  | - opened",
    ]


def test_another_source_has_its_own_excerpt() -> None:
    other = Span("base.neuron", 1, 1, 1, 5)
    found = diagnostic(span(1, 1, 2), "here", (Label(other, "first declared"),))
    text = render_text([found], {"lif.neuron": "x\n", "base.neuron": "base\n"})
    assert text.splitlines()[1:] == [
        " --> lif.neuron:1:1",
        "  |",
        "1 | x",
        "  | ^ here",
        " ::: base.neuron:1:1",
        "  |",
        "1 | base",
        "  | ---- first declared",
    ]


def test_wide_letters_tabs_and_marks_keep_the_caret_in_place() -> None:
    for before, width in (("電位", 4), ("\t", 4), ("v̄", 1), ("τ", 1)):
        line = before + "bad"
        rows = shown(diagnostic(span(1, len(before) + 1, len(before) + 4)), line).splitlines()
        assert rows[-1] == "  | " + " " * width + "^^^ here"


def test_spans_over_lines_are_clamped() -> None:
    text = "f(a,\n  b,\n  c,\n  d,\n  e)\n"
    assert shown(diagnostic(span(1, 1, 5, 5)), text).splitlines()[3:] == [
        "1 | f(a,",
        "  | ^^^^",
        "...",
        "5 |   e)",
        "  |   ^^ here",
    ]
    assert "..." not in shown(diagnostic(span(1, 1, 4, 2)), text)


def test_long_lines_are_cut_around_the_place() -> None:
    line = "a" * 1000 + "bad" + "c" * 1000
    rows = shown(diagnostic(span(1, 1001, 1004)), line).splitlines()
    excerpt = rows[3].removeprefix("1 | ")
    assert len(excerpt) <= LONGEST_LINE + 2
    assert excerpt[0] == excerpt[-1] == "…"
    caret = rows[4].removeprefix("  | ").index("^")
    assert excerpt[caret : caret + 3] == "bad"


def test_the_end_of_a_line_and_of_the_text() -> None:
    assert shown(diagnostic(span(1, 3, 4)), "ab\n").splitlines()[-1] == "  |   ^ here"
    assert shown(diagnostic(span(2, 1, 2)), "ab\n").splitlines()[-1] == "  | ^ here"
    assert shown(diagnostic(span(7, 1, 2)), "ab\n").splitlines()[-1] == " --> lif.neuron:7:1"


def test_byte_order_marks_and_carriage_returns_are_not_shown() -> None:
    rows = shown(diagnostic(span(1, 1, 3)), "\ufeffab\r\ncd\r\n").splitlines()
    assert rows[3:] == ["1 | ab", "  | ^^ here"]


def test_other_line_separators_do_not_count_as_lines() -> None:
    text = "# a\u2028b\x0bc\nbad\n"
    assert "2 | bad" in shown(diagnostic(span(2, 1, 4)), text)


def test_control_characters_do_not_reach_the_terminal() -> None:
    found = Diagnostic("E0102", Severity.ERROR, "bad \x1b[2J", span(1, 1, 2), "\x1b", (), ("\x07",))
    text = shown(found, "\x1b[31mred\u202e\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


def test_a_place_without_a_text() -> None:
    assert shown(diagnostic(NOWHERE), "") == "error[E0201]: unknown name `taw`\n --> <built-in>\n"
    assert render_text([diagnostic(span(1, 1, 2))], {}).endswith("--> lif.neuron:1:1\n")


def test_an_empty_line_between_two() -> None:
    one = diagnostic(span(1, 1, 2))
    assert "\n\nerror[" in render_text([one, one], {"lif.neuron": "ab\n"})
    assert render_text([], {}) == ""


def test_color_adds_escapes_only() -> None:
    found = diagnostic(span(16, 39, 42), "here", (Label(span(16, 9, 11), "there"),), ("try",))
    colored = render_text([found], {"lif.neuron": SOURCE}, color=True)
    plain = render_text([found], {"lif.neuron": SOURCE}, color=False)
    assert "\x1b[1;31m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


def test_json() -> None:
    found = diagnostic(span(16, 39, 42), "here", (Label(span(2, 3, 5), "there"),), ("try",))
    (entry,) = json.loads(render_json([found]))["diagnostics"]
    assert entry == {
        "code": "E0201",
        "severity": "error",
        "message": "unknown name `taw`",
        "path": "lif.neuron",
        "line": 16,
        "column": 39,
        "end_line": 16,
        "end_column": 42,
        "label": "here",
        "secondary": [
            {
                "path": "lif.neuron",
                "line": 2,
                "column": 3,
                "end_line": 2,
                "end_column": 5,
                "text": "there",
            }
        ],
        "help": ["try"],
    }
    assert json.loads(render_json([])) == {"diagnostics": []}
