"""Params with a shape: their sizes beside the input's, and how the eager step reads them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import torch
from torch import Tensor

from neurodsl.runtime.params import Param


def given_shapes(params: Sequence[Param], values: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    """The shapes of tensors that were given for params without one: 1-D is per channel, else per neuron."""
    return {
        param.name: ("channel",) if value.dim() == 1 else ("neuron",)
        for param, value in zip(params, values, strict=True)
        if isinstance(value, Tensor) and value.dim() and not param.shape
    }


Sizes = tuple[int | None, tuple[int, ...] | None, int | None]
"""Channels, the shape of the neurons, steps; None where the constructor was not told."""


def sizes_of(neuron: str, channels: Any, neurons: Any, steps: Any) -> Sizes:
    """What a constructor was told of sizes.

    Raises:
        TypeError, ValueError: one is no whole number, or below 0.
    """
    shape = None
    if neurons is not None:
        several = tuple(neurons) if isinstance(neurons, tuple | list) else (neurons,)
        shape = tuple(_count(f"{neuron}: neurons", size) for size in several)
    return (
        None if channels is None else _count(f"{neuron}: channels", channels),
        shape,
        None if steps is None else _count(f"{neuron}: steps", steps),
    )


def _count(where: str, value: Any) -> int:
    try:
        size = index(value)
    except TypeError:
        raise TypeError(f"{where} must be a whole number, not {value!r}") from None
    if size < 0:
        raise ValueError(f"{where} is {size}; it must be 0 or more")
    return size


def declared_size(
    param: Param, channels: int | None, neurons: tuple[int, ...] | None, steps: int | None
) -> tuple[int, ...] | None:
    """The size of a declared param as far as the constructor was told; None if it was not."""
    sizes: dict[str, Any] = {"channel": channels, "neuron": neurons, "time": steps}
    parts = [sizes[axis] for axis in param.shape]
    if any(part is None for part in parts):
        return None
    return tuple(size for part in parts for size in (part if isinstance(part, tuple) else (part,)))


def of_call(
    neuron: str, param: Param, value: Any, x: Tensor, dtype: torch.dtype, first_step: int
) -> Tensor:
    """A param's values for the input `x` `[T, B, C, *]`: `[C]`, `[C, *]`, `[T]` or `[T, C]`.

    Raises:
        ValueError: there are not as many as the input wants.
    """
    where = f"{neuron}: {param.python}[{', '.join(param.shape)}]"
    if "channel" in param.shape and x.dim() < 3:
        raise ValueError(
            f"{where} has a value for each channel, which is dimension 1 of [B, C, *]; the input {tuple(x.shape)} "
            "has no such dimension"
        )
    wanted: tuple[int, ...] = ()
    for axis in param.shape:
        wanted += {"channel": x.shape[2:3], "neuron": x.shape[2:], "time": x.shape[:1]}[axis]
    if not isinstance(value, Tensor):
        return torch.full(wanted, float(value), dtype=dtype, device=x.device)
    values: Tensor = value.to(dtype)
    if not values.dim():
        return values.expand(wanted)
    if "time" in param.shape:
        if values.shape[0] < first_step + x.shape[0]:
            raise ValueError(
                f"{where} has values for {values.shape[0]} time steps, and this call ends with step "
                f"{first_step + x.shape[0]}; call reset() between sequences, or give more values"
            )
        values = values[first_step : first_step + x.shape[0]]
    if values.shape != wanted:
        have, want = tuple(values.shape), tuple(wanted)
        raise ValueError(
            f"{where} has the shape {have}, and the input {tuple(x.shape)} wants {want}"
        )
    return values


def beside(param: Param, value: Any, x: Tensor, step: int) -> Any:
    """The values of one step, shaped so that they go with `[B, C, *]`; what has no shape is left as it is."""
    if not param.shape:
        return value
    if "time" in param.shape:
        value = value[step] if value.shape[0] else value.new_zeros(value.shape[1:])
    if "channel" in param.shape:
        return value.reshape(-1, *(1 for _ in x.shape[3:]))
    return value
