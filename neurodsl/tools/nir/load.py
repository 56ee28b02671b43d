"""From NIR: a node becomes a module, a graph a network of them over `[T, B, *]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurodsl.tools.nir.errors import NIRError, nir_package
from neurodsl.tools.nir.primitives import class_of, value_of

NEURONS: dict[str, tuple[str, ...]] = {
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "Threshold": ("threshold",),
}
"""NIR's neurons and their parameters, which ours have under the same names."""


def from_nir(graph: Any, *, dt: float = 1.0, solver: str = "euler", **options: Any) -> nn.Module:
    """A module that does what a NIR graph or node says, over `[T, B, *]`.

    Args:
        graph: a `nir.NIRGraph`, or one of the nodes I, IF, LI, LIF, CubaLI, CubaLIF, Threshold.
        dt: the length of a step, in the unit of the graph's time constants (norse: 0.001, in seconds).
        solver: `euler`, as most frameworks do it, or `exact`.
        options: for every neuron's constructor, such as `surrogate=` or `backend=`.

    Raises:
        NIRError: something in it cannot be run here.
        ImportError: the package `nir` is not installed.
    """
    nir = nir_package()
    if isinstance(graph, nir.NIRGraph):
        return NIRNetwork(graph, dt=dt, solver=solver, options=options)
    return _module(graph, dt, solver, options)


class NIRNetwork(nn.Module):
    """A NIR graph: each node once a call, in the order of the edges, over all time steps; several edges into a node
    add up. Neurons are submodules under the names of their nodes.
    """

    def __init__(self, graph: Any, *, dt: float, solver: str, options: dict[str, Any]) -> None:
        super().__init__()
        nir = nir_package()
        self._edges = sorted({(str(a), str(b)) for a, b in graph.edges})
        self._order = _ordered([str(name) for name in graph.nodes], self._edges)
        self._names = {name: f"node_{name.replace('.', '_')}" for name in self._order}
        self._ends: dict[str, str] = {}
        self.input_shape: tuple[int, ...] = ()
        for name in self._order:
            node = graph.nodes[name]
            if isinstance(node, (nir.Input, nir.Output)):
                self._ends[name] = type(node).__name__
                if isinstance(node, nir.Input):
                    self.input_shape = tuple(int(n) for n in node.input_type["input"])
            elif isinstance(node, nir.NIRGraph):
                inner = NIRNetwork(node, dt=dt, solver=solver, options=options)
                self.add_module(self._names[name], inner)
            else:
                self.add_module(self._names[name], _module(node, dt, solver, options))
        for what in ("Input", "Output"):
            if list(self._ends.values()).count(what) != 1:
                raise NIRError(
                    f"a graph with one {what} can be run, not with {list(self._ends.values()).count(what)}"
                )

    def node(self, name: str) -> nn.Module:
        """The module of a node."""
        return self.get_submodule(self._names[name])

    def names(self) -> tuple[str, ...]:
        """Every node, in the order in which they run."""
        return tuple(self._order)

    def edges(self) -> tuple[tuple[str, str], ...]:
        """The graph's edges."""
        return tuple(self._edges)

    def ends(self) -> dict[str, str]:
        """`Input` or `Output` for the names of those two nodes."""
        return dict(self._ends)

    def reset(self) -> None:
        """Forget the states of every neuron."""
        for module in self.modules():
            if (
                module is not self
                and hasattr(module, "reset")
                and not isinstance(module, NIRNetwork)
            ):
                module.reset()  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """The output `[T, B, *]` of an input `[T, B, *]`."""
        values: dict[str, Tensor] = {}
        for name in self._order:
            given = [values[a] for a, b in self._edges if b == name]
            if self._ends.get(name) == "Input":
                given = [x]
            total = given[0]
            for other in given[1:]:
                total = total + other
            values[name] = total if name in self._ends else self.node(name)(total)
        return values[next(name for name, what in self._ends.items() if what == "Output")]


def _ordered(names: list[str], edges: list[tuple[str, str]]) -> list[str]:
    """The nodes so that each comes after those that it reads.

    Raises:
        NIRError: there is a loop.
    """
    waiting, made = list(names), []
    while waiting:
        ready = [n for n in waiting if all(a not in waiting for a, b in edges if b == n)]
        if not ready:
            raise NIRError(
                f"the nodes {', '.join(waiting)} are in a loop; a recurrent connection is a `feedback` of a neuron here"
            )
        made += ready
        waiting = [n for n in waiting if n not in ready]
    return made


class OverTime(nn.Module):
    """A layer for `[B, *]` applied to every step of `[T, B, *]`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """All steps as one batch."""
        y: Tensor = self.layer(x.flatten(0, 1))
        return y.reshape(*x.shape[:2], *y.shape[1:])


def _module(node: Any, dt: float, solver: str, options: dict[str, Any]) -> nn.Module:
    kind = type(node).__name__
    if kind in NEURONS:
        values = {name: value_of(getattr(node, name)) for name in NEURONS[kind]}
        shaped = any(isinstance(value, Tensor) for value in values.values())
        if solver == "exact" and kind.startswith("Cuba") and shaped:
            raise NIRError(
                f"the node {kind} has another value for each neuron, which solver='exact' cannot take; use 'euler'"
            )
        made: nn.Module = class_of(kind, solver)(**values, dt=dt, **options)
        return made
    if kind not in _LAYERS:
        known = ", ".join((*NEURONS, *_LAYERS))
        raise NIRError(f"a node {kind} cannot be run here; there are {known}")
    return OverTime(_LAYERS[kind](node))


def _with_weights(layer: nn.Module, weight: Any, bias: Any = None) -> nn.Module:
    with torch.no_grad():
        for name, value in (("weight", weight), ("bias", bias)):
            if value is not None:
                parameter = layer.get_parameter(name)
                parameter.copy_(torch.as_tensor(np.asarray(value)).reshape(parameter.shape))
    return layer


def _linear(node: Any) -> nn.Module:
    weight = np.asarray(node.weight)
    bias = getattr(node, "bias", None)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _with_weights(layer, weight, bias)


def _conv(cls: Any) -> Callable[[Any], nn.Module]:
    def make(node: Any) -> nn.Module:
        weight = np.asarray(node.weight)
        padding = node.padding if isinstance(node.padding, str) else _ints(node.padding)
        layer = cls(
            weight.shape[1] * node.groups,
            weight.shape[0],
            weight.shape[2:],
            stride=_ints(node.stride),
            padding=padding,
            dilation=_ints(node.dilation),
            groups=int(node.groups),
        )
        return _with_weights(layer, weight, node.bias)

    return make


def _ints(value: Any) -> Any:
    return tuple(int(v) for v in value) if np.ndim(value) else int(value)


def _pool(node: Any) -> nn.Module:
    return nn.AvgPool2d(_ints(node.kernel_size), _ints(node.stride), _ints(node.padding))


class _SumPool(nn.Module):
    """Sums instead of means."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self.size, self.stride, self.padding = (
            _ints(v) for v in (node.kernel_size, node.stride, node.padding)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The sums of each window."""
        return nn.functional.avg_pool2d(x, self.size, self.stride, self.padding, divisor_override=1)


class Scaled(nn.Module):
    """A product with fixed numbers."""

    scale: Tensor

    def __init__(self, scale: Any) -> None:
        super().__init__()
        self.register_buffer(
            "scale", torch.as_tensor(np.asarray(scale), dtype=torch.get_default_dtype())
        )

    def forward(self, x: Tensor) -> Tensor:
        """The product."""
        return x * self.scale


def _flatten(node: Any) -> nn.Module:
    return nn.Flatten(int(node.start_dim) + 1, -1 if node.end_dim == -1 else int(node.end_dim) + 1)


_LAYERS: dict[str, Callable[[Any], nn.Module]] = {
    "Affine": _linear,
    "Linear": _linear,
    "Scale": lambda node: Scaled(node.scale),
    "Conv1d": _conv(nn.Conv1d),
    "Conv2d": _conv(nn.Conv2d),
    "AvgPool2d": _pool,
    "SumPool2d": _SumPool,
    "Flatten": _flatten,
}
