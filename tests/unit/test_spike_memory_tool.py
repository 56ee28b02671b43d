"""`python -m neurodsl.tools.spike_memory`: all contestants compute the same, and bytes are as counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurodsl.tools.spike_memory import cost
from neurodsl.tools.spike_memory.__main__ import main
from neurodsl.tools.spike_memory.contestants import contestants, is_installed
from neurodsl.tools.spike_memory.measure import Figure, measure
from neurodsl.tools.spike_memory.networks import BATCH, CHANNELS, IMAGE, MLP_BATCH, WIDTHS

STEPS = 2


@pytest.fixture(scope="module")
def figures() -> dict[tuple[str, str], Figure]:
    return {
        (network, name): measure(network, name, STEPS, repeats=1)
        for network in ("conv", "mlp")
        for name, contestant in contestants().items()
        if is_installed(contestant)
    }


@pytest.mark.parametrize("network", ["conv", "mlp"])
def test_all_compute_the_same(figures: dict[tuple[str, str], Figure], network: str) -> None:
    found = {name: figure for (which, name), figure in figures.items() if which == network}
    assert set(found) >= {"reference", "plain", "bits", "checkpoint"}
    for figure in found.values():
        assert figure.gradient == pytest.approx(found["plain"].gradient, rel=1e-4)
        assert figure.peak >= 0  # 0 where an earlier one had grown the heap
        assert figure.seconds > 0
    assert found["bits"].gradient == found["plain"].gradient == found["checkpoint"].gradient


def test_bytes_of_the_mlp(figures: dict[tuple[str, str], Figure]) -> None:
    """Floats: the input, the neurons' inputs, their spikes. Bits: an eighth of a byte for spikes; else no other."""
    steps = STEPS * MLP_BATCH
    shown, neurons = steps * WIDTHS[0], steps * sum(WIDTHS[1:])
    assert figures["mlp", "plain"].saved == 4 * shown + 4 * neurons + 4 * neurons
    assert figures["mlp", "bits"].saved == shown // 8 + 4 * neurons + neurons // 8
    spikes = steps * sum(WIDTHS) // 8
    assert figures["mlp", "checkpoint"].saved == spikes


def test_bytes_of_the_convolutional_network(figures: dict[tuple[str, str], Figure]) -> None:
    """Of a neuron-step: 4 for its batch norm, 4 for itself, 4 or 1/8 for its spikes; after the pool a quarter of those
    once more, and 8 bytes a place where the largest was.
    """
    frames = STEPS * BATCH
    spikes = frames * CHANNELS[0] * IMAGE**2
    others = 0
    for place, channels in enumerate(CHANNELS[1:]):
        neurons = frames * channels * (IMAGE // 2 ** (place // 2)) ** 2
        spikes += neurons
        others += 8 * neurons + 2 * 4 * channels  # the mean and the deviation of each channel
        if place % 2:
            spikes += neurons // 4
            others += 8 * neurons // 4
    assert figures["conv", "plain"].saved == 4 * spikes + others
    assert figures["conv", "bits"].saved == spikes // 8 + others


def test_tables_json_and_picture(
    figures: dict[tuple[str, str], Figure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import asdict, replace

    first, other = tmp_path / "first.json", tmp_path / "all.json"
    first.write_text(
        json.dumps(
            {
                "figures": [
                    asdict(replace(figure, returned=returned))
                    for figure in figures.values()
                    for returned in (False, True)
                ]
            }
        )
    )
    picture = tmp_path / "peak.png"
    assert main(["--merge", str(first), "--json", str(other), "--out", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| T=2 |") == 8
    assert printed.count("| neurodsl, compress_spikes() |") == 8
    assert len(json.loads(other.read_text())["figures"]) == 2 * len(figures)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_step_in_a_process(capsys: pytest.CaptureFixture[str]) -> None:
    from neurodsl.tools.spike_memory.measure import in_a_process

    figure = in_a_process("mlp", "bits", 1, returned=True)
    assert figure.returned
    assert figure.saved > 0
    assert figure.peak > 0
    with pytest.raises(RuntimeError, match="failed"):
        in_a_process("mlp", "nobody", 1)
    with pytest.raises(SystemExit):
        main(["--steps", "0"])
    assert "1 or more" in capsys.readouterr().err


def test_the_cost_where_there_are_no_spikes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "ROUNDS", 4)
    monkeypatch.setattr(cost, "SIZES", ((8, 64),))
    assert main(["--cost"]) == 0
    printed = capsys.readouterr().out
    assert "| 8 samples, 64 wide |" in printed
    assert "| giving up what is no spikes |" in printed
