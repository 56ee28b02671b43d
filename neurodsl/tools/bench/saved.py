"""How much memory a forward pass keeps for backward."""

from __future__ import annotations

import torch
from torch import Tensor

from neurodsl.tools.bench.contestants import Contestant


def saved_bytes(contestant: Contestant, inputs: tuple[Tensor, ...]) -> tuple[int, int]:
    """Bytes of the distinct storages that autograd keeps: all of them, and those that are not the inputs' own."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    contestant.start()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        # The output lives to the end of the block, so that no storage is counted twice or reused.
        output = contestant.output(inputs)
    given = {tensor.untyped_storage().data_ptr() for tensor in inputs}
    del output
    return sum(kept.values()), sum(size for place, size in kept.items() if place not in given)
