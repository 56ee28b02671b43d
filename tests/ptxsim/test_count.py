"""What `neurodsl roofline` ships of bytes counted is what the simulator counts, and what the project promises."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neurodsl.library import names
from neurodsl.tools.roofline.kernels import PASSES, SUFFIXES
from ptxsim.count import COUNTED, NEURONS, count, passes_of
from ptxsim.count import main as recount

EVERY_RUN = {("LIF", dtype) for dtype in SUFFIXES} | {("Alpha", "float32"), ("STBIF", "float16")}
"""One state and several, arrays that are not read, every dtype; the others by the marker `full`."""

CASES = [
    pytest.param(name, dtype, marks=() if (name, dtype) in EVERY_RUN else pytest.mark.full)
    for name in names()
    for dtype in SUFFIXES
]


def shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(COUNTED.read_text())
    return found


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_counts_are_those_shipped(name: str, dtype: str) -> None:
    counted = {which: list(count(name, which, dtype)) for which in passes_of(name)}
    assert counted == shipped()["neurons"][name][dtype], "python -m ptxsim.count counts again"


def test_every_kernel_of_the_library_was_counted() -> None:
    found = shipped()
    assert found["N"] == NEURONS
    assert list(found["neurons"]) == list(names())
    for rows in found["neurons"].values():
        assert list(rows) == list(SUFFIXES)
        assert all(
            {"forward", "backward"} <= set(counts) <= set(PASSES) for counts in rows.values()
        )


@pytest.mark.parametrize("dtype", SUFFIXES)
def test_nothing_is_asked_for_twice(dtype: str) -> None:
    """Bytes asked for over those of the arrays touched: 1.00 forward, at most 1.02 backward."""
    for name, rows in shipped()["neurons"].items():
        for which, (least, asked, _) in rows[dtype].items():
            most = 1.02 if which == "backward" else 1.001
            assert 1 <= asked / least <= most, (name, which)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_sectors_are_moved(dtype: str) -> None:
    for name, rows in shipped()["neurons"].items():
        for which, (least, _, moved) in rows[dtype].items():
            most = 1.02 if which == "backward" else 1.001
            assert moved / least <= most, (name, which)


def test_counting_again_keeps_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    copy = tmp_path / "counted.json"
    copy.write_text(COUNTED.read_text())
    monkeypatch.setattr("ptxsim.count.COUNTED", copy)
    assert recount(["LIF", "--dtype", "float32"]) == 0
    assert copy.read_text() == COUNTED.read_text()
