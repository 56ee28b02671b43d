"""Params of a module: numbers, 0-dim tensors, learnable parameters; checked, and read as the step wants them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_FORWARD: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "sigmoid": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
}
_INVERSE: dict[str, Callable[[float], float]] = {
    "exp": math.log,
    "sigmoid": lambda p: math.log(p / (1 - p)),
    "softplus": lambda p: math.log(math.expm1(p)),
}


@dataclass(frozen=True, slots=True)
class Param:
    """A declared param. `python` is its name in Python; `interval` is (low, high, open, open, text)."""

    name: str
    python: str
    interval: tuple[float, float, bool, bool, str] | None = None
    learnable: bool = False
    via: str | None = None
    boolean: bool = False
    computed: Callable[..., Any] | None = None
    shape: tuple[str, ...] = ()
    """Its axes: `channel`, `neuron`, `time`; none for a scalar."""


def checked(neuron: str, param: Param, value: Any) -> Any:
    """A value as it is kept: a float, a bool, or a tensor.

    Raises:
        TypeError, ValueError: it is no number, or outside its interval.
    """
    where = f"{neuron}: {param.python}"
    if value is None:
        if param.name == "v_reset":
            raise ValueError(
                f"{where}=None: a soft reset is a neuron of its own; use Soft{neuron} instead of {neuron}"
            )
        raise TypeError(f"{where} must be given")
    if param.boolean:
        return truth_of(where, value)
    if isinstance(value, Tensor):
        if not value.is_floating_point():
            value = value.to(torch.get_default_dtype())
        numbers = value.detach().flatten().tolist()
    else:
        value = number_of(where, value)
        numbers = [value]
    if param.interval is not None:
        low, high, low_open, high_open, text = param.interval
        for number in numbers:
            above = number > low if low_open else number >= low
            if not (above and (number < high if high_open else number <= high)):
                raise ValueError(f"{where}={number:g} is not in {text}")
    return value


def number_of(where: str, value: Any) -> float:
    """A number as a float.

    Raises:
        TypeError: it is none; a text is none either.
    """
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except (TypeError, ValueError, RuntimeError):
        pass
    raise TypeError(f"{where} must be a number, not {type(value).__name__}")


def truth_of(where: str, value: Any) -> bool:
    """True or false, or 1 or 0 for it.

    Raises:
        TypeError: it is anything else.
    """
    value = plain(value)
    try:
        if value in (False, True):
            return bool(value)
    except (ValueError, RuntimeError):  # an array
        pass
    shown = "a tensor with a shape" if isinstance(value, Tensor) else repr(value)
    raise TypeError(f"{where} must be True or False (or 1 or 0), not {shown}")


def raw_value(neuron: str, param: Param, value: Any) -> Tensor:
    """The unconstrained value behind a param with `via`."""
    assert param.via is not None
    try:
        if isinstance(value, Tensor) and value.dim():
            flat = [_INVERSE[param.via](number) for number in value.detach().flatten().tolist()]
            return torch.tensor(flat, dtype=torch.get_default_dtype()).reshape(value.shape)
        raw = _INVERSE[param.via](float(value))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(
            f"{neuron}: {param.python}={value!r} cannot be {param.via} of a number"
        ) from None
    return torch.tensor(raw, dtype=torch.get_default_dtype())


def through(via: str, raw: Tensor) -> Tensor:
    """The value of a param with `via`."""
    return _FORWARD[via](raw)


def plain(value: Any) -> Any:
    """A number in place of a 0-dim tensor."""
    return value.item() if isinstance(value, Tensor) and not value.dim() else value


def choose(what: str, value: Any, known: Sequence[str]) -> str:
    """An option that is one of several.

    Raises:
        ValueError: it is not.
    """
    if value not in known:
        raise ValueError(f"{what}={value!r}: choose from {', '.join(known)}")
    found: str = value
    return found
