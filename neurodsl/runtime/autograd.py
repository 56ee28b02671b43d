"""The fused kernels as one autograd function: all time steps forward, all time steps back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurodsl.runtime.errors import StaleGraphError
from neurodsl.runtime.kernels import Kernel, Kernels


@dataclass(frozen=True, slots=True)
class Call:
    """What stays the same between a forward pass and its backward pass.

    `scalars` holds numbers by name; tensors among them (0-dim) are listed in `tensor_scalars` and passed on their own.
    """

    kernels: Kernels
    neuron: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]
    scalars: dict[str, float | bool]
    tensor_scalars: tuple[str, ...]
    recorded: tuple[str, ...]
    detached: bool
    first_step: int
    keep: bool


def run(call: Call, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Outputs `[T, …]`, final states `[…]`, recorded values `[T, …]`; `tensors` are inputs, initial states, scalars."""
    function: Any = _Fused
    results: tuple[Tensor, ...] = function.apply(call, *tensors)
    return results


class _Fused(torch.autograd.Function):
    """Inputs `[T, …]`, initial states `[…]`, scalars `[]`; all of one dtype, on the CPU."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        tensors = tuple(tensor.contiguous() for tensor in tensors)
        first = tensors[0]
        dtype = str(first.dtype).removeprefix("torch.")
        kernel = call.kernels.get("forward_train", dtype) if call.keep else None
        kernel = kernel or call.kernels.get("forward", dtype)
        assert kernel is not None
        known = _given(call, tensors)
        saved = [a["name"] for a in kernel.arguments if a["role"] == "saved"]
        made: dict[tuple[str, str], Tensor] = {}
        made |= {("output", name): torch.empty_like(first) for name in call.outputs}
        made |= {
            ("final_state", name): torch.empty_like(first[0])
            if len(first)
            else known["initial_state", name].clone()
            for name in call.states
        }
        made |= {("recorded", name): torch.empty_like(first) for name in call.recorded}
        made |= {("saved", _of_name(kernel, name)): torch.empty_like(first) for name in saved}
        _launch(kernel, call, {**known, **made}, first)
        kept = [made["saved", _of_name(kernel, name)] for name in saved]
        ctx.save_for_backward(*tensors, *kept)
        ctx.call, ctx.count, ctx.kept = call, len(tensors), [_of_name(kernel, n) for n in saved]
        return tuple(value for (role, _), value in made.items() if role != "saved")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        call: Call = ctx.call
        try:
            everything = ctx.saved_tensors
        except RuntimeError as error:
            raise stale(call.neuron, call.states) from error
        tensors, kept = everything[: ctx.count], everything[ctx.count :]
        first = tensors[0]
        known = _given(call, tensors)
        known |= {("saved", name): tensor for name, tensor in zip(ctx.kept, kept, strict=True)}
        known |= _incoming(call, gradients)
        wanted = _wanted(call, ctx.needs_input_grad[1:], tensors)
        dtype = str(first.dtype).removeprefix("torch.")
        kernel = call.kernels.get("backward", dtype, detached=call.detached)
        assert kernel is not None
        given = {key: value for key, value in wanted.items() if value is not None}
        _launch(kernel, call, {**known, **given}, first)
        if not len(first):
            _pass_through(call, given, known)
        return (None, *wanted.values())


def stale(neuron: str, states: Sequence[str]) -> StaleGraphError:
    """The error where a state's graph has been freed."""
    listed = ", ".join(f"`{name}`" for name in states)
    return StaleGraphError(
        f"{neuron}: backward has come to the state {listed} of an earlier call, and that call's graph has been freed "
        "by an earlier backward. Between sequences call reset(); to keep the state and cut its graph, call "
        "detach_states()."
    )


def _of_name(kernel: Kernel, argument: str) -> str:
    of: str = next(a.get("of", a["name"]) for a in kernel.arguments if a["name"] == argument)
    return of


def _given(call: Call, tensors: Sequence[Tensor]) -> dict[tuple[str, str], Tensor]:
    roles = [("input", name) for name in call.inputs]
    roles += [("initial_state", name) for name in call.states]
    roles += [("scalar", name) for name in call.tensor_scalars]
    return dict(zip(roles, tensors, strict=True))


def _incoming(call: Call, gradients: Sequence[Tensor | None]) -> dict[tuple[str, str], Tensor]:
    roles = [("grad_output", name) for name in call.outputs]
    roles += [("grad_final_state", name) for name in call.states]
    roles += [("grad_recorded", name) for name in call.recorded]
    return {
        role: gradient.contiguous()
        for role, gradient in zip(roles, gradients, strict=True)
        if gradient is not None
    }


def _wanted(
    call: Call, needed: Sequence[bool], tensors: Sequence[Tensor]
) -> dict[tuple[str, str], Tensor | None]:
    roles = [("grad_input", name) for name in call.inputs]
    roles += [("grad_initial_state", name) for name in call.states]
    roles += [("grad_param", name) for name in call.tensor_scalars]
    return {
        role: (torch.zeros_like if role[0] == "grad_param" else torch.empty_like)(tensor)
        if wants
        else None
        for role, wants, tensor in zip(roles, needed, tensors, strict=True)
    }


def _pass_through(
    call: Call, given: dict[tuple[str, str], Tensor], known: dict[tuple[str, str], Tensor]
) -> None:
    """Without time steps the final states are the initial ones."""
    for name in call.states:
        if ("grad_initial_state", name) in given:
            incoming = known.get(("grad_final_state", name))
            target = given["grad_initial_state", name]
            target.copy_(incoming) if incoming is not None else target.zero_()


def _launch(
    kernel: Kernel, call: Call, tensors: dict[tuple[str, str], Tensor], first: Tensor
) -> None:
    """Put the argument list together and run."""
    steps = first.shape[0]
    neurons = first[0].numel() if steps else 0
    if neurons == 0:
        return
    values: list[Any] = []
    for argument in kernel.arguments:
        role, name = argument["role"], argument.get("of", argument["name"])
        if role in ("param", "uniform"):
            values.append(call.scalars.get(name, 0))
        elif role in ("param_tensor", "uniform_tensor"):
            tensor = tensors.get(("scalar", name))
            values.append(0 if tensor is None else tensor.data_ptr())
        elif role == "steps":
            values.append(steps)
        elif role == "neurons":
            values.append(neurons)
        elif role == "first_step":
            values.append(call.first_step)
        else:
            if argument.get("recorded"):
                role = "grad_recorded"
            tensor = tensors.get((role, name))
            values.append(0 if tensor is None else tensor.data_ptr())
    kernel(values)
