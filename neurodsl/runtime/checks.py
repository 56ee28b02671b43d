"""What a module is given, checked before anything runs; errors say what to type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from neurodsl.runtime.errors import UnsupportedError

_PLAIN = (Tensor, nn.Parameter)


def as_tuple(values: Any) -> tuple[Tensor, ...]:
    """One tensor, or several, as a tuple."""
    return (values,) if isinstance(values, Tensor) else tuple(values)


def check_inputs(neuron: str, names: Sequence[str], inputs: Sequence[Any], *, single: bool) -> None:
    """Inputs must be floating-point tensors of one shape, dtype and device, `[T, B, *]` or `[B, *]`.

    Raises:
        TypeError, ValueError: they are not.
    """
    if len(inputs) != len(names):
        raise TypeError(
            f"{neuron} takes {len(names)} inputs ({', '.join(names)}), not {len(inputs)}"
        )
    for name, x in zip(names, inputs, strict=True):
        if not isinstance(x, Tensor):
            raise TypeError(f"{neuron}: {name} must be a tensor, not {type(x).__name__}")
        check_local(neuron, name, x)
        if not x.is_floating_point():
            raise TypeError(f"{neuron}: {name} is {x.dtype}; convert it, as in {name}.float()")
        if x.dim() < 1 + (not single) and not single:
            raise ValueError(
                f"{neuron}: {name} has shape {tuple(x.shape)}; step mode 'm' takes [T, B, *]"
            )
    first = inputs[0]
    for name, x in zip(names[1:], inputs[1:], strict=True):
        for what in ("shape", "dtype", "device"):
            if getattr(x, what) != getattr(first, what):
                raise ValueError(
                    f"{neuron}: {name} has {what} {getattr(x, what)}, {names[0]} has {getattr(first, what)}"
                )


def check_states(neuron: str, names: Sequence[str], states: Sequence[Tensor], x: Tensor) -> None:
    """States must have the shape of one step.

    Raises:
        ValueError: they have another, or stand on another device.
    """
    if len(states) != len(names):
        raise ValueError(
            f"{neuron} has {len(names)} states ({', '.join(names)}), not {len(states)}"
        )
    shape = x.shape[1:]
    for name, state in zip(names, states, strict=True):
        check_local(neuron, f"the state {name}", state)
        if state.shape != shape:
            raise ValueError(
                f"{neuron}: the state {name} has shape {tuple(state.shape)} and the input {tuple(x.shape[1:])} a step; "
                "call reset() before a batch of another shape"
            )
        if state.device != x.device:
            raise ValueError(
                f"{neuron}: the state {name} is on {state.device}, the input on {x.device}"
            )


def check_local(neuron: str, what: str, tensor: Tensor) -> None:
    """A tensor must have its values in this process: kernels read memory, and a DTensor has none of its own.

    Raises:
        UnsupportedError: it is a DTensor.
    """
    if type(tensor) not in _PLAIN and hasattr(tensor, "to_local"):
        raise UnsupportedError(
            f"{neuron}: {what} is a DTensor, spread over processes, and kernels read plain tensors. Under FSDP2 call "
            "the module that was given to fully_shard, which gathers its parameters for the call; elsewhere convert it "
            "with to_local() or full_tensor()"
        )
