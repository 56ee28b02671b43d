"""`python -m neurodsl.tools.growth`: that it measures what it says, draws, fills in its page. No time is checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from neurodsl.tools.growth import __main__ as growth
from neurodsl.tools.growth.page import BEGIN, END, exponent, fill_in, library_table
from neurodsl.tools.growth.peak import peak_bytes
from neurodsl.tools.growth.sweep import NEURONS, STEPS, Grid, Point, Task, measure


def point(size: int, seconds: float, *, along: str = STEPS, neuron: str = "LIF") -> Point:
    steps, neurons = (size, 100) if along == STEPS else (4, size)
    return Point(neuron, along, steps, neurons, 2, seconds, seconds, seconds, 4 * size, None)


def test_a_point_counts_what_backward_keeps() -> None:
    before = torch.get_num_threads()
    (found,) = measure([Task("LIF", STEPS, 8, 64, 1)])
    assert found.saved == 4 * 8 * 64
    assert found.peak is None  # too small to be seen
    assert 0 < found.lower <= found.seconds <= found.upper
    assert found.per_neuron_step == found.seconds / (8 * 64)
    assert torch.get_num_threads() == before


def test_grid_has_both_series_for_each_number_of_threads() -> None:
    tasks = Grid((1, 2), 10, (100, 1000), 4, (1, 2)).tasks("IF")
    assert len(tasks) == 8
    assert Task("IF", NEURONS, 4, 1000, 2) in tasks
    assert Task("IF", STEPS, 2, 10, 1) in tasks


def test_peak_is_that_of_the_call() -> None:
    size = 64 << 20
    found = peak_bytes(lambda: torch.ones(size // 4).sum())
    if found is None:
        pytest.skip("this system does not tell the peak of resident memory")
    assert size * 0.9 < found < size * 1.5
    assert 0 <= peak_bytes(lambda: None) < size // 4


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5])
def test_exponent_of_known_growth(power: float) -> None:
    line = [point(2**e, 1e-6 * 2 ** (e * power)) for e in range(11)]
    assert exponent(line) == pytest.approx(power)
    assert exponent(line[-2:]) == pytest.approx(power)


def test_library_table_names_the_extremes() -> None:
    powers = {"LIF": 1.0, "IF": 0.5, "QIF": 2.0}
    points = [
        point(size, float(size) ** power, along=along, neuron=name)
        for along in (STEPS, NEURONS)
        for name, power in powers.items()
        for size in (1, 16, 256)
    ]
    rows = library_table(points).rows
    assert rows[0] == (STEPS, "1.00", "0.50 (IF)", "2.00 (QIF)")
    assert rows[1][0] == NEURONS


def test_tables_replace_those_of_the_last_run(tmp_path: Path) -> None:
    page = tmp_path / "growth.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    table = library_table([point(s, s, along=a) for a in (STEPS, NEURONS) for s in (1, 16)])
    for _ in range(2):
        fill_in(page, [table], "facts")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("facts") == 1
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the tables"):
        fill_in(page, [table], "facts")


def test_one_command_makes_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    tiny = Grid((1, 4), 16, (8, 32), 2, (1, 2))
    monkeypatch.setattr("neurodsl.tools.growth.sweep.QUICK_GRID", tiny)
    assert growth.main(["--quick", "--out", str(tmp_path)]) == 0
    images = tmp_path / "images"
    for name in ("time", "memory", "library"):
        picture = images / f"growth-{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        picture.unlink()
    found = json.loads((images / "growth-lif.json").read_text(encoding="utf-8"))
    assert {p["neuron"] for p in found["points"]} == {"LIF"}
    assert "LIF at 16 neurons" in (tmp_path / "growth.md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert growth.main(["--draw", "--out", str(tmp_path)]) == 0
    assert "growth-memory.png" in capsys.readouterr().out


def test_without_matplotlib_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("neurodsl.tools.bench.figure.find_spec", lambda _: None)
    assert growth.main(["--out", str(tmp_path)]) == 3
    assert "pip install matplotlib" in capsys.readouterr().err
