"""Plans on the call path in C++, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from neurodsl.native import extension
from neurodsl.runtime.autograd import stale
from neurodsl.runtime.launch import Plan


def attach(plan: Plan) -> None:
    """Give a plan its call `(numbers, steps before, seed, keep, *tensors)`, once the extension is there."""
    module = extension()
    if module is None or not (plan.forward.address and plan.backward.address):
        return
    plan.native = _prepared(module, plan)


def _prepared(module: Any, plan: Plan) -> Callable[..., Any]:
    setup = plan.setup
    error = stale(setup.neuron, setup.states)
    counts = (
        len(setup.inputs),
        len(setup.states),
        len(setup.tensor_scalars),
        len(setup.outputs),
        len(setup.recorded),
        len(plan.saved),
    )
    prepared = module.prepare(
        plan.forward.address,
        plan.backward.address,
        plan.forward.entries(),
        plan.backward.entries(),
        counts,
        plan.startable,
        f"Fused{setup.neuron}",
        type(error),
        str(error),
    )
    return partial(module.run, prepared)
