"""What a case gives to its kernel: inputs, states, params, gradients of what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_proof.cases import Case
from cuda_proof.neurons import Subject, subject
from cuda_proof.numbers import Array, computed_in, rounded


@dataclass(frozen=True)
class Given:
    """Numbers that the dtype can hold, as what is computed in.

    params: numbers, or an array over time; of every declared param, by name.
    """

    inputs: list[Array]
    states: list[Array]
    params: dict[str, Any]
    grad_outputs: list[Array]
    grad_recorded: list[Array]
    grad_finals: list[Array]


def given_for(case: Case) -> Given:
    """The data of a case, the same each time."""
    random, of = np.random.default_rng(case.seed), subject(case.neuron)
    definition, kind = of.eager.definition, computed_in(case.dtype)
    shape = (case.steps, case.neurons)
    params = _params(case, of, random)

    def arrays(count: int, scale: float = 1.0) -> list[Array]:
        return [
            rounded(random.standard_normal(shape).astype(kind) * kind(scale), case.dtype)
            for _ in range(count)
        ]

    inputs = [rounded(_input(case, random), case.dtype) for _ in definition.read]
    starts = of.eager.definition.initial(*params.values(), of.dt)
    states = [_state(case, random, start).astype(kind) for start in starts]
    return Given(
        inputs,
        states,
        params,
        arrays(len(definition.written)),
        arrays(len(definition.recordable), 0.5),
        [random.standard_normal(case.neurons).astype(kind) for _ in definition.states],
    )


def _input(case: Case, random: np.random.Generator) -> Array:
    shape = (case.steps, case.neurons)
    if case.data.startswith("threshold"):
        return random.choice([-1.0, 0.0, 1.0, 2.0], shape) * (
            7.0 if "sevenths" in case.data else 1.0
        )
    drawn = random.standard_normal(shape) * 0.8 + 0.4
    if case.data == "nonfinite" and case.steps:
        for value in (np.nan, np.inf, -np.inf):
            drawn[random.integers(case.steps), random.integers(case.neurons)] = value
    return drawn


def _state(case: Case, random: np.random.Generator, start: Any) -> Array:
    if case.data.startswith("threshold"):
        return random.choice([0.0, 0.5, 1.0], case.neurons)
    start = float(np.asarray(start))
    scale = 0.3 if start == 0 else 0.05 * abs(start)
    return start + random.standard_normal(case.neurons) * scale


def _params(case: Case, of: Subject, random: np.random.Generator) -> dict[str, Any]:
    """The defaults; or others, no powers of two, nothing that is 0; with `arms` each boolean the other one.

    With `far`, `tau` is where a product with the reciprocal is no longer corrected, but a division done. With
    `sevenths` it is 7, as inputs are multiples of 7, so that only right quotients reach the threshold exactly.
    """
    made: dict[str, Any] = {}
    kind = computed_in(case.dtype)
    for param in of.described["params"]:
        value = param["default"]
        if isinstance(value, bool):
            made[param["name"]] = value != ("arms" in case.data)
            continue
        if not case.data.startswith(("random", "threshold", "nonfinite")):
            value = _other(float(value), param.get("interval", ""))
        if case.data.startswith("far") and param["name"] == "tau":
            value = 20001.0
        if "sevenths" in case.data and param["name"] == "tau":
            value = 7.0
        if param["shape"] == "[time]":
            drawn = random.standard_normal(case.steps) * 0.3
            made[param["name"]] = (value + drawn).astype(kind)
        else:
            made[param["name"]] = float(kind(value))
    return made


def _other(value: float, interval: str) -> float:
    """Close to it, in its interval."""
    if value == 0:
        return 0.0 if interval else 0.1
    return value * (0.93 if 0 < value < 1 else 1.07)
