"""Runs a plan with NumPy, step by step, as its docstrings say: the meaning that every back end must have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan
from neurodsl.ir.nodes import Const, Expr, IRType, Program, Var

Array = Any
"""A NumPy array of one number a neuron, or one number."""

_erf = np.frompyfunc(math.erf, 1, 1)


def _exprel(x: Array) -> Array:
    return np.where(x == 0, 1, np.expm1(x) / np.where(x == 0, 1, x))


def _extreme(choose: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda a, b: np.where(np.isnan(a), a, np.where(np.isnan(b), b, choose(a, b)))


OPERATIONS: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "square": lambda x: x * x,
    "cube": lambda x: x * x * x,
    "pow": np.power,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "select": np.where,
    "to_real": lambda x: np.where(x, 1.0, 0.0),
    "exp": np.exp,
    "log": np.log,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "exprel": _exprel,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "min": _extreme(np.minimum),
    "max": _extreme(np.maximum),
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "erf": lambda x: np.asarray(_erf(x), dtype=np.float64),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(0, x),
    "relu": lambda x: np.where(x < 0, 0.0, x),
    "heaviside": lambda x: np.where(x >= 0, 1.0, 0.0),
}
"""Every operator on arrays."""


def evaluate(e: Expr, values: Mapping[str, Array]) -> Array:
    """One expression."""
    if isinstance(e, Const):
        return np.bool_(e.value) if e.type is IRType.BOOL else np.float64(e.value)
    if isinstance(e, Var):
        return values[e.name]
    return OPERATIONS[e.name](*(evaluate(a, values) for a in e.args))


def run(program: Program, values: dict[str, Array]) -> None:
    """Add a program's variables to `values`."""
    for assign in program:
        values[assign.target.name] = evaluate(assign.value, values)


@dataclass(frozen=True, slots=True)
class ForwardResult:
    """By name: outputs and recorded values `[T, N]`, final states `[N]`, what was saved `[T, N]`."""

    outputs: dict[str, Array]
    finals: dict[str, Array]
    recorded: dict[str, Array]
    saved: dict[str, Array]


@dataclass(frozen=True, slots=True)
class BackwardResult:
    """By name: gradients of inputs `[T, N]`, initial states `[N]`, scalars (numbers)."""

    inputs: dict[str, Array]
    states: dict[str, Array]
    scalars: dict[str, float]


def forward(
    plan: KernelPlan,
    inputs: Mapping[str, Array],
    initial: Mapping[str, Array],
    scalars: Mapping[str, Array],
) -> ForwardResult:
    """All time steps, in float64.

    Args:
        plan: the neuron's.
        inputs: `[T, N]` each.
        initial: `[N]` each.
        scalars: by Scalar.name, uniforms included.
    """
    step = plan.forward
    states = {carry.incoming.name: initial[carry.name] for carry in step.states}
    rows: dict[str, list[Array]] = {}
    steps, neurons = next(iter(inputs.values())).shape
    for t in range(steps):
        values = _begin(plan, scalars, t) | states
        values |= {b.value.name: inputs[b.name][t] for b in step.inputs if isinstance(b.value, Var)}
        run(step.step, values)
        ends = [("o:" + b.name, b.value) for b in step.outputs]
        ends += [("r:" + b.name, b.value) for b in step.recordable]
        ends += [("s:" + var.name, var) for var in plan.saved]
        for name, value in ends:
            row = np.broadcast_to(evaluate(value, values), (neurons,))
            rows.setdefault(name, []).append(row)
        states = {
            c.incoming.name: np.broadcast_to(evaluate(c.outgoing, values), (neurons,))
            for c in step.states
        }
    stacked = {name: np.stack(row) for name, row in rows.items()}

    def of(prefix: str) -> dict[str, Array]:
        return {name[2:]: value for name, value in stacked.items() if name.startswith(prefix)}

    finals = {c.name: states[c.incoming.name] for c in step.states}
    return ForwardResult(of("o:"), finals, of("r:"), of("s:"))


def _begin(plan: KernelPlan, scalars: Mapping[str, Array], t: int) -> dict[str, Array]:
    values: dict[str, Array] = {s.var.name: scalars[s.name] for s in plan.scalars}
    values[plan.time.name] = np.float64(t)
    return values


def backward(
    plan: KernelPlan,
    chosen: BackwardPlan,
    inputs: Mapping[str, Array],
    initial: Mapping[str, Array],
    scalars: Mapping[str, Array],
    grad_outputs: Mapping[str, Array],
    grad_finals: Mapping[str, Array],
    saved: Mapping[str, Array],
) -> BackwardResult:
    """All time steps backwards, in float64; nothing was recorded. Arguments as of `forward`."""
    steps, neurons = next(iter(inputs.values())).shape
    tapes = _tapes(plan, chosen, inputs, initial, scalars, saved)
    carried = {c.incoming.name: grad_finals[c.name] for c in chosen.adjoints}
    grads = {name: np.zeros((steps, neurons)) for name in plan.inputs}
    sums = {b.name: 0.0 for b in chosen.grad_scalars}
    for t in reversed(range(steps)):
        values = _begin(plan, scalars, t) | tapes[t] | carried
        run(chosen.prologue, values)
        for binding in chosen.reverse_inputs:
            values[_name(binding.value)] = inputs[binding.name][t]
        for binding in chosen.grad_outputs:
            values[_name(binding.value)] = grad_outputs[binding.name][t]
        values |= {_name(b.value): np.float64(0) for b in chosen.grad_recorded}
        run(chosen.reverse, values)
        for binding in chosen.grad_inputs:
            grads[binding.name][t] = evaluate(binding.value, values)
        for binding in chosen.grad_scalars:
            row = np.broadcast_to(evaluate(binding.value, values), (neurons,))
            sums[binding.name] += float(row.sum())
        carried = {c.incoming.name: evaluate(c.outgoing, values) for c in chosen.adjoints}
    states = {
        c.name: np.broadcast_to(carried[c.incoming.name], (neurons,)) for c in chosen.adjoints
    }
    return BackwardResult(grads, states, sums)


def _name(e: Expr) -> str:
    assert isinstance(e, Var)
    return e.name


def _tapes(
    plan: KernelPlan,
    chosen: BackwardPlan,
    inputs: Mapping[str, Array],
    initial: Mapping[str, Array],
    scalars: Mapping[str, Array],
    saved: Mapping[str, Array],
) -> list[dict[str, Array]]:
    """The tape of every step: read, or worked out again."""
    steps = next(iter(inputs.values())).shape[0]
    if plan.saved:
        return [{var.name: saved[var.name][t] for var in chosen.tape} for t in range(steps)]
    states = {c.incoming.name: initial[c.name] for c in chosen.recompute_states}
    tapes = []
    for t in range(steps):
        values = _begin(plan, scalars, t) | states
        run(chosen.prologue, values)
        values |= {_name(b.value): inputs[b.name][t] for b in chosen.recompute_inputs}
        run(chosen.recompute, values)
        tapes.append({var.name: values[var.name] for var in chosen.tape})
        states = {c.incoming.name: evaluate(c.outgoing, values) for c in chosen.recompute_states}
    return tapes
