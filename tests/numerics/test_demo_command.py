"""`neurodsl demo`: what it prints and writes, how well it learns, and what it says where packages are missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neurodsl.tools.demo import command


def test_demo_from_start_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole job, as a user sees it in a pipe: plain text, the accuracy on a line of its own, a picture."""
    assert command.run(out=tmp_path / "demo") == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    found = re.findall(r"^accuracy (\d+\.\d) %$", printed, re.MULTILINE)
    assert len(found) == 1
    assert float(found[0]) > 95
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    assert written >= {
        "lif.neuron",
        "lif.py",
        "lif.cpp",
        "lif.h",
        "lif.json",
        "digits.png",
    }
    assert (tmp_path / "demo" / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert all(name in printed for name in ("lif.py", "lif.cpp", "lif.cu", "lif.json"))


def test_missing_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 3, the command that mends it, nothing written, no traceback."""
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "sklearn" else object())
    assert command.run(out=tmp_path / "demo") == 3
    complaint = capsys.readouterr().err
    assert "scikit-learn" in complaint
    assert "pip install" in complaint
    assert "matplotlib" not in complaint
    assert not (tmp_path / "demo").exists()
