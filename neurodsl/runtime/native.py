"""Plans on the call path in C++, where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as torch_modules

from neurodsl.native import extension
from neurodsl.runtime.autograd import stale
from neurodsl.runtime.launch import Launch, Plan, When

HOOKS = ("_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_pre_hooks")
"""A module's dictionaries of hooks: where one has an entry, PyTorch's own `__call__` has to run."""

_GLOBAL_HOOKS = tuple(
    getattr(torch_modules, name)
    for name in (
        "_global_backward_pre_hooks",
        "_global_backward_hooks",
        "_global_forward_hooks",
        "_global_forward_pre_hooks",
    )
)


@dataclass(frozen=True, slots=True)
class NativePlan:
    """A plan as the extension knows it."""

    module: Any
    plan: Any


def is_there() -> bool:
    """Whether calls can go through C++."""
    return extension() is not None


def attach(plan: Plan) -> None:
    """Make a plan known in C++, once the extension is there."""
    module = extension()
    if module is None or not (plan.forward.address and plan.backward.address):
        return
    plan.native = NativePlan(module, _prepared(module, plan))


def run(
    plan: Plan,
    numbers: Sequence[float],
    when: When,
    keep: bool,
    tensors: Sequence[Tensor | None],
) -> tuple[Tensor, ...] | None:
    """The results of a call, or None where it cannot be made in C++."""
    native: NativePlan | None = plan.native
    if native is None:
        return None
    results: tuple[Tensor, ...] | None = native.module.run(
        native.plan, numbers, *when, keep, *tensors
    )
    return results


def shortcut(
    plan: NativePlan,
    numbers: tuple[float, ...],
    dtype: torch.dtype,
    seen: dict[str, Any],
    states: tuple[str, ...],
    outputs: int,
) -> Any:
    """What runs a module's calls for as long as the attributes in `seen` are the same objects and nothing watches it.

    Called with the module's attributes and a tuple of inputs, it gives the outputs and sets the states, or gives None.
    """
    names, values = tuple(seen), tuple(seen.values())
    made = (numbers, dtype, names, values, states, HOOKS, _GLOBAL_HOOKS, outputs)
    return plan.module.shortcut(plan.plan, *made)


def _prepared(module: Any, plan: Plan) -> Any:
    setup = plan.setup
    error = stale(setup.neuron, setup.states)
    counts = (
        len(setup.inputs),
        len(setup.states),
        len(setup.tensor_scalars),
        len(setup.outputs),
        len(setup.recorded),
    )
    return module.prepare(
        *(_described(kernel) for kernel in (plan.forward, plan.train, plan.backward)),
        counts,
        tuple((saved.every, saved.above, saved.half) for saved in plan.saved),
        plan.startable,
        f"Fused{setup.neuron}",
        type(error),
        str(error),
    )


def _described(kernel: Launch) -> tuple[int, tuple[tuple[int, int], ...]]:
    return kernel.address, kernel.entries()
