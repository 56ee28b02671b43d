"""NIR's neurons as neurons of the language: their equations, solved as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

TEXT = """\
# NIR's primitives (J. E. Pedersen et al., Neuromorphic intermediate representation, Nature Communications 2024).

neuron I:
    input  x
    output v
    param r = 1.0
    state v = 0.0

    charge:
        dv/dt = r * x by {solver}

neuron IF:
    input  x
    output s
    param r           = 1.0
    param v_threshold = 1.0
    param v_reset     = 0.0
    state v = 0.0

    charge:
        dv/dt = r * x by {solver}
    fire:
        s = spike(v > v_threshold)
    reset:
        v = v_reset if s else v

neuron LI:
    input  x
    output v
    param tau    = 2.0  in (0, inf)
    param r      = 1.0
    param v_leak = 0.0
    state v = v_leak

    charge:
        dv/dt = (v_leak - v + r * x) / tau by {solver}

neuron LIF:
    input  x
    output s
    param tau         = 2.0  in (0, inf)
    param r           = 1.0
    param v_leak      = 0.0
    param v_threshold = 1.0
    param v_reset     = 0.0
    state v = v_leak

    charge:
        dv/dt = (v_leak - v + r * x) / tau by {solver}
    fire:
        s = spike(v > v_threshold)
    reset:
        v = v_reset if s else v

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

neuron CubaLIF:
    input  x
    output s
    param tau_mem     = 2.0  in (0, inf)
    param tau_syn     = 2.0  in (0, inf)
    param r           = 1.0
    param v_leak      = 0.0
    param v_threshold = 1.0
    param v_reset     = 0.0
    param w_in        = 1.0
    state v = v_leak
    state i = 0.0

    charge:
{cuba}
    fire:
        s = spike(v > v_threshold)
    reset:
        v = v_reset if s else v

neuron Threshold:
    input  x
    output s
    param threshold = 1.0

    fire:
        s = spike(x > threshold)
"""

_MEMBRANE = "        dv/dt = (v_leak - v + r * i) / tau_mem by {solver}\n"
_CURRENT = "        di/dt = (-i + w_in * x) / tau_syn{by}\n"
CUBA = {
    "exact": _MEMBRANE.format(solver="exact") + _CURRENT.format(by=""),
    # the current first, as other frameworks do: a spike moves the membrane in its own step
    "euler": _CURRENT.format(by=" by euler") + "        moved = i\n"
    "        dv/dt = (v_leak - v + r * moved) / tau_mem by euler\n",
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
    texts = TEXT.format(solver=solver, cuba=CUBA[solver].rstrip("\n")).split("\nneuron ")
    (own,) = (text for text in texts if text.startswith(f"{kind}:"))
    return getattr(load(f"neuron {own}"), kind)


def value_of(array: Any) -> float | torch.Tensor:
    """A NIR parameter: a number where all are equal, else a tensor."""
    numbers = np.asarray(array, dtype=np.float64)
    if numbers.size and (numbers == numbers.flat[0]).all():
        return float(numbers.flat[0])
    return torch.as_tensor(numbers, dtype=torch.get_default_dtype())
