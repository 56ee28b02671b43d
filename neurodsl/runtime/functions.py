"""The language's functions on tensors and floats, for the eager reference.

Floats are worked out in float64, tensors in their own dtype, as PyTorch does with numbers beside tensors. Subgradients
are those that the language promises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from neurodsl.matrix_functions import phi as matrix_phi

Value = Any
"""A tensor or a float."""


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What stands in for the derivative of a spike: a primitive, or the derivative itself, as functions of u."""

    name: str
    primitive: Callable[..., Value] | None
    gradient: Callable[..., Value] | None
    value: Callable[..., Value] | None = None
    """What is fired, instead of 0 or 1."""


def _on_tensors(function: Callable[[Tensor], Tensor]) -> Callable[[Value], Value]:
    """`function` for a tensor; for a float, through a float64 tensor."""

    def either_way(x: Value) -> Value:
        if isinstance(x, Tensor):
            return function(x)
        return function(torch.tensor(float(x), dtype=torch.float64)).item()

    return either_way


def _exprel(x: Tensor) -> Tensor:
    zero = x == 0
    e = torch.expm1(x)
    quotient = e / torch.where(zero | e.isposinf(), 1, x)
    return torch.where(zero, 1 + x / 2, quotient)


def _softplus(x: Tensor) -> Tensor:
    return torch.relu(x) + torch.log1p(torch.exp(-torch.abs(x)))


def _apply(function: Any, *arguments: Any) -> Any:
    return function.apply(*arguments)


class _Softplus(torch.autograd.Function):
    """log(1 + e^x) without a cut; its derivative is the sigmoid."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _softplus(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.sigmoid(x)


exp = _on_tensors(torch.exp)
log = _on_tensors(torch.log)
expm1 = _on_tensors(torch.expm1)
log1p = _on_tensors(torch.log1p)
exprel = _on_tensors(_exprel)
sqrt = _on_tensors(torch.sqrt)
rsqrt = _on_tensors(torch.rsqrt)
absolute = _on_tensors(torch.abs)
sign = _on_tensors(lambda x: torch.where(x.isnan(), x, torch.sign(x)).detach())
floor = _on_tensors(lambda x: torch.floor(x).detach())
ceil = _on_tensors(lambda x: torch.ceil(x).detach())
round = _on_tensors(lambda x: torch.round(x).detach())
sin = _on_tensors(torch.sin)
cos = _on_tensors(torch.cos)
tan = _on_tensors(torch.tan)
atan = _on_tensors(torch.atan)
erf = _on_tensors(torch.erf)
sigmoid = _on_tensors(torch.sigmoid)
tanh = _on_tensors(torch.tanh)
softplus = _on_tensors(lambda x: _apply(_Softplus, x))
relu = _on_tensors(torch.relu)
heaviside = _on_tensors(lambda x: (x >= 0).to(x.dtype))


def _paired(a: Value, b: Value) -> tuple[Tensor, Tensor]:
    """Both as tensors of one dtype; two floats as float64."""
    like = next((x for x in (a, b) if isinstance(x, Tensor) and x.is_floating_point()), None)
    dtype, device = (torch.float64, None) if like is None else (like.dtype, like.device)
    return tuple(  # type: ignore[return-value]
        x if isinstance(x, Tensor) else torch.tensor(float(x), dtype=dtype, device=device)
        for x in (a, b)
    )


def _pairwise(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Value]:
    def two(a: Value, b: Value) -> Value:
        made = function(*_paired(a, b))
        return made if isinstance(a, Tensor) or isinstance(b, Tensor) else made.item()

    return lambda *values: reduce(two, values)


minimum = _pairwise(torch.minimum)
maximum = _pairwise(torch.maximum)
divide = _pairwise(torch.true_divide)


def chain(operators: str, first: Value, *rest: Value) -> Value:
    """`first` and the rest, joined by `+`, `-`, `*` or `/`, from left to right."""
    total = first
    for operator, value in zip(operators, rest, strict=True):
        match operator:
            case "+":
                total = total + value
            case "-":
                total = total - value
            case "*":
                total = total * value
            case _:
                total = total / value if isinstance(total, Tensor) else divide(total, value)
    return total


def clip(x: Value, low: Value, high: Value) -> Value:
    """x, but no less than low and no more than high; NaN passes."""
    if any(isinstance(v, Tensor) for v in (x, low, high)):
        x, low = _paired(x, low)
        x, high = _paired(x, high)
        return torch.clamp(x, low, high)
    return clip(torch.tensor(float(x), dtype=torch.float64), low, high).item()


def power(base: Value, exponent: Value) -> Value:
    """Base ^ exponent: squares and cubes are products, roots and reciprocals what they are."""
    if not isinstance(base, Tensor) and not isinstance(exponent, Tensor):
        return torch.pow(*_paired(base, exponent)).item()
    if not isinstance(exponent, Tensor):
        special: dict[float, Callable[[Value], Value]] = {
            1.0: lambda x: x,
            2.0: lambda x: x * x,
            3.0: lambda x: x * x * x,
            0.5: sqrt,
            -0.5: rsqrt,
            -1.0: lambda x: divide(1.0, x),
            -2.0: lambda x: divide(1.0, x * x),
        }
        if float(exponent) in special:
            return special[float(exponent)](base)
    return torch.pow(*_paired(base, exponent))


def both(*values: Value) -> Value:
    """Logical and; a spike counts where it is not 0."""
    return reduce(lambda a, b: a & b, (_truth(v) for v in values))


def either(*values: Value) -> Value:
    """Logical or."""
    return reduce(lambda a, b: a | b, (_truth(v) for v in values))


def invert(value: Value) -> Value:
    """Logical not."""
    return ~_truth(value) if isinstance(value, Tensor) else not value


def _truth(value: Value) -> Value:
    return value != 0 if isinstance(value, Tensor) and value.dtype is not torch.bool else value


def where(condition: Value, a: Value, b: Value) -> Value:
    """`a if condition else b` for a boolean; no gradient to the condition."""
    if isinstance(condition, Tensor):
        if isinstance(a, Tensor) or isinstance(b, Tensor):
            return torch.where(condition, *_paired(a, b))
        return torch.where(condition, torch.tensor(a), torch.tensor(b))
    return a if condition else b


def alike(tensor: Tensor, value: Value) -> Tensor:
    """A value as a tensor of the dtype and device of another."""
    if isinstance(value, Tensor):
        return value
    return torch.tensor(float(value), dtype=tensor.dtype, device=tensor.device)


class _Choose(torch.autograd.Function):
    """`a if s else b` for a spike: its gradient is g * (a - b); the arm that is not taken gets exactly 0.

    Where g is 0 that is 0, even if an arm is infinite, as the time of the last spike is before the first.
    """

    @staticmethod
    def forward(ctx: Any, s: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(s, a, b)
        return torch.where(s != 0, a, b)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        s, a, b = ctx.saved_tensors
        to_spike = torch.where((a - b).isinf() & (g == 0), 0, g * (a - b))
        if torch.is_grad_enabled():  # differentiated again, also by the spike
            zero = torch.zeros_like(g)
            arms = _apply(_Choose, s, g, zero), _apply(_Choose, s, zero, g)
        else:
            taken = s != 0
            arms = torch.where(taken, g, 0), torch.where(taken, 0, g)
        return tuple(
            part.sum_to_size(x.shape) if needed else None
            for part, x, needed in zip(
                (to_spike, *arms), (s, a, b), ctx.needs_input_grad, strict=True
            )
        )


def choose(s: Value, a: Value, b: Value, spiking: bool) -> Value:
    """`a if s else b` for a spike; where spikes are their primitives, `s * a + (1 - s) * b`."""
    if not spiking:
        return s * a + (1 - s) * b
    if not isinstance(s, Tensor):
        return a if s else b
    return _apply(_Choose, s, _paired(a, s)[0], _paired(b, s)[0])


def where_guarded(
    condition: Value, a: Callable[..., Value], b: Callable[..., Value], *values: Value
) -> Value:
    """`where` with arms that are functions of `values`; through the arm not taken these get a gradient of exactly 0."""
    if not isinstance(condition, Tensor):
        return a(*values) if condition else b(*values)
    taken = a(*(_only(condition, value) for value in values))
    return where(condition, taken, b(*(_only(~condition, value) for value in values)))


def choose_guarded(
    s: Value, a: Callable[..., Value], b: Callable[..., Value], spiking: bool, *values: Value
) -> Value:
    """`choose` with arms that are functions of `values`, as in `where_guarded`."""
    if not spiking or not isinstance(s, Tensor):
        return choose(s, a(*values), b(*values), spiking)
    fired = s != 0
    taken = a(*(_only(fired, value) for value in values))
    return choose(s, taken, b(*(_only(~fired, value) for value in values)), spiking)


def _only(condition: Tensor, value: Value) -> Value:
    """A value whose gradient ends where the condition does not hold, even if it is NaN there."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        return value
    value = value.expand(torch.broadcast_shapes(condition.shape, value.shape))  # type: ignore[no-untyped-call]
    return torch.where(condition, value, value.detach())


def detach(x: Value) -> Value:
    """X without its gradient."""
    return x.detach() if isinstance(x, Tensor) else x


def detach_if(wanted: bool, s: Value) -> Value:
    """A spike as a reset reads it."""
    return detach(s) if wanted else s


class _Spike(torch.autograd.Function):
    """Fired or not; backward, the surrogate's derivative, by autograd through its primitive where it is not given.

    That derivative has one of its own: where a graph of the backward pass is wanted, it goes on to u and the arguments.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, fired: Tensor, surrogate: Surrogate, *arguments: Value
    ) -> Tensor:
        ctx.save_for_backward(u, *(a for a in arguments if isinstance(a, Tensor)))
        ctx.surrogate = surrogate
        ctx.numbers = tuple(None if isinstance(a, Tensor) else a for a in arguments)
        return fired.to(u.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        u, *tensors = ctx.saved_tensors
        left = iter(tensors)
        arguments = [next(left) if number is None else number for number in ctx.numbers]
        surrogate, wanted = ctx.surrogate, ctx.needs_input_grad[3:]
        given = surrogate.gradient is not None
        none: list[Tensor | None] = [None, None, *(None for _ in wanted)]
        if given and (surrogate.primitive is None or not any(wanted)):
            return g * surrogate.gradient(u, *arguments), *none
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            v = _variable(u, again)
            arguments = [
                _variable(a, again) if need else a
                for a, need in zip(arguments, wanted, strict=True)
            ]
            value = surrogate.primitive(v, *arguments)
            learnt = [a for a, need in zip(arguments, wanted, strict=True) if need]
            made = torch.autograd.grad(
                value, [v, *learnt], g, allow_unused=True, create_graph=again
            )
        to_u = g * surrogate.gradient(u, *arguments) if given else made[0]
        rest = iter(made[1:])
        return to_u, None, None, *(next(rest) if need else None for need in wanted)


def _variable(x: Tensor, again: bool) -> Tensor:
    """What can be differentiated by, apart from all else; with the graph behind it if it is differentiated again."""
    return x.view_as(x) if again and x.requires_grad else x.detach().requires_grad_()


def spike(
    u: Tensor,
    fired: Tensor | None,
    surrogate: Surrogate,
    arguments: tuple[Value, ...],
    spiking: bool,
) -> Value:
    """1 where `fired` (where u >= 0 if None), else 0; with `spiking` false, the surrogate's primitive at u.

    Raises:
        ValueError: `spiking` is false and the surrogate has no primitive.
    """
    if not spiking:
        if surrogate.primitive is None:
            raise ValueError(
                f"the surrogate {surrogate.name} has no primitive: spiking=False needs one"
            )
        return surrogate.primitive(u, *arguments)
    if surrogate.value is not None:
        fired = surrogate.value(u.detach(), *(detach(a) for a in arguments))
    elif fired is None:
        fired = u >= 0
    return _apply(_Spike, u, fired, surrogate, *arguments)


def phi(row: int, column: int, *entries: Value) -> Value:
    """An entry of (exp(M) - 1) / M, M a square matrix given row by row (neurodsl/matrix_functions.py)."""
    size = math.isqrt(len(entries))
    like = next((x for x in entries if isinstance(x, Tensor)), None)
    if like is None:
        return matrix_phi(tuple(float(x) for x in entries))[row * size + column]
    flat = [alike(like, x).to(torch.float64) for x in entries]
    matrix = torch.stack(flat).reshape(size, size)
    one = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    upper = torch.cat([matrix, one], dim=1)
    exponential = torch.linalg.matrix_exp(torch.cat([upper, torch.zeros_like(upper)]))
    return exponential[row, size + column].to(like.dtype)


def drawn(draws: Any, place: int, kind: str, like: Tensor) -> Tensor:
    """The standard draw of one step: what was handed in, or fresh numbers from PyTorch's generator."""
    if draws is not None:
        found: Tensor = draws[place]
        return found
    return torch.randn_like(like) if kind == "normal" else torch.rand_like(like)
