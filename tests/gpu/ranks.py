"""Data-parallel training in processes of its own: what each rank runs, and the losses that one process has."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import neurodsl

STEPS, BATCH, TRAINED = 6, 16, 5


def network() -> nn.Module:
    """In float64 and without batch normalisation, so that the batch may be split."""
    torch.manual_seed(0)
    node = neurodsl.load("PLIF").PLIF(backend="fused")
    return nn.Sequential(nn.Linear(12, 48), node, nn.Linear(48, 4)).double()


def batch(number: int) -> tuple[Tensor, Tensor]:
    """Inputs `[T, B, 12]` and targets `[B, 4]`."""
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(STEPS, BATCH, 12, generator=generator, dtype=torch.float64) * 2
    return x, torch.randn(BATCH, 4, generator=generator, dtype=torch.float64)


def train(net: nn.Module, node: Any, rank: int, world: int, device: torch.device) -> list[Tensor]:
    """The loss of each step on this rank's part of the batch."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    losses: list[Tensor] = []
    for number in range(TRAINED):
        x, target = (t.to(device) for t in batch(number))
        x, target = x.chunk(world, dim=1)[rank], target.chunk(world)[rank]
        node.reset()
        loss = (net(x).mean(dim=0) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return losses


def one_process(device: torch.device) -> list[float]:
    """The losses with the whole batch."""
    net = network().to(device)
    return [float(loss) for loss in train(net, net[1], 0, 1, device)]  # type: ignore[index]


def rank_main(rank: int, world: int, kind: str, folder: str) -> None:
    """A rank: trains its part and leaves the mean losses in the folder."""
    device = torch.device(kind, rank) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if kind == "cuda" else "gloo",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=world,
    )
    net = network().to(device)
    node: Any = net[1]  # type: ignore[index]
    parallel = DistributedDataParallel(net, device_ids=[rank] if kind == "cuda" else None)
    losses = torch.stack(train(parallel, node, rank, world, device))
    dist.all_reduce(losses)
    if rank == 0:
        torch.save((losses / world).cpu(), Path(folder) / "losses.pt")
    dist.barrier()
    del parallel  # its threads end before what they talk through
    dist.destroy_process_group()


def many_processes(kind: str, world: int) -> list[float]:
    """The mean losses of so many ranks."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(rank_main, (world, kind, folder), nprocs=world)
        found: Tensor = torch.load(Path(folder) / "losses.pt")
    return [float(loss) for loss in found]
