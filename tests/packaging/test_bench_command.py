"""`neurodsl bench`: that it measures what it says. Nothing here depends on how fast anything is."""

from __future__ import annotations

import json

import pytest
import torch

import neurodsl
from neurodsl.tools.bench import command
from neurodsl.tools.bench.contestants import Contestant, contestants
from neurodsl.tools.bench.saved import saved_bytes
from neurodsl.tools.bench.timing import interleaved_medians


def test_json_has_a_row_for_each_contestant_and_shape(capsys: pytest.CaptureFixture[str]) -> None:
    shapes = ((4, 8), (2, 16))
    assert command.run(["LIF"], shapes=shapes, rounds=3, as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    for steps, neurons in shapes:
        here = {row["contestant"]: row for row in rows if row["steps"] == steps}
        assert {"fused", "reference", "relu", "copy"} <= set(here)
        assert here["fused"]["neurons"] == neurons
        assert here["fused"]["forward_times_fused"] == 1
        assert all(row["forward"] > 0 and row["forward_backward"] > 0 for row in here.values())


def test_table_is_plain_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["LIF"], shapes=((2, 4),), rounds=3) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "reference" in printed
    assert "2 steps x 4 neurons" in printed


@pytest.mark.parametrize("neuron", ["LIF", "GatedLIF", "LISNN", "ConductanceLIF"])
def test_fused_and_reference_compute_the_same(neuron: str) -> None:
    """Of neurons that want sizes, a module, or two inputs, too."""
    module = neurodsl.load(neuron)
    listed = contestants(module, neuron, compiled=False, steps=6, neurons=50)
    running = {one.name: one for one in listed}
    count = len(getattr(module, neuron).definition.inputs)
    inputs = tuple((2 * torch.randn(6, 1, 50)).requires_grad_() for _ in range(count))
    upstream = torch.randn(6, 1, 50)
    fused = running["fused"].forward_backward(inputs, upstream)
    reference = running["reference"].forward_backward(inputs, upstream)
    torch.testing.assert_close(fused, reference, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        running["fused"].forward(inputs), running["reference"].forward(inputs)
    )
    for yardstick in ("relu", "copy"):
        assert running[yardstick].forward(inputs).shape == upstream.shape


def test_saved_bytes_of_known_functions() -> None:
    x = torch.randn(8, 16, requires_grad=True)
    bytes_of_x = 8 * 16 * 4
    keeps_output = Contestant("exp", lambda: None, torch.exp)
    keeps_input = Contestant("sin", lambda: None, torch.sin)
    keeps_nothing = Contestant("neg", lambda: None, torch.neg)
    assert saved_bytes(keeps_output, (x,)) == (bytes_of_x, bytes_of_x)
    assert saved_bytes(keeps_input, (x,)) == (bytes_of_x, 0)
    assert saved_bytes(keeps_nothing, (x,)) == (0, 0)


def test_contestants_take_turns() -> None:
    order: list[str] = []
    interleaved_medians(
        {name: lambda name=name: order.append(name) for name in "ab"}, rounds=3, budget=0
    )
    alternations = "".join(order).replace("aa", "a")
    assert alternations.count("ba") >= 2
