"""Params of a module: numbers, 0-dim tensors, learnable parameters; checked, and read as the step wants them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neurodsl.runtime.errors import UnsupportedError

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


def checked(neuron: str, param: Param, value: Any) -> Any:
    """A value as it is kept: a float, a bool, or a 0-dim tensor.

    Raises:
        TypeError, ValueError: it is no number, or outside its interval.
        UnsupportedError: a tensor with dimensions.
    """
    where = f"{neuron}: {param.python}"
    if value is None:
        if param.name == "v_reset":
            raise ValueError(
                f"{where}=None: a soft reset is a neuron of its own; use Soft{neuron} instead of {neuron}"
            )
        raise TypeError(f"{where} must be given")
    if param.boolean:
        return bool(value)
    if isinstance(value, Tensor):
        if value.dim():
            raise UnsupportedError(
                f"{where}: params with a shape are not yet supported, only 0-dim tensors"
            )
        number = float(value.detach())
    else:
        try:
            value = number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"{where} must be a number, not {type(value).__name__}") from None
    if param.interval is not None:
        low, high, low_open, high_open, text = param.interval
        inside = (number > low if low_open else number >= low) and (
            number < high if high_open else number <= high
        )
        if not inside:
            raise ValueError(f"{where}={number:g} is not in {text}")
    return value


def raw_value(neuron: str, param: Param, value: Any) -> Tensor:
    """The unconstrained value behind a param with `via`."""
    assert param.via is not None
    try:
        raw = _INVERSE[param.via](float(value))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(
            f"{neuron}: {param.python}={float(value):g} cannot be {param.via} of a number"
        ) from None
    return torch.tensor(raw, dtype=torch.get_default_dtype())


def through(via: str, raw: Tensor) -> Tensor:
    """The value of a param with `via`."""
    return _FORWARD[via](raw)


def plain(value: Any) -> Any:
    """A number in place of a 0-dim tensor."""
    return value.item() if isinstance(value, Tensor) else value
