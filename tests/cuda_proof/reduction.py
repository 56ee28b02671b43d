"""The second stage of params' gradients alone, with as many parts as large layers have."""

from __future__ import annotations

import numpy as np
from ptxsim import Module

from cuda_proof.launching import Key, key_of, launch, shape_of, sizes_of
from cuda_proof.neurons import subject
from cuda_proof.numbers import Array
from cuda_proof.running import THERE


def check_reduction(neuron: str, dtype: str, neurons: int, module: Module) -> int:
    """Add up random parts; how many launches that took.

    Raises:
        Fault: the kernel did what it must not.
        AssertionError: a sum is not right, or not added to what was there.
    """
    entry = subject(neuron).entry("reduce", dtype)
    assert entry is not None
    sizes, random = sizes_of(entry, 1, neurons), np.random.default_rng(neurons)
    values: dict[Key, Array] = {}
    for argument in entry["arguments"]:
        if key_of(argument) == ("workspace", "partials"):
            values["workspace", "partials"] = random.standard_normal(shape_of(argument, sizes))
        elif argument["role"] == "grad_param" and not argument["shape"]:
            values[key_of(argument)] = np.full((), THERE)
    if len(values) < 2:
        return 0
    done = launch(module, entry, values, (1, neurons))
    parts = values["workspace", "partials"]
    made = [done.array(role, name) for role, name in values if role == "grad_param"]
    relative = 1e-13 if dtype == "float64" else 1e-6
    for sum_of, got in zip(parts, made, strict=True):
        error = abs(float(got) - THERE - sum_of.sum())
        assert error <= relative * (np.abs(sum_of).sum() + 1), f"{neuron} {dtype} N={neurons}"
    return 1
