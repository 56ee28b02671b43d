"""The launch path of a GPU, with the driver replaced: kernels run in the host shim on tensors of the CPU."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
import torch
from numerics.launching import shim_library

import neurodsl
from neurodsl.runtime import custom_ops, kernels
from neurodsl.runtime.arithmetic import evaluate
from neurodsl.runtime.autograd import run
from neurodsl.runtime.cuda import CudaLibrary, cubin_for
from neurodsl.runtime.kernels import Kernels
from neurodsl.runtime.manifest import Manifest


class ShimDriver:
    """Runs a launch at once, on the host."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library, self.launched = library, []  # type: ignore[var-annotated]

    def function(self, image: bytes, symbol: str) -> Any:
        function = getattr(self.library, f"shim_launch_{symbol}")
        function.restype = ctypes.c_char_p
        return symbol, function

    def launch(
        self, function: Any, grid: int, block: int, shared: int, stream: int, arguments: Any
    ) -> None:
        symbol, call = function
        self.launched.append(symbol)
        problem = call(grid, block, 0, arguments)
        assert problem is None, problem


class _GpuKernels(Kernels):
    """Takes the CPU for a GPU."""

    def _kernel(self, which: str, key: Any) -> Any:
        return super()._kernel(which, (key[0], key[1], torch.device("cuda", 0)))


@pytest.mark.parametrize("save", ["inputs", "membrane"])
@pytest.mark.parametrize("detached", [False, True])
def test_a_launch_gives_the_numbers_of_the_cpu(
    save: str, detached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = neurodsl.load("LIF", save=save)
    manifest: Manifest = module.__manifest__
    source = manifest.sibling(".cu").read_text(encoding="utf-8")
    driver = ShimDriver(shim_library(source, dict(manifest), tmp_path))
    library = CudaLibrary(driver, b"", torch.device("cpu"))
    monkeypatch.setattr(kernels, "cuda_library", lambda *_: library)
    params = "tau,decay_input,v_threshold,v_reset,dt"
    setup = custom_ops.setup_of(f"LIF|x|s|v|{params}|tau,v_threshold|v|{int(detached)}")
    torch.manual_seed(1)
    x, v = torch.rand(5, 3, 61, dtype=torch.float64) * 2, torch.rand(3, 61, dtype=torch.float64)
    scalars = [torch.tensor(2.5, dtype=torch.float64), torch.tensor(0.9, dtype=torch.float64)]
    results = []
    for made in (Kernels(manifest, "LIF"), _GpuKernels(manifest, "LIF")):
        given = [t.clone().requires_grad_() for t in (x, v, *scalars)]
        plan = made.plan(setup, x.dtype, x.device)
        spikes, final, recorded = run(plan, (0.0, 1.0, 0.0, 0.2, 1.0), (0, -1), given, True)
        loss = (spikes * x).sum() + final.sum() + recorded.square().sum()
        results.append((spikes, final, recorded, *torch.autograd.grad(loss, given)))
    for cpu, gpu in zip(*results, strict=True):
        torch.testing.assert_close(cpu, gpu, rtol=1e-10, atol=1e-12)
    backward = "lif_backward_detached_f64" if detached else "lif_backward_f64"
    assert driver.launched[1:] == [backward, "lif_reduce_f64"]


def test_a_cubin_beside_the_module_is_taken(tmp_path: Path) -> None:
    manifest = Manifest(str(tmp_path / "lif.py"), "0")
    for name in ("lif.sm_80.cubin", "lif.sm_90.cubin"):
        (tmp_path / name).write_bytes(b"")
    assert cubin_for(manifest, (8, 9)).name == "lif.sm_80.cubin"
    assert cubin_for(manifest, (9, 0)).name == "lif.sm_90.cubin"


def test_sizes_are_worked_out_exactly() -> None:
    names = {"N": 2**40 + 1, "block": 128, "elements_per_thread": 4}
    assert evaluate("ceil(N / (block * elements_per_thread))", names) == 2**31 + 1
    assert evaluate("min(N, max(3, block)) - 1", names) == 127
    for text in ("__import__('os')", "N / 2", "N ** 2", "C", "1 +", "(1).real"):
        with pytest.raises(ValueError):
            evaluate(text, names)
