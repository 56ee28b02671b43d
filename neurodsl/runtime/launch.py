"""Launch plans: which address or number each argument of a kernel gets, worked out once and used in every call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from neurodsl.runtime.layouts import Layout, empty_in


@dataclass(frozen=True, slots=True)
class Setup:
    """What stays the same from call to call of a module; names as the kernels' manifest has them.

    `scalars` are all params, `dt` and the uniforms, in order; `tensor_scalars` those of them given as 0-dim tensors.
    """

    neuron: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]
    scalars: tuple[str, ...]
    tensor_scalars: tuple[str, ...]
    recorded: tuple[str, ...]
    detached: bool

    @property
    def given(self) -> list[tuple[str, str]]:
        """(role, name) of the tensors of a call, in order."""
        made = [("input", name) for name in self.inputs]
        made += [("initial_state", name) for name in self.states]
        return made + [("scalar", name) for name in self.tensor_scalars]

    @property
    def results(self) -> list[tuple[str, str]]:
        """(role, name) of what a call returns, in order."""
        made = [("output", name) for name in self.outputs]
        made += [("final_state", name) for name in self.states]
        return made + [("recorded", name) for name in self.recorded]

    @property
    def incoming(self) -> list[tuple[str, str]]:
        """(role, name) of the gradients of the results, in order."""
        return [(f"grad_{role}", name) for role, name in self.results]

    @property
    def wanted(self) -> list[tuple[str, str]]:
        """(role, name) of the gradients of the given tensors, in order."""
        return [
            ("grad_param" if role == "scalar" else f"grad_{role}", name)
            for role, name in self.given
        ]


class AnyKernel(Protocol):
    """A kernel of the CPU library or of a GPU: its argument list, and how it is run."""

    arguments: list[dict[str, Any]]

    def __call__(self, values: list[Any]) -> None:
        """Run it with addresses and numbers, 0 for null."""


def role_of(argument: dict[str, Any]) -> tuple[str, str]:
    """(role, name) of the tensor that an argument points to."""
    role: str = argument["role"]
    name: str = argument.get("of", argument["name"])
    if role in ("param_tensor", "uniform_tensor"):
        role = "scalar"
    elif argument.get("recorded"):
        role = "grad_recorded"
    return role, name


class Launch:
    """One kernel, with the place of each of its arguments among the tensors and numbers of a call."""

    def __init__(
        self, kernel: AnyKernel, tensors: Sequence[tuple[str, str]], scalars: Sequence[str]
    ) -> None:
        """`tensors` are (role, name) in the order in which a call gives them, `scalars` the names of the numbers."""
        places: Mapping[tuple[str, str], int] = {key: place for place, key in enumerate(tensors)}
        self._kernel = kernel
        self._template: list[Any] = [0] * len(kernel.arguments)
        self._addresses: list[tuple[int, int]] = []
        self._reals: list[tuple[int, int]] = []
        self._integers: list[tuple[int, int]] = []
        self._counts: list[tuple[int, int]] = []
        for position, argument in enumerate(kernel.arguments):
            role = argument["role"]
            if role in ("param", "uniform"):
                whole = argument["type"] == "int32_t"
                name = argument.get("of", argument["name"])
                if name not in scalars:
                    continue  # the initial value of a state that is given as an array
                place = scalars.index(name)
                (self._integers if whole else self._reals).append((position, place))
            elif role in _COUNTS:
                self._counts.append((position, _COUNTS.index(role)))
            elif (key := role_of(argument)) in places:
                self._addresses.append((position, places[key]))

    def entries(self) -> tuple[tuple[int, int], ...]:
        """Kind and place of each argument: 0 null, 1 tensor, 2 real, 3 whole number, 4 count. For `neurodsl.native`."""
        made = [(0, 0)] * len(self._template)
        kinds = (self._addresses, self._reals, self._integers, self._counts)
        for kind, places in enumerate(kinds, start=1):
            for position, place in places:
                made[position] = (kind, place)
        return tuple(made)

    @property
    def address(self) -> int:
        """Where the kernel's entry for slots is; 0 if it has none."""
        return getattr(self._kernel, "slots", 0)

    def __call__(
        self,
        tensors: Sequence[Tensor | None],
        numbers: Sequence[float],
        counts: tuple[int, ...],
    ) -> None:
        """Run it; None is a null pointer."""
        values = self._template.copy()
        for position, place in self._addresses:
            tensor = tensors[place]
            if tensor is not None:
                values[position] = tensor.data_ptr()
        for position, place in self._reals:
            values[position] = numbers[place]
        for position, place in self._integers:
            values[position] = int(numbers[place])
        for position, place in self._counts:
            values[position] = counts[place]
        self._kernel(values)


_COUNTS = (
    "steps",
    "neurons",
    "first_step",
    "seed",
    "channels",
    "inner",
    "height",
    "width",
    "kernel_height",
    "kernel_width",
)

Counts = tuple[int, int, int, int, int, int]
"""Time steps, neurons, steps before this call, seed, channels, neurons a channel."""

When = tuple[int, int]
"""The steps before a call, and the seed of what it draws: below 0, nothing is drawn."""


def counts_of(first: Tensor, when: When) -> Counts:
    """The counts of a call with the first input `[T, B, C, *]`; T is not 0."""
    shape = first.shape
    channels = shape[2] if len(shape) > 2 else 1
    return (shape[0], first.numel() // shape[0], *when, channels, math.prod(shape[3:]))


@dataclass(frozen=True, slots=True)
class Saved:
    """What the forward pass keeps for the backward pass: a value of every time step, or states at some of them.

    `every` is 1, or the steps between two checkpoints, which are kept where there are more steps than `above`; `half`
    says that they are kept in bfloat16.
    """

    key: tuple[str, str]
    every: int
    above: int
    half: bool

    def rows(self, steps: int) -> int:
        """Rows `[rows, …]` for so many time steps."""
        if self.every == 1:
            return steps
        return (steps + self.every - 1) // self.every - 1 if steps > self.above else 0

    def empty(self, x: Tensor, layout: Layout) -> Tensor:
        """Memory for it, in the layout of the first input `[T, …]`."""
        made = empty_in(x, layout, rows=self.rows(x.shape[0]))
        return made if not self.half else torch.empty_like(made, dtype=torch.bfloat16)


@dataclass(slots=True)
class Plan:
    """The kernels of a call: forward for inference, forward for training, backward; and what is saved between them."""

    setup: Setup
    forward: Launch
    train: Launch
    backward: Launch
    saved: tuple[Saved, ...]
    ordered: bool
    """Whether it matters which neuron is which: tensors are contiguous then."""
    native: Any = None
    """The call path in C++ for this plan, once it has been prepared."""
    startable: tuple[bool, ...] = ()
    """Of each state: whether the kernels take a number instead of an array for its initial value."""


def saved_of(arguments: Sequence[dict[str, Any]]) -> tuple[Saved, ...]:
    """What a forward kernel with these arguments keeps."""
    return tuple(
        Saved(role_of(a), a.get("every", 1), a.get("above", 0), a["type"] == "uint16_t*")
        for a in arguments
        if a["role"] == "saved"
    )


def make_plan(setup: Setup, forward: AnyKernel, train: AnyKernel, backward: AnyKernel) -> Plan:
    """The plan of three kernels; `train` is `forward` where nothing is saved."""
    saved = saved_of(train.arguments)
    given, keys = setup.given, [one.key for one in saved]
    tensors = [*given, *setup.results, *keys]
    return Plan(
        setup,
        Launch(forward, tensors, setup.scalars),
        Launch(train, tensors, setup.scalars),
        Launch(backward, [*given, *keys, *setup.incoming, *setup.wanted], setup.scalars),
        saved,
        any(a["role"] in ("channels", "seed") for a in forward.arguments + backward.arguments),
        startable=tuple(_starts_from_number(forward, name) for name in setup.states),
    )


def _starts_from_number(kernel: AnyKernel, state: str) -> bool:
    return any(
        a["role"] == "initial_state"
        and a.get("of", a["name"]) == state
        and a.get("optional", False)
        for a in kernel.arguments
    )
