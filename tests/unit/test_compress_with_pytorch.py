"""compress_spikes around torch.compile, and in two processes that share their gradients."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

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


WORKER = """
import os
import sys
import torch
import torch.distributed as dist
from test_compress_with_pytorch import X, gradients, network
from neurodsl import compress_spikes
from torch.nn.parallel import DistributedDataParallel

rank, port, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
model = network()
parallel = DistributedDataParallel(model)
found = gradients(parallel, list(model.parameters()), X.chunk(2, 1)[rank], compress_spikes())
if rank == 0:
    torch.save(found, path)
dist.barrier()
del parallel  # its threads end before what they talk through
dist.destroy_process_group()
os._exit(0)  # threads of gloo that are still there abort an interpreter that ends in the usual way, now and then
"""


def test_two_processes_share_the_same_gradients(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    path = tmp_path / "found.pt"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), port, str(path)], env=environment
        )
        for rank in range(2)
    ]
    try:
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    halves = []
    for half in X.chunk(2, 1):
        model = network()
        halves.append(gradients(model, list(model.parameters()), half, torch.enable_grad()))
    for one, other, shared in zip(*halves, torch.load(path), strict=True):
        assert torch.allclose((one + other) / 2, shared, rtol=1e-5, atol=1e-6)
