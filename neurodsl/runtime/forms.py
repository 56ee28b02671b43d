"""Outputs at a byte or a bit a spike, for inference: some time steps at a time, while their floats are in the cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodsl.memory.bits import PackedSpikes, pack_bits
from neurodsl.runtime.errors import UnsupportedError

STRETCH_BYTES = 1 << 20


def in_form(node: Any, inputs: tuple[Tensor, ...]) -> Any:
    """What `node` gives for its inputs, as `node.spikes` says: uint8 tensors, or PackedSpikes of the whole sequence.

    Raises:
        UnsupportedError: a gradient would be wanted.
        ValueError: an output is no spikes.
    """
    wanting = [*inputs, *node.parameters()]
    if torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in wanting):
        raise UnsupportedError(
            f"{node.definition.name}: spikes={node.spikes!r} carries no gradient; call it under torch.no_grad(), or "
            "use neurodsl.compress_spikes() to train with spikes of one bit"
        )
    if node.step_mode == "s" or node.record or not inputs or inputs[0].dim() < 2:
        return _joined(node, [node._forward(*inputs)])
    x = inputs[0]
    rows = max(1, x[:1].numel() * x.element_size())
    steps = max(8, STRETCH_BYTES // rows // 8 * 8)
    parts = [
        _narrow(node, node._forward(*(given[at : at + steps] for given in inputs)))
        for at in range(0, max(len(x), 1), steps)
    ]
    return _joined(node, parts)


def _narrow(node: Any, outputs: Any) -> Any:
    every = outputs if isinstance(outputs, tuple) else (outputs,)
    return tuple(_narrowed(node, output) for output in every)


def _narrowed(node: Any, output: Any) -> Any:
    if not isinstance(output, Tensor):
        return output
    bits = pack_bits(output.contiguous())
    if bits is None:
        raise ValueError(
            f"{node.definition.name}: an output holds values other than 0 and 1; spikes={node.spikes!r} is for spikes"
        )
    if node.spikes == "bits":
        return PackedSpikes(bits, output.shape, output.dtype)
    return output.to(torch.uint8)


def _joined(node: Any, parts: list[Any]) -> Any:
    parts = [part if isinstance(part, tuple) else (part,) for part in parts]
    made = []
    for stretch in zip(*parts, strict=True):
        narrow = [_narrowed(node, one) if _is_wide(one) else one for one in stretch]
        made.append(_join(narrow))
    return made[0] if len(made) == 1 else tuple(made)


def _is_wide(output: Any) -> bool:
    return isinstance(output, Tensor) and output.dtype is not torch.uint8


def _join(stretch: list[Any]) -> Any:
    first = stretch[0]
    if len(stretch) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(stretch)
    steps = sum(one.shape[0] for one in stretch)
    shape = (steps, *first.shape[1:])
    return PackedSpikes(torch.cat([one.bits for one in stretch]), shape, first.dtype)
