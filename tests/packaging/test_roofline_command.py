"""`neurodsl roofline` on real machine code: needs nvcc or NVRTC, and cuobjdump. Fails without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neurodsl.cli import main
from neurodsl.library import find


@pytest.fixture(scope="module")
def lif(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of LIF on an H100, every dtype."""
    out = tmp_path_factory.mktemp("roofline") / "lif.json"
    dtypes = "float32,float64,float16,bfloat16"
    assert main(["roofline", "LIF", "--dtype", dtypes, "--json", str(out)]) == 0
    rows: list[dict[str, Any]] = json.loads(out.read_text())["rows"]
    return rows


def row(rows: list[dict[str, Any]], which: str, dtype: str) -> dict[str, Any]:
    (found,) = (r for r in rows if (r["pass"], r["dtype"]) == (which, dtype))
    return found


def test_every_pass_and_dtype_has_a_row(lif: list[dict[str, Any]]) -> None:
    assert len(lif) == 3 * 4
    assert {r["arch"] for r in lif} == {"sm_90"}
    assert all(r["moved_over_minimum"] >= r["asked_over_minimum"] >= 1 for r in lif)


def test_lif_keeps_its_bounds(lif: list[dict[str, Any]]) -> None:
    """What the project promises of LIF on sm_90."""
    forward, backward = row(lif, "forward", "float32"), row(lif, "backward", "float32")
    assert forward["instructions"] <= 10
    assert forward["bytes_in_flight_a_thread"] >= 50
    assert forward["load_widths"] == forward["store_widths"] == [16]
    assert backward["instructions"] <= 20
    assert backward["bytes_in_flight_a_thread"] >= 45
    assert set(backward["load_widths"]) | set(backward["store_widths"]) <= {8, 16}
    for found in (forward, row(lif, "forward_train", "float32"), backward):
        assert found["stack_bytes"] == found["local_instructions"] == 0
        assert found["moved_over_minimum"] == 1.0
        assert 0 < found["share_of_dram"] <= 1


def test_a_picture_and_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "lif.png"
    assert (
        main(["roofline", "lif", "--gpu", "h100,a100", "--arch", "sm_90", "--out", str(picture)])
        == 0
    )
    printed = capsys.readouterr().out
    assert "No GPU has run this" in printed
    assert "A100 sm_90" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_neuron_of_ones_own_was_not_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = find("LIF")
    assert found is not None
    path, out = tmp_path / "mine.neuron", tmp_path / "mine.json"
    path.write_text(f"# LIF, but mine\n{found[1]}")
    assert main(["roofline", str(path), "--markdown", "--json", str(out)]) == 0
    assert "not executed" in capsys.readouterr().out
    rows = json.loads(out.read_text())["rows"]
    assert [r["moved_over_minimum"] for r in rows] == [None] * 3
    assert [r["minimum_bytes"] for r in rows] == [8.5, 8.75, 13.0]


@pytest.mark.parametrize("missing", ["compilers", "disassembler"])
def test_what_is_missing_is_named_with_what_to_type(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing == "compilers":
        monkeypatch.setattr("neurodsl.tools.roofline.kernels.find_nvcc", lambda: None)
        monkeypatch.setattr("neurodsl.tools.roofline.kernels.find_nvrtc", lambda: None)
    else:
        monkeypatch.setattr("neurodsl.tools.roofline.disassembly.find_tool", lambda name: None)
    assert main(["roofline", "LIF"]) == 3
    said = capsys.readouterr().err
    assert "to mend it" in said
    assert ("nvidia-cuda-nvrtc" if missing == "compilers" else "nvidia-cuda-cuobjdump") in said


@pytest.mark.parametrize(
    "arguments",
    [["--gpu", "h1000"], ["LIF", "--all"], ["--json", "/nowhere/x.json"], ["--arch", "90"]],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["roofline", *arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status == 2
    assert arguments[-1].strip("-") in capsys.readouterr().err
