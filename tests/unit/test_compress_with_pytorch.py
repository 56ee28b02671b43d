"""compress_spikes around torch.compile, and in two processes that share their gradients."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from neurodsl import compress_spikes
from neurodsl.library import LIF
from neurodsl.memory import compress


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 256), LIF(), nn.Linear(256, 256), LIF(), nn.Linear(256, 8))


X = 2 * torch.randn(8, 16, 32, generator=torch.Generator().manual_seed(1))


def gradients(model: Any, parameters: Any, x: Tensor, block: Any) -> list[Tensor]:
    for p in parameters:
        p.grad = None
    with block:
        loss = model(x).square().sum()
    loss.backward()
    return [p.grad.clone() for p in parameters]


def test_a_block_around_a_compiled_model_compresses(monkeypatch: Any) -> None:
    model = network()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    kept: list[Any] = []
    pack = compress.Packer.pack

    def noting(self: compress.Packer, tensor: Tensor) -> Any:
        kept.append(pack(self, tensor))
        return kept[-1]

    def forget() -> Any:
        model[1].reset()
        model[3].reset()
        return list(model.parameters())

    expected = gradients(compiled, forget(), X, torch.enable_grad())
    monkeypatch.setattr(compress.Packer, "pack", noting)
    found = gradients(compiled, forget(), X, compress_spikes())
    assert sum(isinstance(one, compress.Packed) for one in kept) >= 2
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)
    kept.clear()
    whole = torch.compile(compress_spikes(model), backend="aot_eager", fullgraph=True)
    found = gradients(whole, forget(), X, torch.enable_grad())
    assert not kept  # as its description says
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)


def worker(rank: int, port: int, folder: str) -> None:
    """One of two processes: half of the batch."""
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model = network()
    shared = DistributedDataParallel(model)
    half = X.chunk(2, 1)[rank]
    found = gradients(shared, list(model.parameters()), half, compress_spikes())
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.destroy_process_group()


def test_two_processes_share_the_same_gradients(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes.start_processes(worker, (port, str(tmp_path)), nprocs=2, start_method="fork")
    found = torch.load(tmp_path / "found.pt")
    halves = []
    for half in X.chunk(2, 1):
        model = network()
        halves.append(gradients(model, list(model.parameters()), half, torch.enable_grad()))
    for one, other, shared in zip(*halves, found, strict=True):
        assert torch.equal((one + other) / 2, shared) or torch.allclose(
            (one + other) / 2, shared, rtol=1e-6
        )
