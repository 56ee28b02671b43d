"""The kernels alone, on memory that is there: no module, no autograd, no allocation in the call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

import neurodsl
from neurodsl.runtime import custom_ops
from neurodsl.runtime.kernels import Kernels
from neurodsl.runtime.launch import Plan, counts_of
from neurodsl.tools.bench.contestants import made
from neurodsl.tools.bench.inputs import Given

COPY_TEXT = """
neuron Copy:
    input x
    output y
    charge:
        y = x
"""
"""A copy as our kernels make it: in the same order, with the same stores."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A forward and a backward launch on memory of their own; what they write is in `outputs` and `gradients`."""

    forward: Callable[[], None]
    backward: Callable[[], None]
    outputs: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]


def launched(module: Any, neuron: str, given: Given) -> Launched | None:
    """The launches for these inputs.

    None for a neuron with feedback, noise or params of a shape, which is more than one launch or takes more than
    numbers, and for dtypes that kernels do not compute in.
    """
    node = made(module, neuron, "fused", *_sizes(given))
    definition = node.definition
    plain = not (
        definition.feedbacks or definition.noises or any(p.shape for p in node_params(node))
    )
    if not plain or given.upstream.dtype not in (torch.float32, torch.float64):
        return None
    values = tuple(getattr(node, param.python) for param in definition.params)
    if any(isinstance(value, Tensor) for value in values):
        return None
    return _Calls(node, values, given).launched()


def node_params(node: Any) -> tuple[Any, ...]:
    """What a node's definition says of its params."""
    params: tuple[Any, ...] = node.definition.params
    return params


@cache
def copy_module() -> Any:
    """The copy as a compiled module."""
    return neurodsl.load(COPY_TEXT)


class _Calls:
    """The plans of a node's calls and the tensors that they take."""

    def __init__(self, node: Any, values: tuple[Any, ...], given: Given) -> None:
        self._definition, self._given = node.definition, given
        uniforms = self._definition.uniforms(*values, node.dt)
        starts = self._definition.initial(*values, node.dt)
        reals = (*values, node.dt, *uniforms, *starts)
        self._numbers = tuple(float(value) for value in reals)
        self._starts = starts
        self._kernels = Kernels(self._definition.manifest, self._definition.name)
        self._text = node._kernels.setup_text((), len(uniforms), (), False)
        self._x = given.plain[0]
        self._counts = counts_of(self._x, (0, -1))

    def launched(self) -> Launched:
        """Both launches, the forward one made once already, for what the backward one reads."""
        plan = self._plan()
        inputs = [*self._given.plain, *self._initial(plan)]
        outputs = [torch.empty_like(self._x) for _ in self._definition.written]
        ends = [self._state() for _ in self._definition.states]
        saved = [one.empty(self._x, None) for one in plan.saved]
        plan.train([*inputs, *outputs, *ends, *saved], self._numbers, self._counts)
        gradients = [torch.empty_like(x) for x in self._given.plain]
        silent = [None] * (len(outputs) - 1 + len(ends))
        unwanted = [None] * len(ends)
        back = [*inputs, *saved, self._given.upstream, *silent, *gradients, *unwanted]
        there = [*inputs, *outputs, *ends]
        numbers, counts = self._numbers, self._counts
        return Launched(
            lambda: plan.forward(there, numbers, counts),
            lambda: plan.backward(back, numbers, counts),
            tuple(outputs),
            tuple(gradients),
        )

    def _plan(self) -> Plan:
        setup = custom_ops.setup_of(self._text)
        return self._kernels.plan(setup, self._x.dtype, self._x.device)

    def _state(self) -> Tensor:
        return torch.empty_like(self._x[0])

    def _initial(self, plan: Plan) -> list[Tensor | None]:
        pairs = zip(plan.startable, self._starts, strict=True)
        return [None if number else self._state().fill_(start) for number, start in pairs]


def _sizes(given: Given) -> tuple[int, int]:
    return given.upstream.shape[0], given.upstream.shape[-1]
