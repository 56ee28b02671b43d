"""How much memory a forward pass keeps for backward."""

from __future__ import annotations

import torch
from torch import Tensor

from neurodsl.tools.bench.contestants import Contestant
from neurodsl.tools.bench.inputs import Given


def saved_bytes(contestant: Contestant, given: Given) -> tuple[int, int]:
    """Bytes of the distinct storages that autograd keeps: all of them, and those that are not the inputs' own.

    Views and several uses of one storage count once; a storage counts whole, though a view of it were small.
    """
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    contestant.start()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        # The output lives to the end of the block and with it all that is kept: no address is used twice.
        output = contestant.output(given)
    inputs = {tensor.untyped_storage().data_ptr() for tensor in given.wanting}
    del output
    return sum(kept.values()), sum(size for place, size in kept.items() if place not in inputs)
