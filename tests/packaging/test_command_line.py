"""The commands on files that are missing, empty, no text, or in the way: what is said, where, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurodsl.cli import main

RIGHT = """\
neuron IF:
    input  x
    output s

    state v = 0.0

    charge:
        v = v + x

    fire:
        s = spike(v - 1.0)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a right program, a wrong one, an empty one, and one that is not UTF-8."""
    (tmp_path / "right.neuron").write_text(RIGHT, encoding="utf-8")
    (tmp_path / "wrong.neuron").write_text(RIGHT.replace("v + x", "v + y"), encoding="utf-8")
    (tmp_path / "empty.neuron").write_bytes(b"")
    (tmp_path / "latin.neuron").write_bytes(b"# one\n# caf\xe9\n" + RIGHT.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "code", "line", "column"),
    [
        ("empty.neuron", "E0411", 1, 1),
        ("/dev/null", "E0411", 1, 1),
        ("latin.neuron", "E0102", 2, 6),
    ],
)
def test_check_places_what_is_empty_or_no_text(
    file: str, code: str, line: int, column: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", file]) == 1
    assert f" --> {file}:{line}:{column}\n" in capsys.readouterr().out
    assert main(["check", file, "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert (found["code"], found["path"], found["line"], found["column"]) == (
        code,
        file,
        line,
        column,
    )
    assert found["help"]


def test_a_byte_order_mark_counts_as_bytes_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "marked.neuron").write_bytes(b"\xef\xbb\xbf# \xe9\n")
    assert main(["check", "marked.neuron"]) == 1
    printed = capsys.readouterr().out
    assert "marked.neuron:1:3\n" in printed
    assert "byte 6 of the file" in printed


@pytest.mark.parametrize("form", ["text", "json"])
def test_check_reports_every_file(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["right.neuron", "nope.neuron", "latin.neuron", "wrong.neuron"]
    assert main(["check", *files, "--format", form]) == 2
    printed, told = capsys.readouterr()
    assert "nope.neuron: No such file" in told
    assert all(code in printed for code in ("E0102", "E0201"))


def test_compile_writes_what_is_right(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "latin.neuron", "right.neuron"]) == 1
    assert "E0102" in capsys.readouterr().err
    assert (folder / "right.py").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["compile", "right.neuron", "-o", "empty.neuron"],
            "empty.neuron is a file: name a folder",
        ),
        (["compile", "right.neuron", "-o", "/sys"], "error: /sys: "),
        (["check", ""], "FILE is empty"),
        (["check", "."], "error: . is a folder"),
    ],
)
def test_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "Errno" not in told
    assert ".right.py." not in told


@pytest.mark.parametrize(
    ("out", "words"),
    [("empty.neuron", "empty.neuron is a file: name a folder"), ("/sys", "error: /sys")],
)
def test_demo_names_the_folder_it_cannot_write(
    out: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("rich", "sklearn", "matplotlib"):
        pytest.importorskip(package)
    assert main(["demo", "-o", out]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "Errno" not in told
