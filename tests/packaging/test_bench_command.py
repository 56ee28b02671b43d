"""`neurodsl bench`: that it measures what it says. Nothing here depends on how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import neurodsl
from neurodsl.cli import main
from neurodsl.tools.bench import command
from neurodsl.tools.bench.contestants import (
    Choice,
    Contestant,
    contestants,
    fused,
    spikingjelly,
)
from neurodsl.tools.bench.first_call import compile_time
from neurodsl.tools.bench.fresh import measure_fresh
from neurodsl.tools.bench.inputs import Given, firing_scale
from neurodsl.tools.bench.launched import copy_module, launched
from neurodsl.tools.bench.limits import BOTH, FORWARD, Beside, limits
from neurodsl.tools.bench.saved import saved_bytes
from neurodsl.tools.bench.split import split_form
from neurodsl.tools.bench.tables import Table
from neurodsl.tools.bench.timing import Spread, alone, taking_turns
from neurodsl.tools.bench.traffic import extent, of_neuron

QUICK = ["--rounds", "1", "--no-compile-times", "--no-peers"]


def bench(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["bench", *arguments, *QUICK]) == 0
    return capsys.readouterr().out


def test_json_has_a_row_for_each_contestant_and_shape(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(bench(capsys, "LIF", "--shapes", "4x8,2x16", "--json"))
    assert found["machine"]["threads"] == torch.get_num_threads()
    for steps, neurons in ((4, 8), (2, 16)):
        here = {row["contestant"]: row for row in found["rows"] if row["steps"] == steps}
        assert set(here) == {"fused", "reference", "relu", "copy"}
        assert here["fused"]["neurons"] == neurons
        assert here["fused"]["forward_times_fused"] == 1
        assert here["relu"]["forward_backward_alone_times_relu"] == 1
        for row in here.values():
            lower, upper = row["forward_backward_quartiles"]
            assert 0 < lower <= row["forward_backward"] <= upper
    shape = found["shapes"][0]
    assert [limit["what"] for limit in shape["limits"][:2]] == [FORWARD, BOTH]
    assert shape["beside"]["best_copy"] in shape["beside"]["copies"]


def test_table_is_plain_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    printed = bench(capsys, "LIF", "--shapes", "2x4")
    assert "\x1b" not in printed
    assert "reference" in printed
    assert "2 steps x 4 neurons" in printed
    assert "backward, existing memory" in printed


def test_markdown_tables_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    lines = bench(capsys, "LIF", "--shapes", "2x4", "--markdown").splitlines()
    tables = [line for line in lines if line.startswith("|")]
    heads = [place for place, line in enumerate(tables) if line.startswith("| ---")]
    assert len(heads) == 2
    for line in tables:
        assert line.count("|") in {tables[place].count("|") for place in heads}
    assert any(line.startswith("- fused / ReLU:") for line in lines)


def test_library_form_names_median_and_worst(capsys: pytest.CaptureFixture[str]) -> None:
    settings = command.Settings(shapes=((2, 8),), rounds=1, as_json=True)
    command.run_library(settings, chosen=("IF", "LIF", "ConductanceLIF"))
    rows = {row["neuron"]: row for row in json.loads(capsys.readouterr().out)["library"]}
    assert set(rows) == {"IF", "ConductanceLIF"}
    row = rows["ConductanceLIF"]
    per_byte = row["seconds"] / row["bytes"], row["base_seconds"] / row["base_bytes"]
    assert row["ratio"] == pytest.approx(per_byte[0] / per_byte[1])


def test_plot_is_a_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "ratios.png"
    bench(capsys, "LIF", "--shapes", "2x4,4x4", "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("neurodsl.tools.bench.figure.find_spec", lambda _: None)
    assert main(["bench", "--plot", "ratios.png"]) == 3
    assert "pip install matplotlib" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "no library neuron"),
        (["--shapes", "64y128"], "steps x neurons"),
        (["--shapes", "64x128,"], "steps x neurons"),
        (["--shapes", "0x5"], "steps x neurons"),
        (["--shapes", "4x99999999999999"], "GB"),
        (["--rounds", "0"], "whole number above 0"),
        (["--json", "--markdown"], "not allowed with"),
        (["--all", "LIF"], "takes no FILE"),
        (["--all", "--plot", "x.png"], "--plot goes with"),
        (["--plot", "no/such/folder/x.png"], "no such folder"),
        (["--plot", "x.foo"], "ends in .png, .pdf, .svg"),
        (["--plot", "x"], "ends in .png, .pdf, .svg"),
        (["--threads", "100000"], "more than 1024 threads"),
    ],
)
def test_wrong_command_lines(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: Any = main(["bench", *arguments])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("neuron", ["LIF", "GatedLIF", "LISNN", "ConductanceLIF"])
def test_fused_and_reference_compute_the_same(neuron: str) -> None:
    """Of neurons that want sizes, a module, or two inputs, too."""
    module = neurodsl.load(neuron)
    choice = Choice(peers=False)
    listed = contestants(module, neuron, choice=choice, steps=6, neurons=50, dtype=torch.float32)
    running = {one.name: one for one in listed}
    given = Given.of(len(getattr(module, neuron).definition.inputs), 6, 50, torch.float32, 2.0)
    ours = running["fused"].forward_backward(given)
    reference = running["reference"].forward_backward(given)
    torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(running["fused"].forward(given), running["reference"].forward(given))
    for yardstick in ("relu", "copy"):
        assert running[yardstick].forward(given).shape == given.upstream.shape


def test_no_output_outlives_its_call() -> None:
    """Outputs are fresh in each call: nobody hands out the last one again."""
    module = neurodsl.load("LIF")
    one, given = fused(module, "LIF", 4, 300), Given.of(1, 4, 300, torch.float32, 2.0)
    first, second = one.forward(given), one.forward(given)
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize("threshold_is_met_exactly", [False, True])
def test_split_form_is_lif(threshold_is_met_exactly: bool) -> None:
    """The rival computes the same spikes and gradients; here without its compiler, which takes half a minute."""
    module = neurodsl.load("LIF")
    given = Given.of(1, 12, 60, torch.float64, 2.0)
    if threshold_is_met_exactly:
        given.wanting[0].detach()[0] = 2.0
    ours = fused(module, "LIF", 12, 60)
    theirs = Contestant("split", lambda: None, split_form(lambda function, dynamic: function))
    assert torch.equal(ours.forward(given), theirs.forward(given))
    torch.testing.assert_close(
        ours.forward_backward(given), theirs.forward_backward(given), rtol=1e-12, atol=1e-14
    )
    assert saved_bytes(theirs, given) == (12 * 60 * 8, 12 * 60 * 8)


@pytest.mark.full
def test_compiled_split_form_is_lif() -> None:
    given = Given.of(1, 4, 64, torch.float32, 2.0)
    ours = fused(neurodsl.load("LIF"), "LIF", 4, 64)
    theirs = Contestant("split", lambda: None, split_form())
    assert torch.equal(ours.forward(given), theirs.forward(given))
    torch.testing.assert_close(ours.forward_backward(given), theirs.forward_backward(given))


def test_peer_computes_the_same() -> None:
    pytest.importorskip("spikingjelly")
    given = Given.of(1, 8, 40, torch.float64, 2.0)
    ours = fused(neurodsl.load("LIF"), "LIF", 8, 40)
    (theirs,) = spikingjelly("LIFNode", torch.float64)
    assert torch.equal(ours.forward(given), theirs.forward(given))
    torch.testing.assert_close(ours.forward_backward(given), theirs.forward_backward(given))


@pytest.mark.parametrize("neuron", ["LIF", "CLIF", "ConductanceLIF", "HodgkinHuxley"])
def test_launches_on_existing_memory_compute_the_same(neuron: str) -> None:
    """Of neurons with several states and inputs, and of those that save something, too."""
    module = neurodsl.load(neuron)
    kind = getattr(module, neuron)
    given = Given.of(len(kind.definition.inputs), 5, 131, torch.float32, 4.0)
    found = launched(module, neuron, given)
    assert found is not None
    one = fused(module, neuron, 5, 131)
    found.forward()
    found.backward()
    assert torch.equal(found.outputs[0], one.forward(given))
    expected = one.forward_backward(given)
    assert isinstance(expected, tuple)
    assert all(map(torch.equal, found.gradients, expected))


def test_what_is_no_single_launch_is_left_out() -> None:
    given = Given.of(1, 4, 10, torch.float32)
    assert launched(neurodsl.load("LISNN"), "LISNN", given) is None
    assert launched(neurodsl.load("GatedLIF"), "GatedLIF", given) is None
    half = Given.of(1, 4, 10, torch.bfloat16)
    assert launched(neurodsl.load("LIF"), "LIF", half) is None


def test_compiled_copy_copies() -> None:
    given = Given.of(1, 4, 130, torch.float32)
    found = launched(copy_module(), "Copy", given)
    assert found is not None
    found.forward()
    assert torch.equal(found.outputs[0], given.plain[0])


def test_counted_bytes_of_lif() -> None:
    """Forward reads x, writes s and the last v; backward reads x and the gradient and writes one."""
    manifest = neurodsl.load("LIF").__manifest__["neurons"]["LIF"]
    steps, neurons = 16, 100
    each = 4 * steps * neurons
    forward, training, backward = of_neuron(manifest, "float32", steps, neurons)
    assert (forward, training) == (2 * each + 4 * neurons, 2 * each + 4 * neurons)
    assert backward == 3 * each
    doubled = of_neuron(manifest, "float64", steps, neurons)
    assert doubled == (2 * forward, 2 * training, 2 * backward)


def test_counted_bytes_of_what_is_saved() -> None:
    """What `membrane` keeps is written once and read once."""
    lean, fat = (
        neurodsl.load("LIF", save=policy).__manifest__["neurons"]["LIF"]
        for policy in ("inputs", "membrane")
    )
    steps, neurons = 8, 50
    one = of_neuron(lean, "float32", steps, neurons)
    other = of_neuron(fat, "float32", steps, neurons)
    assert other[0] == one[0]
    assert other[1] - one[1] == 4 * steps * neurons


def test_extents_are_arithmetic() -> None:
    assert extent(["ceil(T / 4)", "N", 2], {"T": 9, "N": 5}) == 30
    assert extent([], {}) == 1


def test_limit_is_bytes_over_bandwidth_and_a_call() -> None:
    module = neurodsl.load("LIF")
    given = Given.of(1, 4, 100, torch.float32)

    def spread(seconds: float) -> Spread:
        return Spread(seconds, seconds, seconds, 1)

    empty = {FORWARD: spread(3e-6), BOTH: spread(9e-6), "copy": spread(1e-6)}
    copies = {"good": spread(5e-6), "bad": spread(8e-6)}
    beside = Beside(copies, {}, empty, bytes=3200)
    assert beside.best_copy == "good"
    assert beside.bandwidth == pytest.approx(3200 / 4e-6)
    forward, both = limits(module, "LIF", given, beside, 1e-5, 2e-5)
    assert forward.bytes == 3600
    assert forward.limit == pytest.approx(3600 / (3200 / 4e-6) + 3e-6)
    assert both.reached == pytest.approx(both.limit / 2e-5)
    assert forward.of_copy == pytest.approx(3600 / 1e-5 / (3200 / 5e-6))


def test_saved_bytes_of_known_functions() -> None:
    given = Given.of(1, 8, 16, torch.float32)
    bytes_of_x = 8 * 16 * 4

    def twice(x: Tensor) -> Tensor:
        kept = x.exp()
        return kept[:4] * kept[4:] * kept[:4]

    keeps_output = Contestant("exp", lambda: None, torch.exp)
    keeps_input = Contestant("sin", lambda: None, torch.sin)
    keeps_nothing = Contestant("neg", lambda: None, torch.neg)
    keeps_views = Contestant("views", lambda: None, twice)
    assert saved_bytes(keeps_output, given) == (bytes_of_x, bytes_of_x)
    assert saved_bytes(keeps_input, given) == (bytes_of_x, 0)
    assert saved_bytes(keeps_nothing, given) == (0, 0)
    # `kept` once, for all its views, and the first product
    assert saved_bytes(keeps_views, given) == (bytes_of_x * 3 // 2, bytes_of_x * 3 // 2)


def test_contestants_take_turns() -> None:
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    taking_turns(calls, rounds=3)
    assert "".join(order).replace("aa", "a").count("ba") >= 2
    order.clear()
    alone(calls, rounds=3)
    assert "".join(order).strip("a").strip("b") == ""


def test_slow_contestants_sit_out() -> None:
    calls = {"slow": lambda: None, "fast": lambda: None}
    found = taking_turns(calls, rounds=9, least=2, seconds_each=0)
    assert {name: spread.samples for name, spread in found.items()} == {"slow": 2, "fast": 2}


def test_spread_is_the_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(3.0, 2.0, 4.0, 5)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0, 1)


def test_scale_makes_neurons_fire() -> None:
    module = neurodsl.load("LIF")
    given = Given.of(1, 32, 400, torch.float32, firing_scale(module, "LIF"))
    assert 0.02 < fused(module, "LIF", 32, 400).forward(given).mean() < 0.5


def test_fresh_processes_measure_all_contestants() -> None:
    found = measure_fresh(
        "LIF",
        "LIF",
        ["fused", "relu"],
        steps=2,
        neurons=64,
        dtype="float32",
        threads=1,
        processes=1,
    )
    assert [one.contestant for one in found] == ["fused", "relu"]
    assert all(min(one.first, one.steady, one.forward) > 0 for one in found)


def test_markdown_of_a_table() -> None:
    table = Table("Title", ("", "figure"), (("row", "1"),), ("A note.",))
    assert table.as_markdown() == (
        "**Title**\n\n|  | figure |\n| --- | ---: |\n| row | 1 |\n\n- A note.\n"
    )


def test_compile_time_of_every_neuron_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "two.neuron"
    step = "    input x\n    state v = 0\n    output v\n    charge:\n        v = v + x\n"
    path.write_text(f"neuron A:\n{step}\nneuron class:\n{step}", encoding="utf-8")
    for source in ("LIF", path):
        found = compile_time(source)
        assert found is not None
        assert min(found.text, found.library) > 0
