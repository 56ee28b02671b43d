"""Every code has a program in this folder, `<CODE>_<what>.neuron`, and its exact message beside it.

Each is checked as `neurodsl check` would, imports beside it included. A program may give further diagnostics; the one
it is named after must be among them. The programs of the catalogue itself are held to what it says of them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from neurodsl.diagnostics import CompileError, Diagnostic, Severity
from neurodsl.diagnostics.catalogue import all_codes, lookup
from neurodsl.diagnostics.render import render_text
from neurodsl.driver import analyse_text
from neurodsl.files import disk_loader, read_source
from neurodsl.options import Options

FOLDER = Path(__file__).parent
PROGRAMS = sorted(path for path in FOLDER.glob("*.neuron") if path.name[0] in "EWI")


def diagnose(text: str, name: str) -> tuple[tuple[Diagnostic, ...], dict[str, str]]:
    try:
        analysis = analyse_text(text, name, Options(), disk_loader)
    except CompileError as error:
        return error.diagnostics, error.sources
    return analysis.diagnostics, analysis.sources


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_message(path: Path, golden: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    diagnostics, sources = diagnose(read_source(path), path.name)
    assert path.stem.partition("_")[0] in [diagnostic.code for diagnostic in diagnostics]
    assert callable(golden)
    golden(path.with_suffix(".txt"), render_text(diagnostics, sources, color=False))


def test_every_code_has_a_program() -> None:
    shown = {path.stem.partition("_")[0] for path in PROGRAMS}
    assert sorted(set(all_codes()) - shown) == []
    assert sorted(shown - set(all_codes())) == []


def test_every_message_has_its_program() -> None:
    messages = {path.stem for path in FOLDER.glob("*.txt")}
    assert messages == {path.stem for path in PROGRAMS}


@pytest.mark.parametrize("code", all_codes())
def test_wrong_example_gives_the_code(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    entry = lookup(code)
    assert entry is not None
    (tmp_path / "program.neuron").write_text(entry.wrong, encoding="utf-8")
    diagnostics, _ = diagnose(entry.wrong, "program.neuron")
    found = {diagnostic.code for diagnostic in diagnostics}
    assert code in found
    assert entry.severity in {diagnostic.severity for diagnostic in diagnostics}


@pytest.mark.parametrize("code", all_codes())
def test_right_example_is_right(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = lookup(code)
    assert entry is not None
    diagnostics, sources = diagnose(entry.right, "program.neuron")
    wrong = [d for d in diagnostics if d.severity is Severity.ERROR or d.code == code]
    assert not wrong, render_text(wrong, sources)


def test_names_do_not_depend_on_the_working_folder() -> None:
    for path in FOLDER.glob("*.txt"):
        assert os.fspath(FOLDER) not in path.read_text(encoding="utf-8")
