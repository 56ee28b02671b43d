"""The reference: the generated step in eager PyTorch, one time step after another, differentiated by autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cuda_proof.given import Given
from cuda_proof.neurons import Subject
from cuda_proof.numbers import Array

SCALARS_ONLY = ("CubaLI",)
"""Neurons whose eager step takes params of all neurons together only: it has the exponential of a matrix of them."""


@dataclass(frozen=True)
class Results:
    """Of a forward pass; `before[t]` are the states before step t."""

    outputs: list[Any]
    recorded: list[Any]
    finals: list[Any]
    before: list[tuple[Any, ...]]


@dataclass(frozen=True)
class Gradients:
    """Of a backward pass. `params` are of each neuron alone: `[N]`, or `[T, N]` of those with a value a step; sums for
    SCALARS_ONLY."""

    inputs: list[Array]
    states: list[Array]
    params: dict[str, Array]
    dt: Array


def forward(of: Subject, given: Given, kind: Any) -> Results:
    """All time steps, with params as numbers; arrays."""
    inputs, states = _tensors(given.inputs, kind), _tensors(given.states, kind)
    with torch.no_grad():
        found = _run(of, inputs, states, _values_at(of, given.params, kind), of.dt, False)
    return Results(
        *([t.numpy() for t in found_of] for found_of in (found.outputs, found.recorded)),
        [t.numpy() for t in found.finals],
        [tuple(t.numpy() for t in row) for row in found.before],
    )


def backward(of: Subject, given: Given, kind: Any, *, recorded: bool, detached: bool) -> Gradients:
    """The gradients, of what the given gradients say of outputs, final states and, if so, recordings."""
    inputs = [t.requires_grad_() for t in _tensors(given.inputs, kind)]
    states = [t.requires_grad_() for t in _tensors(given.states, kind)]
    each = () if of.name in SCALARS_ONLY else given.inputs[0].shape[1:]
    params = {name: _spread(value, each, kind) for name, value in given.params.items()}
    dt = torch.full(each, of.dt, dtype=inputs[0].dtype, requires_grad=True)

    def at(step: int) -> Sequence[Any]:
        return [v[step] if isinstance(v, Tensor) and v.dim() == 2 else v for v in params.values()]

    found = _run(of, inputs, states, at, dt, detached)
    pairs = [*zip(found.outputs, given.grad_outputs, strict=True)]
    pairs += zip(found.finals, given.grad_finals, strict=True)
    pairs += zip(found.recorded, given.grad_recorded, strict=True) if recorded else []
    total = sum((y * torch.from_numpy(g).to(y.dtype)).sum() for y, g in pairs)
    learnt = {name: v for name, v in params.items() if isinstance(v, Tensor)}
    wanted = [*inputs, *states, *learnt.values(), dt]
    if isinstance(total, Tensor) and total.requires_grad:
        grads = torch.autograd.grad(total, wanted, allow_unused=True)
    else:
        grads = tuple(None for _ in wanted)
    arrays = [
        (torch.zeros_like(w) if g is None else g).numpy()
        for w, g in zip(wanted, grads, strict=True)
    ]
    first, second = len(inputs), len(inputs) + len(states)
    return Gradients(
        arrays[:first],
        arrays[first:second],
        dict(zip(learnt, arrays[second:-1], strict=True)),
        arrays[-1],
    )


def chained(of: Subject, given: Given, grads: dict[str, float]) -> dict[str, float]:
    """Gradients of the scalars that a kernel takes, params and what is worked out of them, as those of params alone."""
    params = {
        name: torch.tensor(v, dtype=torch.float64, requires_grad=True)
        if isinstance(v, float)
        else v
        for name, v in given.params.items()
    }
    dt = torch.tensor(of.dt, dtype=torch.float64, requires_grad=True)
    values = [torch.from_numpy(v) if isinstance(v, np.ndarray) else v for v in params.values()]
    made = of.eager.definition.uniforms(*values, dt)
    scalars = {**params, "dt": dt, **{f"u{place}": u for place, u in enumerate(made)}}
    total = sum(g * scalars[name] for name, g in grads.items())
    learnt = {n: v for n, v in {**params, "dt": dt}.items() if isinstance(v, Tensor)}
    if not isinstance(total, Tensor):
        return dict.fromkeys(learnt, 0.0)
    found = torch.autograd.grad(total, list(learnt.values()), allow_unused=True)
    return {n: 0.0 if g is None else float(g) for n, g in zip(learnt, found, strict=True)}


def uniforms(of: Subject, given: Given) -> list[float]:
    """What is worked out of params once for all neurons."""
    return [float(u) for u in of.eager.definition.uniforms(*given.params.values(), of.dt)]


def _tensors(arrays: Sequence[Array], kind: Any) -> list[Tensor]:
    return [torch.from_numpy(a.astype(kind)) for a in arrays]


def _spread(value: Any, each: tuple[int, ...], kind: Any) -> Any:
    """A param as one of each neuron's own; booleans stay."""
    if isinstance(value, bool):
        return value
    whole = np.asarray(value, kind).reshape((*np.shape(value), *(1 for _ in each)))
    array = np.broadcast_to(whole, (*np.shape(value), *each))
    return torch.from_numpy(array.copy()).requires_grad_()


def _values_at(of: Subject, params: dict[str, Any], kind: Any) -> Callable[[int], Sequence[Any]]:
    arrays = {n: torch.from_numpy(v.astype(kind)) for n, v in params.items() if np.ndim(v)}

    def at(step: int) -> Sequence[Any]:
        return [arrays[n][step] if n in arrays else v for n, v in params.items()]

    return at


def _run(
    of: Subject,
    inputs: list[Tensor],
    states: list[Tensor],
    values: Callable[[int], Sequence[Any]],
    dt: Any,
    detached: bool,
) -> Results:
    first = inputs[0]
    now: tuple[Tensor, ...] = tuple(states)
    rows: list[tuple[Any, ...]] = []
    recorded: list[tuple[Any, ...]] = []
    before = []
    for step in range(first.shape[0]):
        before.append(now)
        t = torch.tensor(float(step), dtype=first.dtype)
        given = (x[step] for x in inputs)
        made, after, more = of.eager.trace(*given, *now, *values(step), dt, t, detached, True)
        now = tuple(_filled(value, first) for value in after)
        rows.append(tuple(_filled(value, first) for value in made))
        recorded.append(tuple(_filled(value, first) for value in more))
    definition = of.eager.definition
    return Results(
        [_stacked([r[i] for r in rows], first) for i in range(len(definition.written))],
        [_stacked([r[i] for r in recorded], first) for i in range(len(definition.recordable))],
        list(now),
        before,
    )


def _stacked(rows: list[Tensor], first: Tensor) -> Tensor:
    return torch.stack(rows) if rows else torch.empty_like(first)


def _filled(value: Any, first: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        return first.new_full(first.shape[1:], float(value))
    return value.to(first.dtype).expand(first.shape[1:])
