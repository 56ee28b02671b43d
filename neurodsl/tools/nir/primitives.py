"""NIR's neurons as neurons of the language: their equations, solved as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

CHARGED = {
    "I": """
neuron I:
    input  x
    output v
    param r = 1.0
    state v = 0.0

    charge:
        dv/dt = r * x by {solver}
""",
    "LI": """
neuron LI:
    input  x
    output v
    param tau    = 2.0  in (0, inf)
    param r      = 1.0
    param v_leak = 0.0
    state v = v_leak

    charge:
        dv/dt = (v_leak - v + r * x) / tau by {solver}
""",
    "CubaLI": """
neuron CubaLI:
    input  x
    output v
    param tau_mem = 2.0  in (0, inf)
    param tau_syn = 2.0  in (0, inf)
    param r       = 1.0
    param v_leak  = 0.0
    param w_in    = 1.0
    state v = v_leak
    state i = 0.0

    charge:
{cuba}
""",
}
"""The neurons that never fire (J. E. Pedersen et al., Neuromorphic intermediate representation, Nature Communications
2024)."""

FIRING = {"IF": "I", "LIF": "LI", "CubaLIF": "CubaLI"}
"""Those that do, each a child of the one that charges as it does."""

FIRES = """
neuron {child}({parent}):
    output s
    param v_threshold = 1.0
    param v_reset     = 0.0

    fire:
        s = spike(v > v_threshold)
    reset:
        v = v_reset if s else v
"""

THRESHOLD = """
neuron Threshold:
    input  x
    output s
    param threshold = 1.0

    fire:
        s = spike(x > threshold)
"""

_MEMBRANE = "        dv/dt = (v_leak - v + r * {current}) / tau_mem by {solver}\n"
_CURRENT = "        di/dt = (-i + w_in * x) / tau_syn{by}\n"
CUBA = {
    "exact": _MEMBRANE.format(current="i", solver="exact") + _CURRENT.format(by=""),
    # the current first, as other frameworks do: a spike moves the membrane in its own step
    "euler": _CURRENT.format(by=" by euler")
    + "        moved = i\n"
    + _MEMBRANE.format(current="moved", solver="euler"),
}
SOLVERS = tuple(CUBA)


def class_of(kind: str, solver: str) -> Any:
    """The class of one primitive.

    Raises:
        ValueError: the solver is none of them.
    """
    from neurodsl.loading import load

    if solver not in SOLVERS:
        raise ValueError(f"solver={solver!r}: choose from {', '.join(SOLVERS)}")
    if kind == "Threshold":
        return load(THRESHOLD).Threshold
    charged = FIRING.get(kind, kind)
    text = CHARGED[charged].format(solver=solver, cuba=CUBA[solver].rstrip("\n"))
    if kind in FIRING:
        text += FIRES.format(child=kind, parent=charged)
    return getattr(load(text), kind)


def value_of(array: Any) -> float | torch.Tensor:
    """A NIR parameter: a number where all are equal, else a tensor."""
    numbers = np.asarray(array, dtype=np.float64)
    if numbers.size and (numbers == numbers.flat[0]).all():
        return float(numbers.flat[0])
    return torch.as_tensor(numbers, dtype=torch.get_default_dtype())
