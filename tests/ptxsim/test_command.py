"""The command line: what it prints, and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptxsim.__main__ import main
from ptxsim.conftest import Ptx


@pytest.fixture
def faulty(ptx: Ptx, tmp_path: Path) -> str:
    path = tmp_path / "faulty.ptx"
    path.write_text(ptx("faulty", "90"))
    return str(path)


def test_info(faulty: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", faulty]) == 0
    printed = capsys.readouterr().out
    assert "entry bad_tail(.u64, .u64, .u32)" in printed
    assert "not supported" not in printed


@pytest.mark.parametrize(("n", "status"), [(128, 0), (100, 1)])
def test_run(faulty: str, n: int, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", faulty, "bad_tail", "1", "128", f"in:{n}", f"out:{n}", str(n)]
    assert main(command) == status
    printed = capsys.readouterr().out
    assert f"{'arg1':<12}store" in printed
    assert ("FOUND out-of-bounds" in printed) == (status == 1)


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "info x.ptx" in capsys.readouterr().out
