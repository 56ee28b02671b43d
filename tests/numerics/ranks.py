"""What each of two processes does in test_distributed.py: torchrun starts it, and it saves what it found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

import neurodsl

NEURON = '''
neuron Scaled:
    """Leaky integrate-and-fire neuron with a learnable scalar and a learnable vector."""

    input  x
    output s

    param tau           = 2.0  in (1, inf)  learnable
    param gain[channel] = 1.5  learnable

    state v = 0.0

    charge:
        dv/dt = (gain * x - v) / tau

    fire:
        s = spike(v - 1.0, atan(alpha=2.0))

    reset:
        v = 0.0 if s else v
'''
ROUNDS = 3
RANKS = 2
CLIP = 0.1
"""The norm of all gradients in the first step of the optimizer."""


def network() -> nn.Sequential:
    """Linear - neuron - linear in float64, the same in every process."""
    torch.manual_seed(0)
    node = neurodsl.load(NEURON).Scaled(channels=4)
    return nn.Sequential(nn.Linear(3, 4), node, nn.Linear(4, 2)).double()


def inputs(rank: int, turn: int) -> Tensor:
    """`[T, B, 3]`; the ranks have different numbers and different batch sizes."""
    random = torch.Generator().manual_seed(10 * turn + rank)
    return 8 * torch.rand(6, 5 + 2 * rank, 3, dtype=torch.float64, generator=random)


def passes(model: nn.Module, node: Any, rank: int) -> Iterator[Tensor]:
    """Backward passes of so many rounds, the states going on from one to the next; the final states of each."""
    for turn in range(ROUNDS):
        model(inputs(rank, turn)).square().mean().backward()
        yield node.v.detach().clone()
        node.detach_states()


def whole(tensor: Tensor) -> Tensor:
    """A parameter, or a gradient, as it is without sharding."""
    full = getattr(tensor, "full_tensor", None)
    return (tensor if full is None else full()).detach().clone()


def train(model: nn.Module, node: Any) -> dict[str, Any]:
    """States and gradients of the rounds, accumulated; then the parameters after steps of an optimizer."""
    rank = dist.get_rank()
    names = ["0.weight", "0.bias", "1.tau", "1.gain", "2.weight", "2.bias"]
    parameters = dict(zip(names, _ordered(model), strict=True))
    states = list(passes(model, node, rank))
    gradients = {name: whole(p.grad) for name, p in parameters.items()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    optimizer.zero_grad()
    node.reset()
    for _ in passes(model, node, rank):
        optimizer.step()
        optimizer.zero_grad()
    trained = {name: whole(p) for name, p in parameters.items()}
    local = [p.to_local().numel() if hasattr(p, "to_local") else p.numel() for p in _ordered(model)]
    sizes = dict(zip(names, local, strict=True))
    return {"states": states, "gradients": gradients, "trained": trained, "sizes": sizes}


def _ordered(model: nn.Module) -> list[Any]:
    inner: Any = model.module if hasattr(model, "module") else model
    first, node, last = inner
    return [first.weight, first.bias, node.tau, node.gain, last.weight, last.bias]


def with_ddp() -> dict[str, Any]:
    """DistributedDataParallel."""
    inner = network()
    return train(nn.parallel.DistributedDataParallel(inner), inner[1])


def with_fsdp() -> dict[str, Any]:
    """FSDP2, the neuron's parameters in a group of their own; rank 1 begins with another scalar."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Replicate, distribute_tensor

    from neurodsl import replicate_scalars

    mesh = init_device_mesh("cpu", (RANKS,))
    inner = network()
    with torch.no_grad():
        inner[1].tau += dist.get_rank()
    scalars = replicate_scalars(inner)
    fully_shard(inner[1], mesh=mesh, ignored_params=scalars)
    fully_shard(inner, mesh=mesh, ignored_params=scalars)
    found = train(inner, inner[1])
    hidden = torch.zeros(2, 1, 4, dtype=torch.float64)
    spread = distribute_tensor(hidden, mesh, [Replicate()])
    node = network()[1]
    found["messages"] = {
        "scalar": message_of(fully_shard, network(), mesh=mesh),
        "param": message_of(inner[1].functional, hidden),
        "input": message_of(node, spread),
        "state": message_of(node.functional, hidden, spread[0]),
    }
    return found


def message_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """What the error of a call says."""
    try:
        call(*arguments, **options)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    """Run both, and save what was found."""
    dist.init_process_group("gloo")
    dist.barrier()  # so that the ranks come to the empty cache together
    found = {"ddp": with_ddp(), "fsdp": with_fsdp()}
    torch.save(found, folder / f"{dist.get_rank()}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
