"""What a module is given, checked before anything runs; errors say what to type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from neurodsl.runtime.errors import UnsupportedError

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_PLAIN = (Tensor, nn.Parameter)


def as_tuple(values: Any) -> tuple[Any, ...]:
    """One tensor or number, or several, as a tuple."""
    return (values,) if isinstance(values, Tensor | float | int) else tuple(values)


def in_order(
    neuron: str, names: Sequence[str], inputs: Sequence[Any], named: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Inputs in the order of their declarations, of which the last ones may be given by name.

    Raises:
        TypeError: one is missing, given again, or not known.
    """
    left = dict(named)
    found = (*inputs, *(left.pop(name) for name in names[len(inputs) :] if name in left))
    if left or len(found) != len(names):
        listed = ", ".join((*("a tensor" for _ in inputs), *(f"{name}=" for name in named)))
        raise TypeError(f"{neuron} takes {len(names)} inputs ({', '.join(names)}), not ({listed})")
    return found


def check_inputs(neuron: str, names: Sequence[str], inputs: Sequence[Any], *, single: bool) -> None:
    """Inputs must be dense tensors of one shape, device and dtype of DTYPES, `[T, B, *]` or `[B, *]`.

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
        if x.dtype not in DTYPES or x.layout is not torch.strided:
            raise TypeError(_other(neuron, name, x))
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


def _other(neuron: str, name: str, x: Tensor) -> str:
    """What is said of an input that no kernel and no reference takes."""
    if x.layout is not torch.strided:
        layout = str(x.layout).removeprefix("torch.")
        return f"{neuron}: {name} is {layout}, and dense tensors are taken; convert it, as in {name}.to_dense()"
    listed = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
    return (
        f"{neuron}: {name} is {x.dtype}, and {listed} are taken; convert it, as in {name}.float()"
    )


def check_states(neuron: str, names: Sequence[str], states: Sequence[Any], x: Tensor) -> None:
    """States must have the shape of one step, or be numbers, or None.

    Raises:
        TypeError: they are something else.
        ValueError: they have another shape, or stand on another device.
    """
    if len(states) != len(names):
        raise ValueError(
            f"{neuron} has {len(names)} states ({', '.join(names)}), not {len(states)}"
        )
    shape = x.shape[1:]
    for name, state in zip(names, states, strict=True):
        if not isinstance(state, Tensor):
            state_of(neuron, name, state)
            continue
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


def state_of(neuron: str, name: str, value: Any) -> Any:
    """A state that is handed in: an array, a number for all neurons, or None for the initial one.

    Raises:
        TypeError: it is none of these.
    """
    if value is None or isinstance(value, Tensor | float | int):
        return value
    raise TypeError(
        f"{neuron}: the state {name} must be a tensor, or a number for all neurons, not {type(value).__name__}"
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


def check_transforms(name: str) -> None:
    """Kernels would drop a tangent without a word, and know nothing of batches within tensors.

    Raises:
        UnsupportedError: one of the two is asked for.
    """
    if torch.compiler.is_compiling():
        return
    if forward_ad._current_level >= 0:
        raise UnsupportedError(
            f"{name}: forward-mode derivatives are not supported; use backward()"
        )
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise UnsupportedError(
            f"{name}: torch.func transforms such as vmap and grad are not supported; put the batch in a dimension "
            "after the time steps, and use backward()"
        )
