"""The eager reference: the generated step in a Python loop, differentiated by autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from neurodsl.runtime.autograd import stale
from neurodsl.runtime.draws import standard_draw
from neurodsl.runtime.launch import When


class _Probe(torch.autograd.Function):
    """An output as it is; whether its graph has been freed can be asked of it."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, probes: list[Any]) -> Tensor:
        ctx.save_for_backward(output.new_empty(0))
        probes.append(ctx)
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        ctx.walk = torch._C._current_graph_task_id()
        return gradient, None


class _Watched(torch.autograd.Function):
    """A state as it is; backward through a freed graph is caught here, before PyTorch's own message."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, neuron: str, name: str, probes: list[Any]) -> Tensor:
        ctx.save_for_backward(state.new_empty(0))
        ctx.neuron, ctx.name, ctx.probes = neuron, name, probes
        return state.view_as(state)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        try:
            walk = torch._C._current_graph_task_id()
            _ = ctx.saved_tensors
            _ = [p.saved_tensors for p in ctx.probes if getattr(p, "walk", None) != walk]
        except RuntimeError as error:
            raise stale(ctx.neuron, (ctx.name,)) from error
        return gradient, None, None, None


def run_reference(
    cls: Any,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    values: Callable[[int], Sequence[Any]],
    options: tuple[float, bool, bool],
    when: When,
    record: Sequence[str],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Outputs `[T, …]`, final states `[…]`, recorded values `[T, …]`.

    Args:
        cls: the generated class.
        inputs: `[T, …]` each, of one dtype.
        states: `[…]` each.
        values: of the params, at a step of this call.
        options: dt, detach_reset, spiking.
        when: the steps since the reset, and the seed of what is drawn.
        record: names of what to record.
    """
    dt, detach_reset, spiking = options
    watched: Any = _Watched
    probe: Any = _Probe
    probes: list[Any] = []
    definition, first = cls.definition, inputs[0]
    now: tuple[Any, ...] = tuple(states)
    outputs: list[tuple[Tensor, ...]] = []
    kept: list[dict[str, Tensor]] = []
    shape = first.shape[1:]
    for step in range(first.shape[0]):
        t = torch.tensor(float(when[0] + step), dtype=first.dtype, device=first.device)
        given = tuple(x[step] for x in inputs)
        more = _draws(definition.noises, when[1], step, given[0])
        made, now, recorded = cls.trace(
            *given, *now, *values(step), dt, t, detach_reset, spiking, *more
        )
        now = tuple(_filled(value, first, shape) for value in now)
        outputs.append(tuple(_filled(value, first, shape) for value in made))
        names = dict(zip(definition.recordable, recorded, strict=True))
        kept.append({name: _filled(names[name], first, shape) for name in record})
    finals = tuple(
        watched.apply(value, definition.name, name, probes) if value.requires_grad else value
        for name, value in zip(definition.states, now, strict=True)
    )
    if not outputs:
        return (
            tuple(torch.empty_like(first) for _ in definition.written),
            finals,
            tuple(torch.empty_like(first) for _ in record),
        )
    stacked = [torch.stack(column) for column in zip(*outputs, strict=True)]
    return (
        tuple(probe.apply(y, probes) if y.requires_grad else y for y in stacked),
        finals,
        tuple(torch.stack([row[name] for row in kept]) for name in record),
    )


def _draws(
    noises: Sequence[tuple[str, str]], seed: int, step: int, like: Tensor
) -> tuple[Any, ...]:
    """What a step draws, as its last argument; nothing for a neuron that draws nothing."""
    kinds = [kind for _, kind in noises]
    made = [standard_draw(kind, seed, step, place, like) for place, kind in enumerate(kinds)]
    return (made,) if made else ()


def _filled(value: Any, first: Tensor, shape: torch.Size) -> Tensor:
    """A value of every neuron; what all have in common is spread."""
    if not isinstance(value, Tensor):
        return first.new_full(shape, float(value))
    return value.to(first.dtype).expand(shape)
