"""Compares what a kernel left behind with the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cuda_proof import eager
from cuda_proof.cases import Case
from cuda_proof.given import Given
from cuda_proof.launching import Launched, key_of
from cuda_proof.neurons import subject
from cuda_proof.numbers import EPSILONS, Array, computed_in, packed, spikes_of, unpacked
from cuda_proof.running import kept_states

MANY = 0.02
"""The share of neurons that may take another way (of at least one) where libraries' exp and the like differ."""


def forward_results(case: Case, results: eager.Results) -> dict[tuple[str, str], Array]:
    """What a forward kernel should give, by role and name."""
    of = subject(case.neuron)
    entry = of.entry(case.kernel, case.dtype)
    assert entry is not None
    definition = of.eager.definition
    expected = {
        **{("output", n): v for n, v in zip(definition.written, results.outputs, strict=True)},
        **{
            ("recorded", n): v for n, v in zip(definition.recordable, results.recorded, strict=True)
        },
        **{("final_state", n): v for n, v in zip(definition.states, results.finals, strict=True)},
    }
    expected |= kept_states(entry, results, case) if case.which == "forward_train" else {}
    kinds = {key_of(a): a["type"] for a in entry["arguments"]}
    if entry.get("spikes") == "bits":  # compared as numbers
        kinds = {k: "float*" if kind == "uint32_t*" else kind for k, kind in kinds.items()}
    return {key: packed(v, kinds[key]) for key, v in expected.items() if key in kinds}


def compare_forward(case: Case, given: Given, done: Launched, results: eager.Results) -> None:
    """To the bit (but for NaN's payload); where elementary functions are called, up to their last bits.

    Infinite numerators of corrected divisions are outside of what they are right for: NaN comes out there.
    """
    for key, wanted in forward_results(case, results).items():
        if key in done.buffers:
            made, expected = done.array(*key), unpacked(wanted, case.dtype)
            in_bits = made.dtype == np.uint32
            made = spikes_of(made, case.neurons) if in_bits else unpacked(made, case.dtype)
            if _corrects(case):
                made, expected = (_without_infinite(v, case, given) for v in (made, expected))
            if subject(case.neuron).exact:
                np.testing.assert_array_equal(made, expected, err_msg=f"{case}: {key}")
                bits = ~np.isnan(expected)
                signs = np.signbit(made[bits]) == np.signbit(expected[bits])
                assert signs.all() or key[0] == "output", f"{case}: signs of zeros in {key}"
            else:
                share = _unlike(made, expected, case)
                assert share <= max(MANY, 1 / case.neurons), f"{case}: {key}: {share:.1%} differ"


def _corrects(case: Case) -> bool:
    """Whether the kernels divide by corrected reciprocals."""
    return case.dtype != "float64" and "checked<real, CHECKED> by_" in subject(case.neuron).source


def _without_infinite(values: Array, case: Case, given: Given) -> Array:
    """0 for all neurons that are ever given an infinity."""
    finite = np.all([~np.isinf(x).any(0) for x in given.inputs], axis=0)
    return np.where(finite, values.reshape(-1, case.neurons), 0)


def _unlike(made: Array, expected: Array, case: Case) -> float:
    """The share of neurons of which something differs by more than rounding."""
    relative = max(1e-4 if case.dtype != "float64" else 1e-10, 2 * EPSILONS[case.dtype])
    close = np.isclose(made, expected, rtol=relative, atol=relative / 10, equal_nan=True)
    return float((~close.reshape(-1, case.neurons)).any(0).mean()) if close.size else 0.0


def compare_backward(case: Case, given: Given, done: Launched, params: Mapping[str, Array]) -> None:
    """Within rounding of float64, where float32 goes the same way; else of eager PyTorch in float32."""
    of, detached = subject(case.neuron), case.which == "detached"
    recorded = any(role == "grad_recorded" for role, _ in done.buffers)
    given = _without_missing(case, given, done)
    own = eager.backward(of, given, computed_in(case.dtype), recorded=recorded, detached=detached)
    exact = own
    if case.dtype != "float64":
        exact = eager.backward(of, given, np.float64, recorded=recorded, detached=detached)
    settled = _settled(case, given)
    names = [("grad_input", of.eager.definition.read, own.inputs, exact.inputs)]
    names += [("grad_initial_state", of.eager.definition.states, own.states, exact.states)]
    for role, keys, owns, exacts in names:
        for name, of_own, of_exact in zip(keys, owns, exacts, strict=True):
            if (role, name) in done.buffers:
                made = unpacked(done.array(role, name), case.dtype).astype(np.float64)
                _neurons_close(case, f"{role} of {name}", made, of_own, of_exact, settled)
    if params and case.data != "nonfinite":
        _params_close(case, given, params, own, exact, settled)


def _without_missing(case: Case, given: Given, done: Launched) -> Given:
    """Zeros for the gradients whose pointers were null."""
    definition = subject(case.neuron).eager.definition

    def kept(role: str, names: Any, arrays: list[Array]) -> list[Array]:
        return [
            a if (role, n) in done.buffers else np.zeros_like(a)
            for n, a in zip(names, arrays, strict=True)
        ]

    return Given(
        given.inputs,
        given.states,
        given.params,
        kept("grad_output", definition.written, given.grad_outputs),
        kept("grad_recorded", definition.recordable, given.grad_recorded),
        kept("grad_final_state", definition.states, given.grad_finals),
    )


def _settled(case: Case, given: Given) -> Array:
    """The neurons that spike alike in float32 and float64, and of which all is finite."""
    of = subject(case.neuron)
    low = eager.forward(of, given, computed_in(case.dtype))
    high = eager.forward(of, given, np.float64)
    alike = np.ones(case.neurons, bool)
    for a, b in zip((*low.outputs, *low.finals), (*high.outputs, *high.finals), strict=True):
        close = np.isclose(a, b, rtol=1e-3, atol=1e-3).reshape(-1, case.neurons)
        alike &= close.all(0) & np.isfinite(a).reshape(-1, case.neurons).all(0)
    for x in given.inputs:
        alike &= np.isfinite(x).all(0)
    return alike


def _norms(values: Array, case: Case) -> Array:
    """Of each neuron."""
    rows = np.asarray(values, np.float64).reshape(-1, case.neurons)
    return np.sqrt(np.square(rows).sum(0))


def _neurons_close(
    case: Case, what: str, made: Array, own: Array, exact: Array, settled: Array
) -> None:
    largest = 60000.0 if case.dtype == "float16" else 1e30
    fine = settled & (np.abs(exact).reshape(-1, case.neurons).max(0, initial=0) < largest)
    fine &= np.isfinite(own).reshape(-1, case.neurons).all(0)
    if case.data != "nonfinite":
        assert settled.mean() >= 0.5, f"{case}: only {settled.mean():.0%} of neurons to compare"
    made, own, exact = (np.where(fine, v, 0.0).astype(np.float64) for v in (made, own, exact))
    scale, spread = _norms(exact, case), _norms(own - exact, case)
    error = _norms(made - exact, case)
    allowed = RELATIVE[case.dtype] * (scale + 0.1 * scale.max(initial=0)) + 8 * spread
    if case.dtype == "float16":
        allowed = allowed + 2.0**-24 * np.sqrt(max(case.steps, 1))
    worst = int(np.argmax(error - allowed)) if error.size else 0
    assert (error <= allowed).all(), (
        f"{case}: {what}: neuron {worst}: {error[worst]:.3g} off, {allowed[worst]:.3g} allowed"
    )


RELATIVE = {"float32": 1e-5, "float64": 1e-12, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Of the norm of a neuron's gradients."""


def _params_close(
    case: Case,
    given: Given,
    made: Mapping[str, Array],
    own: eager.Gradients,
    exact: eager.Gradients,
    settled: Array,
) -> None:
    of = subject(case.neuron)
    scalars = {n: float(v) for n, v in made.items() if not np.ndim(v)}
    chained = eager.chained(of, given, scalars)
    parts = {**exact.params, "dt": exact.dt}
    owns = {**own.params, "dt": own.dt}
    relative = 1e-12 if case.dtype == "float64" else 3e-5
    for name, part in parts.items():
        shaped = np.ndim(given.params.get(name, 0.0)) > 0
        if shaped and name not in made:
            continue
        total = np.asarray(made[name], np.float64) if shaped else np.asarray(chained[name])
        axis = -1 if part.ndim else None
        size = np.abs(part).sum(axis)
        spread = np.abs(owns[name].astype(np.float64) - part)
        slack = spread.sum(axis)
        if part.ndim and not settled.all():
            slack = slack + 10 * np.abs(part[..., ~settled]).sum(axis)
        if not np.isfinite(size + slack).all() or (name == "dt" and "dt" not in made):
            continue
        error = np.abs(total - part.sum(axis))
        allowed = relative * (size + 0.05) + 8 * slack
        assert (error <= allowed).all(), (
            f"{case}: gradient of {name}: {np.max(error):.3g} off, {np.min(allowed):.3g} allowed"
        )
