"""The fused kernels as custom operators, for `torch.compile`: opaque to its tracing, with shapes and a derivative.

Eager calls do not come here: they take the shorter way of `autograd.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from neurodsl.runtime.autograd import backward_pass, forward_pass, twice
from neurodsl.runtime.errors import UnsupportedError
from neurodsl.runtime.kernels import Kernels
from neurodsl.runtime.launch import Plan, Setup
from neurodsl.runtime.layouts import state_dtype

NO_SEED = -1
"""A neuron that draws is not traced: its seed would be the same in every call."""

_kernels: dict[str, Kernels] = {}


def registered(kernels: Kernels) -> Kernels:
    """Make kernels known to the operators by their name; those that are known by it already, if there are."""
    return _kernels.setdefault(kernels.name, kernels)


def load(name: str, device: str) -> str:
    """Build or find the kernels of a name for a device; an error's text, empty if there was none."""
    from neurodsl.build import ToolchainError

    try:
        _kernels[name].load(torch.device(device))
    except ToolchainError as error:
        return str(error)
    return ""


def takes(name: str, dtype: torch.dtype) -> bool:
    """Whether the kernels of a name for a GPU have inputs and outputs of a dtype."""
    wanted = str(dtype).removeprefix("torch.")
    return _kernels[name].entry("cuda", "forward", wanted, detached=False) is not None


@cache
def setup_of(text: str) -> Setup:
    """A setup from its text: `neuron|inputs|outputs|states|scalars|tensor scalars|recorded|0 or 1`."""
    neuron, *lists, detached = text.split("|")
    names = [tuple(part.split(",")) if part else () for part in lists]
    inputs, outputs, states, scalars, given, recorded = names
    return Setup(neuron, inputs, outputs, states, scalars, given, recorded, detached == "1")


def _plan(name: str, setup: str, first: Tensor) -> Plan:
    return _kernels[name].plan(setup_of(setup), first.dtype, first.device)


@torch.library.custom_op("neurodsl::forward", mutates_args=())
def fused_forward(
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    name: str,
    setup: str,
    first_step: int,
    keep: bool,
) -> list[Tensor]:
    """The results of a call `[T, …]`, `[…]`, and after them what backward wants; contiguous, all of them.

    Args:
        tensors: inputs `[T, …]`, initial states `[…]`, scalars `[]`.
        numbers: one for each scalar.
        name: of the kernels, from `registered`.
        setup: as in `setup_of`.
        first_step: the steps before this call.
        keep: whether backward may follow.
    """
    plan = _plan(name, setup, tensors[0])
    given = [tensor.contiguous() for tensor in tensors]
    _, results, saved, _ = forward_pass(plan, numbers, (first_step, NO_SEED), given, keep)
    return [*results, *saved]


@fused_forward.register_fake
def _(
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    name: str,
    setup: str,
    first_step: int,
    keep: bool,
) -> list[Tensor]:
    first, names = tensors[0], setup_of(setup)
    made = [first.new_empty(first.shape) for _ in names.outputs]
    dtype = state_dtype(first.dtype)
    made += [first.new_empty(first.shape[1:], dtype=dtype) for _ in names.states]
    made += [first.new_empty(first.shape) for _ in names.recorded]
    saved = _kernels[name].saved(names, first.dtype, first.device) if keep else ()
    return made + [one.empty(first, None) for one in saved]


@torch.library.custom_op("neurodsl::backward", mutates_args=())
def fused_backward(
    given: Sequence[Tensor],
    saved: Sequence[Tensor],
    gradients: Sequence[Tensor],
    present: Sequence[bool],
    needed: Sequence[bool],
    numbers: Sequence[float],
    name: str,
    setup: str,
    first_step: int,
) -> list[Tensor]:
    """The gradients of those of `given` that are `needed`; `present` says of which results there are gradients."""
    plan = _plan(name, setup, given[0])
    left = iter(gradients)
    incoming = [next(left) if there else None for there in present]
    given = [tensor.contiguous() for tensor in given]
    made = backward_pass(plan, numbers, (first_step, NO_SEED), given, saved, incoming, needed, None)
    return [gradient for gradient in made if gradient is not None]


@fused_backward.register_fake
def _(
    given: Sequence[Tensor],
    saved: Sequence[Tensor],
    gradients: Sequence[Tensor],
    present: Sequence[bool],
    needed: Sequence[bool],
    *_call: Any,
) -> list[Tensor]:
    return [t.new_empty(t.shape) for t, wants in zip(given, needed, strict=True) if wants]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    tensors, numbers, name, setup, first_step, _ = inputs
    names = setup_of(setup)
    ctx.results = len(names.results)
    ctx.count = len(tensors)
    ctx.needed = [tensor.requires_grad for tensor in tensors]
    ctx.save_for_backward(*tensors, *output[ctx.results :])
    ctx.call = numbers, name, setup, first_step


def _backward(ctx: Any, gradients: Sequence[Tensor | None]) -> tuple[Any, ...]:
    tensors = ctx.saved_tensors
    given, saved = list(tensors[: ctx.count]), list(tensors[ctx.count :])
    incoming = gradients[: ctx.results]
    present = [gradient is not None for gradient in incoming]
    there = [gradient for gradient in incoming if gradient is not None]
    made = iter(fused_backward(given, saved, there, present, ctx.needed, *ctx.call))
    return [next(made) if wants else None for wants in ctx.needed], None, None, None, None, None


def _keep_name(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.neuron = setup_of(inputs[-2]).neuron


def _refuse(ctx: Any, _gradients: Sequence[Tensor | None]) -> tuple[Any, ...]:
    raise UnsupportedError(twice(ctx.neuron))


fused_forward.register_autograd(_backward, setup_context=_keep)
fused_backward.register_autograd(_refuse, setup_context=_keep_name)
