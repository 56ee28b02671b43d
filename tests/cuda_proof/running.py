"""Runs a case: the values for its kernel's arguments, the launch, and the second stage of params' gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from ptxsim import Module

from cuda_proof import eager
from cuda_proof.cases import Case
from cuda_proof.given import Given
from cuda_proof.launching import WRITTEN, Key, Launched, key_of, launch, shape_of, sizes_of
from cuda_proof.neurons import Subject, subject
from cuda_proof.numbers import Array, computed_in

THERE = 0.5
"""What a gradient is before `reduce` adds to it."""


def kept_states(entry: dict[str, Any], results: eager.Results, case: Case) -> dict[Key, Array]:
    """The states at the checkpoints that a kernel's entry names; none where a call has none."""
    made: dict[Key, Array] = {}
    states = subject(case.neuron).eager.definition.states
    for argument in entry["arguments"]:
        if argument["role"] == "saved" and case.steps > argument["above"]:
            place = states.index(argument["of"])
            shape = shape_of(argument, sizes_of(entry, case.steps, case.neurons))
            every = argument["every"]
            rows = [results.before[(row + 1) * every][place] for row in range(shape[0])]
            made[key_of(argument)] = np.stack(rows)
    return made


def values_for(case: Case, given: Given, results: eager.Results) -> dict[Key, Any]:
    """What the kernel of a case gets."""
    of = subject(case.neuron)
    entry = of.entry(case.kernel, case.dtype)
    assert entry is not None
    random = np.random.default_rng(case.seed + 1)
    values = _scalars(of, case, given, random)
    definition = of.eager.definition
    named = {
        "input": (definition.read, given.inputs),
        "initial_state": (definition.states, given.states),
        "grad_output": (definition.written, given.grad_outputs),
        "grad_recorded": (definition.recordable, given.grad_recorded),
        "grad_final_state": (definition.states, given.grad_finals),
    }
    kept = kept_states(entry, results, case)
    for argument in entry["arguments"]:
        role, name = key = key_of(argument)
        if role in named and (role != "grad_recorded" or case.which != "plain"):
            values[key] = dict(zip(*named[role], strict=True))[name]
        elif role == "saved" and key in kept and (case.kept or case.which == "forward_train"):
            values[key] = WRITTEN if case.which == "forward_train" else kept[key]
        elif argument.get("access") == "write" and role != "saved":
            if role != "workspace" or (case.which != "plain" and argument["shape"]):
                values[key] = WRITTEN
        elif role == "grad_param" and case.which != "plain":
            values[key] = np.zeros(shape_of(argument, sizes_of(entry, case.steps, case.neurons)))
        if case.optional not in ("given", "some") and role in ("recorded", "grad_recorded"):
            values.pop(key, None)
        if case.optional == f"without {argument['name']}":
            values.pop(key, None)
        if case.optional == "some" and argument.get("optional") and random.random() < 0.5:
            if role in ("recorded", "grad_output", "grad_recorded", "grad_final_state"):
                values.pop(key, None)
            if role in ("grad_input", "grad_initial_state"):
                values.pop(key, None)
    if case.optional == "some":
        values.pop(("workspace", "partials"), None)
    return values


def _scalars(of: Subject, case: Case, given: Given, random: np.random.Generator) -> dict[Key, Any]:
    """Params as numbers, or as arrays of one number: then the number is NaN, so that using it would show."""
    kind, values = computed_in(case.dtype), {}
    uniforms = eager.uniforms(of, given)
    plain = [("param", n, v) for n, v in given.params.items()] + [("param", "dt", of.dt)]
    plain += [("uniform", f"u{place}", u) for place, u in enumerate(uniforms)]
    for role, name, value in plain:
        in_array = random.random() < 0.3 and not isinstance(value, bool)
        if np.ndim(value) or in_array:
            values[f"{role}_tensor", name] = np.asarray(value, kind)
        values[role, name] = np.nan if np.ndim(value) or in_array else value
    return values


def alignment(case: Case) -> bool | str:
    """As a launch takes it."""
    if case.aligned != "one not":
        return case.aligned
    entry = subject(case.neuron).entry(case.kernel, case.dtype)
    assert entry is not None
    names = [
        a["name"]
        for a in entry["arguments"]
        if a["type"].endswith("*")
        and a["role"] not in ("param_tensor", "uniform_tensor", "recorded")
    ]
    return str(np.random.default_rng(case.seed).choice(names))


def run(case: Case, module: Module, values: dict[Key, Any]) -> Launched:
    """The launch of a case.

    Without noise where CUDA's expm1 is called: that takes `ex2.approx` of a whole number, minus 1, and is within its
    documented error only if powers of two come out exactly.
    """
    of = subject(case.neuron)
    entry = of.entry(case.kernel, case.dtype)
    assert entry is not None
    size = case.steps, case.neurons
    noise = case.noise and "exprel" not in of.described["functions"]
    return launch(module, entry, values, size, grid=case.grid, aligned=alignment(case), noise=noise)


def second_stage(case: Case, module: Module, first: Launched) -> dict[str, Array]:
    """The gradients of params after `reduce`, or as blocks added them up where there are no parts."""
    of = subject(case.neuron)
    entry = of.entry("reduce", case.dtype)
    assert entry is not None
    sizes = sizes_of(entry, case.steps, case.neurons)
    parts = {name: first.array(r, name) for r, name in first.buffers if r == "workspace"}
    values: dict[Key, Any] = {}
    for argument in entry["arguments"]:
        key = role, name = key_of(argument)
        if role == "workspace" and name in parts:
            values[key] = parts[name]
            if name == "partials" and case.grid is not None:  # the manifest's grid has other blocks
                values[key] = np.zeros(shape_of(argument, sizes))
                values[key][:, :1] = parts[name].sum(1, keepdims=True)
        needed = f"ws_grad_{name}" if argument.get("shape") else "partials"
        if role == "grad_param" and needed in parts:
            values[key] = np.full(shape_of(argument, sizes), THERE)
    found = {n: first.array(r, n) for r, n in first.buffers if r == "grad_param"}
    if parts:
        size = case.steps, case.neurons
        done = launch(module, entry, values, size, aligned=alignment(case), noise=case.noise)
        found |= {name: done.array(r, name) - THERE for r, name in values if r == "grad_param"}
    return found
