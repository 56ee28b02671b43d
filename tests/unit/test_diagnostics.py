"""The catalogue, the nearest name, and the explanations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neurodsl.diagnostics import NOWHERE, CompileError, Report, Severity
from neurodsl.diagnostics.catalogue import all_codes, lookup, severity_of
from neurodsl.diagnostics.explain import catalogue_markdown, explain_code
from neurodsl.diagnostics.suggest import nearest

ROOT = Path(__file__).parents[2]


def test_a_report_knows_severities_and_raises_for_errors() -> None:
    report = Report()
    report.raise_if_errors()
    report.add("E0101", NOWHERE, "wrong", help="try this")
    (found,) = report
    assert found.severity is Severity.ERROR
    assert found.help == ("try this",)
    with pytest.raises(CompileError):
        report.raise_if_errors()


def test_a_code_that_is_not_in_the_catalogue_is_a_fault_of_the_compiler() -> None:
    with pytest.raises(RuntimeError, match="not in the catalogue"):
        Report().add("E9999", NOWHERE, "wrong")


@pytest.mark.parametrize("code", all_codes())
def test_entries_are_complete(code: str) -> None:
    entry = lookup(code.lower())
    assert entry is not None
    assert entry.code == code
    assert re.fullmatch(r"[EWI]\d{4}", code)
    assert severity_of(code) is entry.severity
    initials = {"E": Severity.ERROR, "W": Severity.WARNING, "I": Severity.INFO}
    assert initials[code[0]] is entry.severity
    assert entry.title
    assert not entry.title.endswith(".")
    assert entry.explanation.strip().endswith((".", ")"))
    assert entry.wrong != entry.right
    assert entry.wrong.endswith("\n")
    assert entry.right.endswith("\n")


@pytest.mark.parametrize("code", all_codes())
def test_explanations_hold_all_and_fit_a_screen(code: str) -> None:
    entry = lookup(code)
    assert entry is not None
    text = explain_code(code)
    assert entry.title in text
    assert "Wrong:" in text
    assert "Right:" in text
    assert max(map(len, text.splitlines())) <= 110
    assert re.sub(r"\x1b\[[0-9;]*m", "", explain_code(code, color=True)) == text


def test_an_unknown_code_has_no_explanation() -> None:
    assert lookup("E9999") is None
    with pytest.raises(KeyError):
        explain_code("E9999")


def test_the_page_of_diagnostics_is_current(request: pytest.FixtureRequest) -> None:
    page = ROOT / "docs" / "diagnostics.md"
    if request.config.getoption("--update-golden"):
        page.write_text(catalogue_markdown(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == catalogue_markdown()


def test_the_page_of_the_library_is_current(request: pytest.FixtureRequest) -> None:
    from neurodsl.tools.library_page import page

    path = ROOT / "docs" / "library.md"
    if request.config.getoption("--update-golden"):
        path.write_text(page(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize(
    ("word", "names", "found"),
    [
        ("taw", ["v", "tau", "t"], "tau"),
        ("chrage", ["charge", "fire", "reset"], "charge"),
        ("v_treshold", ["v", "v_reset", "v_threshold"], "v_threshold"),
        ("V_Reset", ["v_rest", "v_reset"], "v_reset"),
        ("lernable", ["in", "learnable", "via"], "learnable"),
        ("y", ["x"], None),
        ("y", ["Y"], "Y"),
        ("ab", ["ba", "abc"], "ba"),
        ("class", ["from", "function", "surrogate", "neuron"], None),
        ("x", [], None),
        ("tau", ["tau"], None),
    ],
)
def test_nearest(word: str, names: list[str], found: str | None) -> None:
    assert nearest(word, names) == found
