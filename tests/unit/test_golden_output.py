"""The texts emitted for LIF, byte for byte: any change of a generator shows up in review (`--update-golden`)."""

from __future__ import annotations

from pathlib import Path

import pytest

import neurodsl

GOLDEN = Path(__file__).parents[1] / "golden"
SOURCE = '''neuron LIF:
    """A leaky integrate-and-fire neuron with a soft reset and an Euler step."""
    input x
    param tau = 2.0 in (0, inf) learnable
    param v_threshold = 1.0
    state v = 0.0
    output s
    charge:
        dv/dt = (x - v) / tau
    fire:
        s = spike(v - v_threshold)
    reset:
        v = v - v_threshold * s
'''


@pytest.mark.parametrize("suffix", [".py", ".cpp", ".cu", ".h", ".json"])
def test_emitted_text(suffix: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "lif.neuron").write_text(SOURCE, encoding="utf-8")
    neurodsl.compile_file(tmp_path / "lif.neuron")
    written = (tmp_path / f"lif{suffix}").read_text(encoding="utf-8")
    golden = GOLDEN / f"lif{suffix}.txt"
    if request.config.getoption("--update-golden"):
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")
