"""Outputs at a byte or a bit a spike, for inference: some time steps at a time, while their floats are in the cache."""

from __future__ import annotations

from math import gcd
from typing import Any

import torch
from torch import Tensor

from neurodsl.memory.aside import put_states, states_of
from neurodsl.memory.bits import PackedSpikes, spikes_as_bits
from neurodsl.runtime.errors import UnsupportedError

STRETCH_BYTES = 1 << 20
"""Of one input: what runs at once."""


def in_form(node: Any, inputs: tuple[Tensor, ...]) -> Any:
    """What `node` gives for its inputs, as `node.spikes` says: uint8 tensors, or PackedSpikes of the whole sequence.

    Raises:
        UnsupportedError: a gradient would be wanted.
        ValueError: an output is no spikes; the states are as they were before.
    """
    wanting = [*inputs, *node.parameters()]
    if torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in wanting):
        raise UnsupportedError(
            f"{node.definition.name}: spikes={node.spikes!r} carries no gradient; call it under torch.no_grad(), or "
            "use neurodsl.compress_spikes() to train with spikes of one bit"
        )
    if torch.compiler.is_compiling():
        made = _run(node, inputs)  # an error comes before the states are set
    else:
        made = _with_states_kept(node, inputs)
    return made[0] if len(made) == 1 else tuple(made)


def _with_states_kept(node: Any, inputs: tuple[Tensor, ...]) -> list[Any]:
    before = states_of(node)
    try:
        return _by_kernel(node, inputs) or _run(node, inputs)
    except ValueError:
        put_states(before)
        raise


def _by_kernel(node: Any, inputs: tuple[Tensor, ...]) -> list[Any] | None:
    """Packed by the kernel itself, where it can: on a GPU, where neurons fill whole words."""
    first = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
    if first is None or not first.is_cuda or node.step_mode != "m" or node.record:
        return None
    whole = first.dim() >= 2 and first.numel() and first[0].numel() % 32 == 0
    if not whole or node.definition.feedbacks or not node._is_fused(first):
        return None
    if not node._kernels.gives_bits(first):
        return None
    words = _outputs(node, inputs, bits=True)
    packed = [
        PackedSpikes(word.view(torch.uint8).reshape(-1), first.shape, first.dtype) for word in words
    ]
    return packed if node.spikes == "bits" else [one.unpack(torch.uint8) for one in packed]


def _run(node: Any, inputs: tuple[Tensor, ...]) -> list[Any]:
    steps = _steps_at_once(inputs[0]) if _can_be_parted(node, inputs) else None
    if steps is None:
        parts = [[_packed(node, output) for output in _outputs(node, inputs)]]
    else:
        parts = [
            [_packed(node, y) for y in _outputs(node, tuple(x[at : at + steps] for x in inputs))]
            for at in range(0, len(inputs[0]), steps)
        ]
    whole = [_joined(stretches) for stretches in zip(*parts, strict=True)]
    return whole if node.spikes == "bits" else [one.unpack(torch.uint8) for one in whole]


def _can_be_parted(node: Any, inputs: tuple[Tensor, ...]) -> bool:
    """Whether a few steps at a time give the same as all: not where numbers are drawn, or params go with time.

    What `torch.compile` traces runs as a whole: stretches would be unrolled, and traced anew for each length.
    """
    definition = node.definition
    return (
        not torch.compiler.is_compiling()
        and node.step_mode == "m"
        and not node.record
        and not definition.noises
        and not any("time" in param.shape for param in definition.params)
        and all(isinstance(x, Tensor) and x.dim() >= 2 and x.numel() for x in inputs)
        and len({len(x) for x in inputs}) == 1
    )


def _steps_at_once(x: Tensor) -> int:
    """As many steps as STRETCH_BYTES are; whole bytes of bits in any case."""
    neurons = x[0].numel()
    unit = 8 // gcd(8, neurons)
    return max(unit, STRETCH_BYTES // (neurons * x.element_size()) // unit * unit)


def _outputs(node: Any, inputs: tuple[Tensor, ...], bits: bool = False) -> tuple[Tensor, ...]:
    outputs = node._forward(*inputs, bits=bits)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _packed(node: Any, output: Tensor) -> PackedSpikes:
    what = f"{node.definition.name}: an output holds values other than 0 and 1"
    bits = spikes_as_bits(output, f"{what}; spikes={node.spikes!r} is for spikes")
    return PackedSpikes(bits, output.shape, output.dtype)


def _joined(stretches: tuple[PackedSpikes, ...]) -> PackedSpikes:
    first = stretches[0]
    if len(stretches) == 1:
        return first
    shape = (sum(one.shape[0] for one in stretches), *first.shape[1:])
    return PackedSpikes(torch.cat([one.bits for one in stretches]), shape, first.dtype)
