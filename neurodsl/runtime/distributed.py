"""Scalar parameters beside FSDP2, which shards tensors and refuses those without a dimension."""

from __future__ import annotations

from typing import Any

import torch.distributed
from torch import Tensor, nn

__all__ = ["replicate_scalars"]


def replicate_scalars(model: nn.Module, group: Any = None) -> set[nn.Parameter]:
    """Keep a model's 0-dim parameters equal on every rank, as DDP would; the parameters, for `ignored_params=`.

        fully_shard(model, ignored_params=replicate_scalars(model))

    They take rank 0's values now. From then on each `backward` replaces their gradients by the mean over the ranks,
    gradients that had been accumulated before included. Every rank has to run the same graph, as with DDP.

    Args:
        model: already on its device.
        group: the data-parallel ranks; all of them if None.

    Raises:
        ValueError: there is no process group yet.
    """
    if not torch.distributed.is_initialized():
        raise ValueError("replicate_scalars: call torch.distributed.init_process_group() first")
    ranks = torch.distributed.get_world_size(group)

    def average(parameter: Tensor) -> None:
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad, group=group)
            parameter.grad /= ranks

    found = [p for p in model.parameters() if not p.dim()]
    for parameter in found:
        torch.distributed.broadcast(parameter.detach(), group=group, group_src=0)
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(average)  # type: ignore[no-untyped-call]
    return set(found)
