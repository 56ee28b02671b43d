"""The shortest way of a call: plain numbers for params, nothing recorded, the call path in C++.

What such a call depends on is compared by identity with what the last one saw. `learn` is asked after a call that went
the long way, and finds out whether the next ones need not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodsl.runtime import native
from neurodsl.runtime.definition import Definition
from neurodsl.runtime.fused import Call, Fused

OPTIONS = ("dt", "detach_reset", "backend", "record", "step_mode", "spikes")
DTYPES = (torch.float32, torch.float64)
_CPU = torch.device("cpu")


def learn(
    definition: Definition, kernels: Fused, attributes: dict[str, Any], x: Tensor
) -> Any | None:
    """The shortcut of a module's calls with inputs like `x`; None if there is none.

    Args:
        definition: of the neuron.
        kernels: of the module.
        attributes: the module's own dictionary.
        x: the first input of the call before.
    """
    if not native.is_there() or definition.feedbacks or definition.noises or definition.timed:
        return None
    names = (*OPTIONS, *(param.python for param in definition.params))
    if any(name not in attributes for name in names):  # a parameter or a buffer
        return None
    seen = {name: attributes[name] for name in names}
    dt, detached, backend, record, mode, form = (seen[name] for name in OPTIONS)
    params = tuple(seen[param.python] for param in definition.params)
    if any(type(value) not in (float, int, bool) for value in params):
        return None
    if record or mode != "m" or backend == "reference" or form != "float32":
        return None
    if not x.is_cpu or x.dtype not in DTYPES or not kernels.is_ready(_CPU):
        return None
    starts = kernels.starts(params, dt)
    if starts is None:
        return None
    inputs = (x,) * len(definition.inputs)
    prepared = kernels.prepared(Call(inputs, starts, params, dt, (0, -1), (), detached))
    if prepared is None:
        return None
    numbers, plan = prepared
    states = definition.state_attributes
    return native.shortcut(plan, numbers, x.dtype, seen, states, len(definition.outputs))
