"""What reaches the driver: streams, devices, captures, null pointers, grids, large sizes, threads."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from fake_cuda.conftest import Generate
from fake_cuda.faked import FakeCuda, Pretence, on_gpu, plain
from numerics.launching import cuda_kernels

import neurodsl
from neurodsl.runtime.cuda import CudaError, CudaKernel, cuda_library
from neurodsl.runtime.cuda.context import context
from neurodsl.runtime.cuda.packing import Packing
from neurodsl.runtime.cuda.reductions import _Choice, atomic_gradients
from neurodsl.runtime.manifest import Manifest

Load = Callable[..., Any]


def train(node: Any, x: torch.Tensor) -> torch.Tensor:
    """Forward and backward; the output."""
    output = node(x.requires_grad_())
    plain(output).sum().backward()
    return plain(output)


def arguments_of(call: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """The values of a launch, by name."""
    for entry in cuda_kernels(manifest):
        if entry["symbol"] == call["kernel"]:
            names = [argument["name"] for argument in entry["arguments"]]
            return dict(zip(names, call["arguments"], strict=True))
    raise AssertionError(call["kernel"])


def test_the_stream_is_the_current_one(loaded: Load, fake: FakeCuda) -> None:
    node = loaded("LIF").LIF(backend="fused", learnable=("tau",))
    train(node, on_gpu(torch.rand(4, 9)))
    node.reset()
    with fake.stream(0x77):
        train(node, on_gpu(torch.rand(4, 9)))
    streams = [call["stream"] for call in fake.calls("cuLaunchKernel")]
    assert streams == [0x5000] * 3 + [0x77] * 3


def test_each_device_has_its_own_module_and_context(
    install: Callable[..., FakeCuda], generate: Generate
) -> None:
    fake = install(devices=2)
    generated = generate("LIF")
    fatbin = generated.folder / "lif.fatbin"
    fatbin.write_bytes(fake.image(generated.shim))
    node = generated.module().LIF(backend="fused", learnable=("tau",))
    outputs = []
    for ordinal in (1, 0, 1, 0):
        node.reset()
        torch.manual_seed(3)
        outputs.append(train(node, on_gpu(torch.rand(4, 9), ordinal)))
    assert all(torch.equal(output, outputs[0]) for output in outputs)
    launches = fake.calls("cuLaunchKernel")
    assert [call["device"] for call in launches] == [1] * 3 + [0] * 3 + [1] * 3 + [0] * 3
    assert [call["stream"] - 0x5000 for call in launches] == [call["device"] for call in launches]
    assert [call["device"] for call in fake.calls("cuModuleLoadDataEx")] == [1, 0]
    assert [call["device"] for call in fake.calls("cuDevicePrimaryCtxRetain")] == [1, 0]


def test_the_context_of_the_thread_is_left_as_it_was(
    install: Callable[..., FakeCuda], generate: Generate
) -> None:
    fake = install(devices=2)
    generated = generate("LIF")
    (generated.folder / "lif.fatbin").write_bytes(fake.image(generated.shim))
    node = generated.module().LIF(backend="fused")
    node(on_gpu(torch.rand(4, 9), 1))
    before, after = ctypes.c_void_p(), ctypes.c_void_p()
    fake.library.cuDevicePrimaryCtxRetain(ctypes.byref(before), 0)
    fake.library.cuCtxPushCurrent_v2(before)
    node.reset()
    node(on_gpu(torch.rand(4, 9), 1))
    fake.library.cuCtxGetCurrent(ctypes.byref(after))
    assert after.value == before.value
    fake.clear()
    node.reset()
    node(on_gpu(torch.rand(4, 9), 0))  # its context is the current one
    assert fake.calls("cuCtxPushCurrent_v2") == []


def test_a_warm_module_makes_launches_alone_under_capture(
    loaded: Load, fake: FakeCuda, pretence: Pretence
) -> None:
    node = loaded("LIF").LIF(backend="fused", learnable=("tau",))
    train(node, on_gpu(torch.rand(20, 9)))
    node.reset()
    fake.clear()
    pretence.allocations.clear()
    with fake.capture():
        train(node, on_gpu(torch.rand(20, 9)))
    kinds = {call["call"] for call in fake.calls()}
    assert kinds == {"cuLaunchKernel", "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2"}
    assert len(fake.kernels()) == 3
    assert [device for _, device in pretence.allocations] == [torch.device("cuda", 0)]


def test_a_first_call_under_capture(loaded: Load, fake: FakeCuda) -> None:
    module = loaded("LIF")
    fake.library.fake_cuda_load_under_capture(0)  # as drivers before CUDA 12.3
    with fake.capture(), pytest.raises(CudaError) as caught:
        module.LIF(backend="fused")(on_gpu(torch.rand(4, 9)))
    for words in (
        "lif.fatbin was not loaded",
        "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900): operation not permitted when stream is capturing",
        "run the module once before the capture begins",
    ):
        assert words in str(caught.value)
    fake.library.fake_cuda_load_under_capture(1)
    with fake.capture():
        module.LIF(backend="fused")(on_gpu(torch.rand(4, 9)))
    assert fake.kernels() == ["lif_forward_f32"]


def test_what_is_not_there_is_null(loaded: Load, fake: FakeCuda) -> None:
    module = loaded("LIF")
    manifest = module.__manifest__
    node = module.LIF(tau=2.5, backend="fused")
    x = on_gpu(torch.rand(4, 9)).requires_grad_()
    loss = plain(node(x)).sum()
    loss.backward()
    forward, backward = (arguments_of(c, manifest) for c in fake.calls("cuLaunchKernel"))
    assert forward["rec_v"] == forward["tau_tensor"] == 0
    assert (forward["tau"], forward["T"], forward["N"]) == (2.5, 4, 9)
    assert forward["x"] == x.data_ptr()
    assert backward["grad_s"] != 0
    absent = ("grad_v_T", "grad_rec_v", "grad_v_0", "grad_tau", "partials")
    assert [backward[name] for name in absent] == [0] * len(absent)
    fake.clear()
    node = module.LIF(backend="fused", learnable=("tau",))
    node(on_gpu(torch.rand(4, 9)))
    plain(node.v).sum().backward()
    forward, backward, reduce = (arguments_of(c, manifest) for c in fake.calls("cuLaunchKernel"))
    assert forward["tau_tensor"] == node.tau.data_ptr()
    assert (backward["grad_s"], backward["grad_x"]) == (0, 0)
    assert 0 not in (backward["grad_v_T"], backward["grad_tau"], backward["partials"])
    assert reduce["partials"] == backward["partials"]
    assert reduce["grad_tau"] == backward["grad_tau"]


@pytest.fixture
def kernels(
    loaded: Load, fake: FakeCuda, pretence: Pretence
) -> Callable[[str], tuple[CudaKernel, dict[str, Any]]]:
    """A pass of LIF in float32 that is recorded and not run, and its entry in the manifest."""
    fake.library.fake_cuda_run_kernels(0)
    pretence.largest = 10**6
    manifest: Manifest = loaded("LIF").__manifest__

    def made(which: str) -> tuple[CudaKernel, dict[str, Any]]:
        entries = [
            entry
            for entry in manifest["neurons"]["LIF"]["kernels"]
            if (entry["target"], entry["dtype"]) == ("cuda", "float32")
        ]
        chosen = [entry for entry in entries if entry["pass"] == which]
        reduces = [e for e in entries if e["pass"] == "reduce"] if which == "backward" else []
        return cuda_library(manifest, torch.device("cuda", 0)).kernel(chosen, reduces), chosen[0]

    return made


def values_for(entry: dict[str, Any], steps: int, neurons: int) -> list[Any]:
    """Addresses that nobody reads, and the sizes."""
    sizes = {"steps": steps, "neurons": neurons, "workspace": 0}
    return [
        sizes.get(a["role"], 4096 if a["type"].endswith("*") else 1) for a in entry["arguments"]
    ]


def test_more_neurons_than_32_bits_count(
    kernels: Any, fake: FakeCuda, pretence: Pretence, loaded: Load
) -> None:
    neurons = 2**33 + 12
    for which in ("forward", "backward"):
        fake.clear()
        kernel, entry = kernels(which)
        kernel(values_for(entry, 3, neurons))
        launched = fake.calls("cuLaunchKernel")
        given = dict(
            zip([a["name"] for a in entry["arguments"]], launched[0]["arguments"], strict=True)
        )
        assert (given["T"], given["N"]) == (3, neurons)
        if which == "forward":
            each = entry["block"] * entry["elements_per_thread"]
            assert launched[0]["grid"] == -(-neurons // each)
        else:
            (shape, _) = pretence.allocations[-1]
            assert shape[1] == launched[0]["grid"]
            assert launched[1]["arguments"][-1] == neurons


def test_a_grid_has_a_limit(kernels: Any, fake: FakeCuda) -> None:
    kernel, entry = kernels("forward")
    each = entry["block"] * entry["elements_per_thread"]
    kernel(values_for(entry, 1, (2**31 - 1) * each))
    assert fake.calls("cuLaunchKernel")[-1]["grid"] == 2**31 - 1
    with pytest.raises(CudaError, match="at most 2147483647\n  to mend it: split the batch"):
        kernel(values_for(entry, 1, (2**31 - 1) * each + 1))
    assert len(fake.kernels()) == 1


def test_no_neurons_launch_nothing(kernels: Any, fake: FakeCuda, pretence: Pretence) -> None:
    for which in ("forward", "backward"):
        kernel, entry = kernels(which)
        kernel(values_for(entry, 5, 0))
    assert fake.kernels() == []
    assert pretence.allocations == []


def test_many_threads_load_a_module_once(loaded: Load, fake: FakeCuda) -> None:
    module = loaded("LIF")
    torch.manual_seed(0)
    x = torch.rand(6, 40)
    expected = module.LIF()(x)
    start = threading.Barrier(8)
    outputs: list[Any] = [None] * 8

    def work(place: int) -> None:
        node = module.LIF(backend="fused", learnable=("tau",))
        start.wait()
        outputs[place] = train(node, on_gpu(x.clone()))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(output, expected) for output in outputs)
    assert len(fake.calls("cuModuleLoadDataEx")) == 1
    assert len(fake.calls("cuInit")) == 1
    assert len({call["thread"] for call in fake.calls("cuLaunchKernel")}) == 8


@pytest.mark.parametrize("how", ["function", "environment"])
def test_atomic_gradients(
    how: str, loaded: Load, fake: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = loaded("LIF").LIF(backend="fused", learnable=("tau", "v_threshold"))
    x = torch.rand(9, 300)
    train(node, on_gpu(x))
    expected = [parameter.grad.clone() for parameter in node.parameters()]
    assert fake.kernels()[1:] == ["lif_backward_f32", "lif_reduce_f32"]
    monkeypatch.setattr(_Choice, "atomic", None)
    if how == "function":
        neurodsl.use_atomic_gradients()
    else:
        monkeypatch.setenv("NEURODSL_ATOMIC_GRADIENTS", "1")
    try:
        for deterministic in (False, True):
            torch.use_deterministic_algorithms(deterministic)
            node.reset()
            node.zero_grad()
            fake.clear()
            train(node, on_gpu(x))
            assert ("lif_reduce_f32" in fake.kernels()) is deterministic
            for parameter, gradient in zip(node.parameters(), expected, strict=True):
                torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-6)
    finally:
        torch.use_deterministic_algorithms(False)
        assert atomic_gradients()


def test_an_image_is_loaded_once_whoever_asks(fake: FakeCuda) -> None:
    image = fake.image(None)
    device = context(0)
    assert device.module(image) is device.module(bytes(bytearray(image)))
    assert len(fake.calls("cuModuleLoadDataEx")) == 1


def test_each_thread_has_its_own_arguments() -> None:
    packing = Packing(["int64_t"])
    own, others = packing.addresses([1]), []
    thread = threading.Thread(target=lambda: others.append(packing.addresses([2])[0]))
    thread.start()
    thread.join()
    assert others[0] != own[0]
    assert ctypes.c_int64.from_address(own[0]).value == 1


class Recorder:
    """A library of kernels that are recorded."""

    device = torch.device("cuda", 0)

    def __init__(self) -> None:
        self.symbols: list[str] = []
        self.launched: list[str] = []

    def function(self, symbol: str, dtype: str) -> int:
        self.symbols.append(symbol)
        return len(self.symbols) - 1

    def launch(self, function: int, grid: int, block: int, shared: int, arguments: Any) -> None:
        self.launched.append(self.symbols[function])


def test_a_kernel_is_chosen_by_what_it_requires() -> None:
    pointer = {"role": "input", "type": "float*", "shape": ["T", "N"], "name": "x"}
    scalar = {"role": "param_tensor", "type": "float*", "shape": [], "name": "tau_tensor"}
    sizes = [
        {"role": role, "type": "int64_t", "name": name}
        for role, name in (("steps", "T"), ("neurons", "N"))
    ]
    common = {"block": 128, "elements_per_thread": 1, "shared_bytes": 0, "dtype": "float32"}
    common["grid"] = "ceil(N / block)"
    listed = [pointer, scalar, *sizes]
    entries = [
        {**common, "symbol": "eight", "requires": "T == 8 and N % 4 == 0", "arguments": listed},
        {**common, "symbol": "four", "requires": "N % 4 == 0", "arguments": [pointer, *sizes]},
        {**common, "symbol": "channels", "requires": "C == 1", "arguments": listed},
        {**common, "symbol": "any", "arguments": listed},
    ]
    recorder = Recorder()
    kernel = CudaKernel(recorder, entries)
    for values in ([64, 4, 8, 16], [64, 0, 7, 16], [64, 0, 8, 18], [68, 0, 8, 16]):
        kernel(values)
    assert recorder.launched == ["eight", "four", "any", "any"]


def test_arguments_lie_where_c_would_put_them() -> None:
    packing = Packing(["float*", "float", "int64_t", "int32_t", "double"])
    for real, expected in ((0.5, 0.5), (1e300, float("inf"))):
        found = packing.addresses([2**63, real, -3, 7, 1e300])
        read = [ctypes.c_uint64, ctypes.c_float, ctypes.c_int64, ctypes.c_int32, ctypes.c_double]
        values = [kind.from_address(where).value for kind, where in zip(read, found, strict=True)]
        assert values == [2**63, expected, -3, 7, 1e300]
        assert all(
            where % ctypes.sizeof(kind) == 0 for kind, where in zip(read, found, strict=True)
        )
