"""`python -m neurodsl.tools.gpu_check`: what a sanitizer watches runs, and tells wrong spikes from right ones."""

from __future__ import annotations

import pytest
import torch

from neurodsl.tools import gpu_check

CPU = ["--device", "cpu"]


def test_a_line_for_each_neuron_dtype_and_shape(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["LIF", "PLIF", *CPU, "--shapes", "4x33,1x2", "--dtype", "float32,float64,bfloat16"]
    assert gpu_check.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 3 * 2
    assert lines[0] == "LIF float32 4 x 33: as on the CPU"
    assert all(line.endswith(": as on the CPU") for line in lines)


def test_wrong_spikes_are_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = iter(range(9))
    equal = torch.equal
    monkeypatch.setattr(torch, "equal", lambda a, b: equal(a + next(runs), b))
    assert gpu_check.main(["LIF", *CPU, "--shapes", "4x33,4x65"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("as on the CPU")
    assert "outputs differ from the CPU's" in second


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(["LIF"]) == 3
    assert capsys.readouterr().err.startswith("error: no CUDA device: ")
