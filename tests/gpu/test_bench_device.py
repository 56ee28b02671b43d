"""`neurodsl bench --device cuda` without a GPU: its whole way on stand-ins, and the order of what it asks of CUDA."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu.fake_cuda import FakeCuda
from torch import Tensor

import neurodsl
from neurodsl.build.errors import ToolchainError
from neurodsl.cli import main
from neurodsl.tools.bench import cuda_device as cuda_module
from neurodsl.tools.bench import device_command, device_measure, spikingjelly_cuda
from neurodsl.tools.bench.contestants import COPY, FUSED, RELU, Choice, Contestant
from neurodsl.tools.bench.cuda_device import CudaDevice, cuda_device
from neurodsl.tools.bench.device import CaptureError, CpuDevice, Device, seconds_of
from neurodsl.tools.bench.device_contestants import those_that_run
from neurodsl.tools.bench.device_measure import measure_on
from neurodsl.tools.bench.device_report import bandwidth_table, times_table
from neurodsl.tools.bench.device_traffic import traffic_of
from neurodsl.tools.bench.inputs import Given
from neurodsl.tools.bench.rotation import Rotation, bytes_of, how_many, sets_on
from neurodsl.tools.bench.timing import taking_turns

CPU = torch.device("cpu")
QUICK = ["--device", "cuda", "--rounds", "1", "--no-peers"]


def fake_device(cuda: FakeCuda) -> CudaDevice:
    return CudaDevice(CPU, cuda)


@pytest.fixture(params=["cpu", "recorder"])
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The command's device: once the CPU itself, once the CUDA one over the recorder."""
    made: Device = CpuDevice() if request.param == "cpu" else fake_device(FakeCuda())
    monkeypatch.setattr(device_command, "open_device", lambda _: made)
    monkeypatch.setattr(device_measure, "TURN_SECONDS", 1e-5)
    return made


def test_without_a_gpu_it_says_so_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["bench", "--device", "cuda"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: no CUDA device: ")
    assert "to mend it: " in said.err
    assert len(said.err.strip().splitlines()) == 2


@pytest.mark.parametrize(
    ("built", "tool", "words"),
    [
        (None, None, ("built without CUDA", "CUDA build of torch")),
        ("13.0", None, ("nvidia-smi is not here", "driver")),
        ("13.0", "/usr/bin/nvidia-smi", ("although nvidia-smi is here", "torch.cuda.init()")),
    ],
)
def test_why_there_is_no_gpu(
    built: str | None, tool: str | None, words: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(cuda_module.shutil, "which", lambda _: tool)
    with pytest.raises(ToolchainError) as raised:
        cuda_device("cuda", FakeCuda(devices=0))
    assert words[0] in raised.value.message
    assert words[1] in raised.value.remedy


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolchainError, match="no cuda:2, only cuda:0 to cuda:1"):
        cuda_device("cuda:2", FakeCuda(devices=2))
    cuda = FakeCuda(devices=2)
    assert cuda_device("cuda:1", cuda).torch_device == torch.device("cuda", 1)
    assert cuda.log == [("set_device", 1)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "rocm"], "write cpu, cuda or cuda:1"),
        (["--device", "cuda", "--all"], "goes with neither"),
        (["--device", "cuda", "--fresh"], "goes with neither"),
        (["--dtype", "float32,float16"], "with --device cuda only"),
        (["--dtype", "float8"], "is none of"),
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


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_json_has_both_ways_of_launching(
    dtype: str, stand_in: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *QUICK, "--shapes", "4x64", "--json", "--dtype", dtype]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"gpu", "l2_bytes", "clocks"} <= found["machine"].keys()
    rows = {row["contestant"]: row for row in found["rows"]}
    assert set(rows) == {"fused", "reference", "relu", "copy"}
    for row in rows.values():
        assert row["dtype"] == dtype
        assert min(row["forward"], row["forward_graph"], row["forward_backward_graph"]) > 0
        assert row["share_of_copy_forward"] > 0
    assert rows["fused"]["forward_graph_times_fused"] == 1
    assert rows["reference"]["equal"] == 1
    assert rows["copy"]["equal"] is None
    (shape,) = found["shapes"]
    assert shape["bytes"]["copy"] == 2 * 4 * 64 * getattr(torch, dtype).itemsize
    assert shape["sets"] > 1


def test_tables_and_picture(
    stand_in: Device, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "shares.png"
    command = ["bench", *QUICK, "--shapes", "2x8,4x8", "--markdown", "--plot", str(picture)]
    assert main([*command, "--dtype", "float32,float64"]) == 0
    printed = capsys.readouterr().out
    for dtype in ("float32", "float64"):
        assert f"LIF, 2 steps x 8 neurons, {dtype}" in printed
    assert printed.count("| fused |") == 2 * 2 * 2
    assert "sets of buffers in turn" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_shape_too_large_for_the_device_is_left_out(
    stand_in: Device, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_command, "MOST_BYTES", 1 << 24)
    assert main(["bench", *QUICK, "--shapes", "2x8,8x64"]) == 0
    printed = capsys.readouterr().out
    assert "8 x 64 is left out" in printed
    assert "LIF, 8 steps x 64 neurons" not in printed
    assert "LIF, 2 steps x 8 neurons" in printed


def test_all_are_warm_before_anything_is_timed_and_rounds_interleave() -> None:
    cuda = FakeCuda()
    device = fake_device(cuda)
    calls = {name: lambda name=name: cuda.note("call", name) for name in "ab"}
    taking_turns(
        calls, 3, clock=lambda call, repeats: seconds_of(device, call, repeats), turn_seconds=0
    )
    order = [detail for word, detail in cuda.log if word == "call"]
    assert order[:8] == ["a"] * 4 + ["b"] * 4
    assert order[8:] == ["a", "b"] * 3


def test_a_sample_is_between_two_events_in_an_empty_queue() -> None:
    cuda = FakeCuda()
    seconds = seconds_of(fake_device(cuda), lambda: cuda.note("call"), 3)
    assert cuda.words() == ["synchronize", "record", *["call"] * 3, "record", "wait for event"]
    assert seconds == pytest.approx(1e-3 / 3)


def test_a_graph_is_captured_on_a_warm_stream_beside_the_current_one() -> None:
    cuda = FakeCuda()
    replay = fake_device(cuda).graph(lambda: cuda.note("call"))
    assert cuda.log == [
        ("wait_stream", ("side", "default")),
        ("enter stream", "side"),
        *[("call", None)] * cuda_module.WARM_UP_CALLS,
        ("leave stream", "side"),
        ("wait_stream", ("default", "side")),
        ("synchronize", None),
        ("begin capture", "side"),
        ("call", None),
        ("end capture", None),
    ]
    replay()
    assert cuda.words()[-1] == "replay"


def test_what_cannot_be_captured_is_said_and_the_rest_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fake_device(FakeCuda(refuses_capture=True))
    with pytest.raises(CaptureError, match=r"^operation not permitted when stream is capturing$"):
        made.graph(lambda: None)
    monkeypatch.setattr(device_command, "open_device", lambda _: made)
    assert main(["bench", *QUICK, "--shapes", "2x8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(row["forward_graph"] is None for row in found["rows"])
    notes = found["shapes"][0]["notes"]
    assert "fused, forward: no graph (operation not permitted when stream is capturing)" in notes


def test_peak_memory_is_of_one_call() -> None:
    cuda = FakeCuda()
    peak = fake_device(cuda).peak_bytes(lambda: cuda.note("call"))
    assert peak == 4196 - 100
    assert cuda.words() == ["call", "synchronize", "reset_peak", "call", "synchronize"]


def test_sets_leave_the_cache_behind() -> None:
    assert how_many(1000, 50_000, 10**9) == 100
    assert how_many(1, 50_000_000, 10**9) == 256
    assert how_many(10**9, 50_000_000, 10**12) == 2
    assert how_many(10**9, 50_000_000, 10**9) == 1
    given = Given.of(1, 4, 64, torch.float32)
    sets = sets_on(CpuDevice(), given)
    assert bytes_of(given) == 2 * 4 * 64 * 4
    assert sets.beyond_cache == (sets.bytes > CpuDevice().cache_bytes())
    addresses = {one.plain[0].data_ptr() for one in sets.given}
    assert len(addresses) == len(sets.given)
    assert all(torch.equal(one.upstream, given.upstream) for one in sets.given)


def test_buffers_rotate_and_results_live_for_a_round() -> None:
    sets = sets_on(fake_device(FakeCuda(l2=3000)), Given.of(1, 4, 64, torch.float32))
    assert len(sets.given) == 3
    seen: list[int] = []

    def one(given: Given) -> Tensor:
        seen.append([g.plain[0].data_ptr() for g in sets.given].index(given.plain[0].data_ptr()))
        return given.plain[0].clone()

    turn = Rotation(one, sets)
    for _ in range(7):
        turn()
    assert seen == [0, 1, 2, 0, 1, 2, 0]
    addresses: list[int] = []
    held = Rotation(lambda given: addresses.append((made := one(given)).data_ptr()) or made, sets)
    held.round()
    assert len(set(addresses)) == 3
    seen.clear()
    turn.round()
    assert seen == [0, 1, 2]
    seen.clear()
    Rotation(one, sets, most=2).round()
    assert seen == [0, 1]


def test_a_contestant_that_fails_is_left_out_but_not_ours() -> None:
    given = Given.of(1, 2, 8, torch.float32)

    def fails(x: Tensor) -> Tensor:
        raise RuntimeError("not implemented for Half\nsomewhere")

    notes: list[str] = []
    assert those_that_run([Contestant("rival", lambda: None, fails)], given, notes.append) == []
    assert notes == ["rival is left out: not implemented for Half"]
    with pytest.raises(RuntimeError):
        those_that_run([Contestant(FUSED, lambda: None, fails)], given, notes.append)


def test_shares_are_bytes_over_time_over_the_copy() -> None:
    module = neurodsl.load("LIF")
    choice = Choice(peers=False)
    (result,) = measure_on(CpuDevice(), module, "LIF", shapes=((4, 100),), rounds=2, choice=choice)
    copy, relu, fused = result.row(COPY), result.row(RELU), result.fused
    assert result.share(copy, "forward") == pytest.approx(1)
    assert result.bandwidth == pytest.approx(3200 / copy.best("forward"))
    assert 3200 < result.traffic.forward <= 4000
    expected = result.traffic.forward / fused.best("forward") / result.bandwidth
    assert result.share(fused, "forward") == pytest.approx(expected)
    assert result.traffic.of(RELU, "forward_backward") == 8000
    assert relu.equal is None
    assert times_table(result).columns[2] == "in a graph"
    assert f"{result.share(fused, 'forward'):.2f}" in bandwidth_table(result).rows[0]


def test_a_graph_s_time_is_divided_by_its_calls() -> None:
    """Between two events of the recorder there is one tick: a call in a graph takes its part of it."""
    module, choice = neurodsl.load("LIF"), Choice(peers=False, reference=False)
    device = fake_device(FakeCuda())
    (result,) = measure_on(device, module, "LIF", shapes=((4, 64),), rounds=2, choice=choice)
    fused = result.fused
    assert fused.sets == result.sets == 64
    assert fused.forward_graph is not None
    assert fused.forward_graph.median == pytest.approx(fused.forward.median / 64)


def test_two_byte_numbers_count_as_such() -> None:
    manifest = neurodsl.load("LIF").__manifest__["neurons"]["LIF"]
    full, half = (traffic_of(manifest, d, 16, 128) for d in (torch.float32, torch.float16))
    assert full.copy == 2 * half.copy == 2 * 16 * 128 * 4
    each = 16 * 128 * 2  # what is [T, N] is half as large; states and checkpoints are not
    assert full.forward - half.forward == 2 * each
    assert full.forward_backward - half.forward_backward == 5 * each


@pytest.mark.parametrize("neuron", ["LIF", "IF", "PLIF"])
def test_spikingjelly_s_choice_is_where_we_set_it(
    neuron: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the installed package, with a capability in place of a device: PyTorch's is there, the others say why not."""
    pytest.importorskip("spikingjelly")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _=None: (9, 0))
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _=None: "Recorder 1")
    monkeypatch.setattr(spikingjelly_cuda, "_node", _node_on_the_cpu)
    notes: list[str] = []
    found = spikingjelly_cuda.on_cuda(neuron, torch.device("cuda", 0), torch.float32, notes.append)
    names = [one.name for one in found]
    assert "SpikingJelly PyTorch" in names, notes
    missing = {"SpikingJelly native", "SpikingJelly Triton"} - set(names)
    assert {note.partition(" is left out")[0] for note in notes} == missing
    given = Given.of(1, 4, 16, torch.float32, 2.0)
    assert found[-1].forward(given).shape == given.upstream.shape


def test_each_start_puts_its_implementation_in_place() -> None:
    class Selection:
        _requested = "auto"

        def __init__(self) -> None:
            self._selections: dict[int, str] = {}

        def _select(self, index: int) -> str:
            if self._requested == "cuda":
                raise RuntimeError("Native operators were not built")
            return f"{self._requested} on {index}"

    selection, ran = Selection(), []

    class Node:
        def reset(self) -> None:
            pass

        def __call__(self, x: Tensor) -> Tensor:
            ran.append(selection._selections[1])
            return x

    with pytest.raises(RuntimeError):
        spikingjelly_cuda.select(selection, "cuda", 1)
    assert selection._requested == "auto"
    given = Given.of(1, 2, 4, torch.float32)
    for word in ("triton", "torch", "triton"):
        chosen = spikingjelly_cuda.select(selection, word, 1)
        one = spikingjelly_cuda.of_choice(word, Node(), selection, 1, chosen)
        one.forward(given)
    assert ran == ["triton on 1", "torch on 1", "triton on 1"]


def _node_on_the_cpu(neuron: str, device: torch.device, dtype: torch.dtype) -> Any:
    from spikingjelly.activation_based import neuron as theirs

    return getattr(theirs, spikingjelly_cuda.PEERS[neuron])(step_mode="m").to(dtype)
