"""What programs do with layers on a GPU: streams, graphs, threads, devices, compilers, ranks, and very many neurons."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gpu import ranks, scenarios
from gpu.cases import Case

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CUDA = torch.device("cuda", 0)
NEURONS = ("LIF", "SoftLIF", "PLIF", "Izhikevich", "ConductanceLIF")
TWO_BYTES = (torch.float16, torch.bfloat16)


@pytest.fixture(autouse=True)
def own_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Products in full float32: no TF32 in what the neurons are compared with."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("neuron", NEURONS)
def test_stream_beside_the_default_one(neuron: str, dtype: torch.dtype) -> None:
    assert not scenarios.other_stream(Case(neuron, dtype, 9, 4096), CUDA)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *TWO_BYTES])
@pytest.mark.parametrize("steps", [4, 19])
@pytest.mark.parametrize("neuron", NEURONS)
def test_captured_graph_of_forward_and_backward(
    neuron: str, steps: int, dtype: torch.dtype
) -> None:
    assert not scenarios.captured(Case(neuron, dtype, steps, 4096), CUDA)
    assert not scenarios.captured(Case(neuron, dtype, steps, 641, "shifted"), CUDA)


def test_threads_with_streams_of_their_own() -> None:
    cases = [Case(name, torch.float32, 9, 641) for name in ("LIF", "LIF", "PLIF", "Izhikevich")]
    assert not scenarios.threaded(cases, CUDA)


@pytest.mark.parametrize("neuron", NEURONS)
def test_device_that_is_not_the_current_one(neuron: str) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one CUDA device only: nothing is shown about a second")
    torch.cuda.set_device(0)
    assert not scenarios.on_another_device(Case(neuron), torch.device("cuda", 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *TWO_BYTES])
@pytest.mark.parametrize("neuron", ["LIF", "PLIF", "KLIF", "GatedLIF"])
def test_gradients_have_the_same_bits_each_time(neuron: str, dtype: torch.dtype) -> None:
    assert not scenarios.repeated(Case(neuron, dtype, 9, 300_007), CUDA)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *TWO_BYTES])
@pytest.mark.parametrize("neuron", ["LIF", "PLIF", "SoftLIF"])
def test_states_are_carried_and_recorded(neuron: str, dtype: torch.dtype) -> None:
    for neurons in (33, 4096):
        assert not scenarios.carried(Case(neuron, dtype, 19, neurons), CUDA)


@pytest.mark.parametrize("dtype", [torch.float32, *TWO_BYTES])
@pytest.mark.parametrize("neurons", [1, 33, 641, 4096])
def test_spikes_in_bytes_and_bits(neurons: int, dtype: torch.dtype) -> None:
    assert not scenarios.narrow(Case("LIF", dtype, 9, neurons), CUDA)


@pytest.mark.parametrize("neuron", ["PLIF", "KLIF"])
def test_sums_by_atomic_additions(neuron: str) -> None:
    assert not scenarios.added_atomically(Case(neuron, torch.float32, 9, 100_003), CUDA)


@pytest.mark.parametrize("neuron", ["LIF", "SoftLIF", "PLIF"])
def test_torch_compile_without_a_graph_break(neuron: str) -> None:
    assert not scenarios.compiled(Case(neuron, torch.float32, 6, 641), CUDA, "inductor")


@pytest.mark.parametrize("dtype", TWO_BYTES)
def test_autocast(dtype: torch.dtype) -> None:
    assert not scenarios.under_autocast(CUDA, dtype)


def test_data_parallel_over_all_devices() -> None:
    """One rank a device, NCCL between them: the losses of one process with the whole batch."""
    world = torch.cuda.device_count()
    while ranks.BATCH % world:
        world -= 1
    found = ranks.many_processes("cuda", world)
    assert found == pytest.approx(ranks.one_process(CUDA), rel=1e-9)


def test_as_much_is_kept_for_backward_as_on_the_cpu() -> None:
    assert scenarios.kept(CUDA) == scenarios.kept(torch.device("cpu"))


@pytest.mark.large
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_more_elements_than_32_bits_count(dtype: torch.dtype) -> None:
    free, _ = torch.cuda.mem_get_info()
    neurons = (2**31 + 2**20) // 3 + 5
    wanted = 6 * 4 * 3 * neurons
    if free < wanted:
        pytest.skip(
            f"{wanted / 1e9:.0f} GB are needed, {free / 1e9:.0f} are free: nothing is shown"
        )
    assert not scenarios.beyond_two_to_the_31(CUDA, 3, neurons, dtype)
