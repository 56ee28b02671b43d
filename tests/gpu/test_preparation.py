"""The tests that need a GPU, as far as they go without one: their inputs, layouts, references and comparisons."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gpu import cases, ranks, scenarios, test_library_on_gpu, test_program_on_gpu
from gpu.cases import (
    DTYPES,
    LAYOUTS,
    NEURONS,
    STEPS,
    Case,
    Outcome,
    against,
    every_shape,
    inputs,
    is_exact,
    laid,
    make,
    outcome,
    problems,
    with_nonfinite,
)
from gpu.fake_cuda import FakeCuda

from neurodsl.library import names

CPU = torch.device("cpu")
REPOSITORY = Path(__file__).parents[2]


def reference(case: Case) -> Outcome:
    return outcome(make(case, "reference"), inputs(case), case, CPU)


@pytest.mark.parametrize("neuron", names())
def test_references_of_every_neuron(neuron: str) -> None:
    """A reference beside itself, with a rest of T and of N, and without any step; something fires."""
    for case in (Case(neuron, torch.float32, 9, 33), Case(neuron, torch.float16, 4, 33)):
        expected = reference(case)
        assert not problems(reference(case), expected, case)
        assert expected.input_gradients["gradient of input 0"].isfinite().all()
    empty = reference(Case(neuron, torch.float32, 0, 33))
    assert empty.outputs["output 0"].shape == (0, 1, 33)


def test_every_t_with_every_n() -> None:
    cases = list(every_shape("LIF", torch.float64))
    assert {(case.steps, case.neurons) for case in cases} == {
        (t, n) for t in STEPS for n in NEURONS
    }
    assert len(cases) == 35


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_what_they_say(layout: str) -> None:
    case = Case("LIF", torch.float32, 3, 64, layout)
    (x,) = inputs(case)
    there = laid(x, layout)
    assert torch.equal(there, x)
    aligned = there.data_ptr() % 16 == 0
    flat = there.is_contiguous()
    assert {
        "contiguous": flat and aligned,
        "sliced": not flat and not aligned,
        "shifted": flat and not aligned,
        "transposed": not flat and there.stride(0) == 1,
        "channels_last": there.flatten(0, 1).is_contiguous(memory_format=torch.channels_last),
        "strided": there.stride(-1) == 2,
    }[layout]
    assert not problems(
        outcome(make(case, "reference"), [x], case, CPU),
        outcome(make(case, "reference"), [x], replace(case, layout="contiguous"), CPU),
        case,
    )


def test_inputs_meet_thresholds_exactly() -> None:
    (x,) = inputs(Case("IF", torch.float32, 19, 641))
    assert (x == 1).any()
    assert (x == 0).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_that_are_no_numbers_are_among_them(dtype: torch.dtype) -> None:
    case = Case("LIF", dtype, 9, 641)
    (x,) = with_nonfinite(case)
    assert x.isnan().any()
    assert x.isinf().any()
    again = outcome(make(case, "reference"), [x], case, CPU)
    assert not problems(again, outcome(make(case, "reference"), [x], case, CPU), case)


def _spike(found: Outcome) -> None:
    found.outputs["output 0"][2, 0, 5] = 1 - found.outputs["output 0"][2, 0, 5]


def _all_spikes(found: Outcome) -> None:
    found.outputs["output 0"][:] = 1 - found.outputs["output 0"]


def _final(found: Outcome) -> None:
    found.finals["v"] += 0.1


def _gradient(found: Outcome) -> None:
    place = found.input_gradients["gradient of input 0"].abs().argmax()
    found.input_gradients["gradient of input 0"].view(-1)[place] *= 1.5


def _nan(found: Outcome) -> None:
    found.input_gradients["gradient of input 0"][0, 0, 0] = torch.nan


def _param(found: Outcome) -> None:
    found.param_gradients["gradient of w"] *= 1.1


def _shape(found: Outcome) -> None:
    found.outputs["output 0"] = found.outputs["output 0"][:, :, :-1]


def _dtype(found: Outcome) -> None:
    found.outputs["output 0"] = found.outputs["output 0"].double()


@pytest.mark.parametrize(
    "spoil", [_spike, _all_spikes, _final, _gradient, _nan, _param, _shape, _dtype]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_wrong_is_found(spoil: Callable[[Outcome], None], dtype: torch.dtype) -> None:
    case = Case("PLIF", dtype, 6, 258)
    found = reference(case)
    spoil(found)
    assert problems(found, reference(case), case)


def test_a_neuron_with_exp_may_flip_a_spike_but_not_many() -> None:
    case = Case("EIF", torch.float32, 9, 641)
    assert not is_exact("EIF")
    one, many = reference(case), reference(case)
    _spike(one)
    _all_spikes(many)
    assert not problems(one, reference(case), case)
    assert problems(many, reference(case), case)


@pytest.mark.parametrize("neuron", ["LIF", "PLIF"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_fused_on_the_cpu_in_place_of_the_gpu(neuron: str, dtype: torch.dtype) -> None:
    """The same comparison with the reference as the base: kernels that are not the reference's code."""
    found: list[str] = []
    for case in every_shape(neuron, dtype):
        if case.neurons in (1, 258):
            found += against(case, CPU, base="reference")
    for layout in LAYOUTS:
        found += against(Case(neuron, dtype, 6, 64, layout), CPU, base="reference")
    assert not found, "\n".join(found)


@pytest.mark.full
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("neuron", names())
def test_all_of_the_library_in_place_of_the_gpu(neuron: str, dtype: torch.dtype) -> None:
    found = [s for case in every_shape(neuron, dtype) for s in against(case, CPU, base="reference")]
    assert not found, "\n".join(found)


def test_scenarios_without_streams_and_graphs() -> None:
    case = Case("PLIF", torch.float32, 6, 258)
    said = scenarios.other_stream(case, CPU)
    said += scenarios.captured(case, CPU)
    said += scenarios.threaded([case, Case("LIF"), Case("LIF")], CPU, rounds=2)
    said += scenarios.on_another_device(case, CPU)
    said += scenarios.repeated(case, CPU, times=2)
    assert not said
    plain, packed = scenarios.kept(CPU)
    assert sum(packed) < sum(plain)


def test_streams_and_graphs_on_a_recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its replays do nothing, and that is found; its streams are entered after they have waited."""
    cuda = FakeCuda()
    monkeypatch.setattr(scenarios, "cuda", cuda)
    monkeypatch.setattr(scenarios, "has_streams", lambda _: True)
    case = Case("PLIF", torch.float32, 6, 258)
    assert not scenarios.other_stream(case, CPU)
    assert cuda.words() == ["wait_stream", "enter stream", "leave stream", "synchronize"]
    said = scenarios.captured(case, CPU)
    assert any("of a replay on input 3 differs" in one for one in said)
    assert cuda.words().count("replay") == 3
    assert cuda.words().index("begin capture") < cuda.words().index("replay")


def test_bodies_of_the_tests_with_the_cpu_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they call is there and takes what it is given."""
    for module in (test_library_on_gpu, test_program_on_gpu):
        monkeypatch.setattr(module, "CUDA", CPU)
    on_gpu, program = test_library_on_gpu, test_program_on_gpu
    monkeypatch.setattr(cases, "STEPS", (0, 4))
    monkeypatch.setattr(cases, "NEURONS", (1, 33))
    for dtype in DTYPES:
        on_gpu.test_every_shape("LIF", dtype)
        on_gpu.test_every_layout("LIF", "sliced", dtype)
        on_gpu.test_detached_resets("LIF", dtype)
        on_gpu.test_numbers_that_are_no_numbers("LIF", dtype)
        program.test_captured_graph_of_forward_and_backward("LIF", 4, dtype)
        program.test_gradients_have_the_same_bits_each_time("LIF", dtype)
        program.test_states_are_carried_and_recorded("PLIF", dtype)
        program.test_spikes_in_bytes_and_bits(33, dtype)
    program.test_sums_by_atomic_additions("PLIF")
    program.test_stream_beside_the_default_one("LIF", torch.float32)
    program.test_as_much_is_kept_for_backward_as_on_the_cpu()
    program.test_autocast(torch.bfloat16)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_without_an_inductor() -> None:
    assert not scenarios.compiled(Case("PLIF", torch.float32, 6, 33), CPU, "aot_eager")


def test_autocast_on_the_cpu() -> None:
    assert not scenarios.under_autocast(CPU, torch.bfloat16)


def test_many_elements_in_small() -> None:
    assert not scenarios.beyond_two_to_the_31(CPU, 3, 1000)


def test_two_ranks_with_gloo() -> None:
    assert ranks.many_processes("cpu", 2) == pytest.approx(ranks.one_process(CPU), rel=1e-9)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("selection", "others_run"),
    [
        (["-m", "gpu"], False),
        (["-m", "gpu or not gpu", "-k", "first_light or every_t_with"], True),
    ],
)
def test_without_a_gpu_they_fail_and_say_why(selection: list[str], others_run: bool) -> None:
    """All that was asked for needs one: one sentence. Some: those fail, the others run."""
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *selection], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "no CUDA device: tests marked gpu need one" in said
    assert "skipped" not in said
    assert ("1 passed" in said) == others_run
    if others_run:
        assert "14 failed" in said
