"""The comparison itself: the same random input and upstream gradients through the reference and each contestant.

Each back end of ours runs twice: with plain params from random initial states (outputs, final states, gradients of
inputs and initial states), and with every param learnable (their gradients; and outputs again, as uniforms are then
worked out by torch). A class of another library starts from its own initial state.

In float32 a neuron that calls functions such as exp is run step by step, each step from the reference's own states:
the functions' last bits may make a spike differ, and one that does must not breed others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from neurodsl.loading import class_of
from neurodsl.tools.compare.contestants import (
    CannotCompareError,
    Contestant,
    Subject,
    fused,
    peer,
    refuse_unknown,
)
from neurodsl.tools.compare.margins import spike_arguments
from neurodsl.tools.compare.result import ComparisonResult, Difference, difference, is_spikes
from neurodsl.tools.compare.stimulus import firing_rate, noise, scaled


def compare(
    source: str | Path | ModuleType,
    neuron: str | None = None,
    *,
    against: str | None = None,
    given: Mapping[str, Any] | None = None,
    surrogate: str | None = None,
    steps: int = 64,
    neurons: int = 1000,
    dtype: str = "float32",
    seed: int = 0,
) -> ComparisonResult:
    """Run each fused back end of this machine, and a class of another library, against the eager reference.

    Args:
        source: what `neurodsl.load` takes, or a generated module.
        neuron: which of its neurons; the first by default.
        against: `MODULE:CLASS`, called with `step_mode="m"` and those of our params that its constructor knows.
        given: values for params, ours and the other class's; also `detach_reset` and `spiking`.
        surrogate: ours, in the language's form.
        steps: time steps.
        neurons: the input is `[steps, 1, neurons]`.
        dtype: `float32` or `float64`.
        seed: of input, initial states and upstream gradients.

    Raises:
        CannotCompareError: no such neuron, class or parameter; or a value that does not suit it, or a class that
            fails, or returns something else than the neuron's outputs.
        ToolchainError: there is no C++ compiler.
    """
    import neurodsl

    module = source if isinstance(source, ModuleType) else neurodsl.load(source)
    name = neuron_of(module, neuron)
    subject = Subject(
        class_of(module, name),
        module.__manifest__["neurons"][name],
        dict(given or {}),
        surrogate,
        getattr(torch, dtype),
        (steps, neurons),
    )
    refuse_unknown(subject, against)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        trial = _Trial(subject, steps, neurons, seed)
        differences = [row for contestant in fused(subject) for row in trial.of_ours(contestant)]
        notes = trial.notes()
        if against is not None:
            rows = list(trial.of_peer(peer(subject, against), against))
            differences += rows
            notes += _notes(rows, against)
    return ComparisonResult(
        name, steps, neurons, dtype, seed, trial.rate, tuple(differences), notes
    )


def neuron_of(module: ModuleType, neuron: str | None) -> str:
    """The name of the neuron asked for, or of the first.

    Raises:
        CannotCompareError: the module has none of that name.
    """
    names: list[str] = list(module.__manifest__["neurons"])
    if neuron is None:
        return names[0]
    if neuron not in names:
        raise CannotCompareError(f"there is no neuron {neuron!r} here, only {', '.join(names)}")
    return neuron


@dataclass(frozen=True, slots=True)
class _Outcome:
    """All that one run gave, in the order of the declarations."""

    outputs: tuple[Tensor, ...]
    states: dict[str, Tensor]
    input_gradients: tuple[Tensor, ...]
    state_gradients: dict[str, Tensor]
    param_gradients: dict[str, Tensor]
    margins: Tensor | None = None
    """For each output value the distance of the nearest of its step's spikes from the threshold, relative to the
    scale of that spike's argument.
    """


class _Trial:
    """One neuron, one random input: the reference's outcomes, and everybody else's differences from them."""

    def __init__(self, subject: Subject, steps: int, neurons: int, seed: int) -> None:
        self.subject = subject
        self.seed = seed
        plain: Any = subject.make("reference")
        shape = (steps, 1, neurons)
        count = len(subject.cls.definition.inputs)
        unit = noise(count, shape, subject.dtype, seed)
        with torch.no_grad():
            self.inputs = scaled(unit, plain.functional)
            initial = plain.functional(tuple(x[:0] for x in self.inputs))[1]
            finals = plain.functional(self.inputs)[1]
        self.initial = _jittered(initial, finals, seed + 1)
        self.path = (
            self._path(plain) if subject.inexact and subject.dtype is torch.float32 else None
        )
        self.reference = self._run_reference(plain)
        learning = subject.make("reference", subject.real_params)
        self.learning_reference = self._run_reference(learning)
        self.rate = firing_rate(self.reference.outputs)

    def _run_reference(self, node: Any) -> _Outcome:
        """As `run_ours`, with the margins of the spikes where some may differ."""
        if self.path is None:
            return self.run_ours(node, "cpu")
        with spike_arguments() as arguments:
            outcome = self.run_ours(node, "cpu")
        return replace(outcome, margins=_margins(arguments, self.inputs[0].shape))

    def _path(self, node: Any) -> list[tuple[Tensor, ...]]:
        """The states before each step, in the reference."""
        path = [self.initial]
        with torch.no_grad():
            for t in range(self.inputs[0].shape[0]):
                inputs = tuple(x[t : t + 1] for x in self.inputs)
                path.append(self._step(node, inputs, path[-1], t)[1])
        return path

    def _step(
        self, node: Any, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], step: int
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Outputs and states of a call that begins at a step; each call draws the same noise."""
        node.reset()
        kept = dict(zip(node.state_attributes, states, strict=True))
        node.__dict__.update(kept, _steps=step)
        torch.default_generator.manual_seed(self.seed)
        outputs = node(*inputs)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        return outputs, tuple(node.__dict__[name] for name in kept)

    def run_ours(self, node: Any, device: torch.device | str) -> _Outcome:
        """Forward and backward through one of our modules: all steps at once, or each from the reference's states."""
        if self.path is None:
            return self._run(node, device, self.inputs, self.initial)
        rows = []
        params = dict(node.named_parameters())
        for t in range(self.inputs[0].shape[0]):
            inputs = tuple(x[t : t + 1] for x in self.inputs)
            rows.append(self._run(node, device, inputs, self.path[t], t))
        return _Outcome(
            tuple(torch.cat(column) for column in zip(*(r.outputs for r in rows), strict=True)),
            {name: torch.stack([r.states[name] for r in rows]) for name in rows[0].states},
            tuple(torch.cat(c) for c in zip(*(r.input_gradients for r in rows), strict=True)),
            {
                name: torch.stack([r.state_gradients[name] for r in rows])
                for name in rows[0].state_gradients
            },
            {
                name: sum((r.param_gradients[name] for r in rows), params[name] * 0)
                for name in params
            },
        )

    def _run(
        self,
        node: Any,
        device: torch.device | str,
        inputs: tuple[Tensor, ...],
        initial: tuple[Tensor, ...],
        step: int = 0,
    ) -> _Outcome:
        inputs = tuple(x.to(device).requires_grad_() for x in _detached(inputs))
        initial = tuple(v.to(device).requires_grad_() for v in _detached(initial))
        outputs, finals = self._step(node, inputs, initial, step)
        params = dict(node.named_parameters())
        gradients = self._gradients(
            (*outputs, *finals), (*inputs, *initial, *params.values()), device
        )
        names = [state["name"] for state in self.subject.manifest["states"]]
        count = len(inputs)
        after = count + len(initial)
        return _Outcome(
            outputs,
            dict(zip(names, finals, strict=False)),
            gradients[:count],
            dict(zip(names, gradients[count:after], strict=False)),
            dict(zip(params, gradients[after:], strict=True)),
        )

    def notes(self) -> tuple[str, ...]:
        """What keeps the comparison from saying much."""
        values = (*self.reference.outputs, *self.reference.states.values())
        if all(bool(value.isfinite().all()) for value in values):
            return ()
        return ("some values of the reference are infinite or NaN, which equal themselves",)

    def run_peer(self, node: Any) -> _Outcome:
        """One forward and backward pass through a module from its own initial state; states are attributes."""
        inputs = tuple(x.requires_grad_() for x in _detached(self.inputs))
        if hasattr(node, "reset"):
            node.reset()
        torch.default_generator.manual_seed(self.seed)
        outputs = self._outputs(node(*inputs))
        names = [state["name"] for state in self.subject.manifest["states"]]
        states = {name: getattr(node, name) for name in names if _is_state(node, name)}
        params = dict(node.named_parameters())
        gradients = self._gradients(outputs, (*inputs, *params.values()), "cpu")
        count = len(inputs)
        return _Outcome(
            outputs,
            states,
            gradients[:count],
            {},
            dict(zip(params, gradients[count:], strict=True)),
        )

    def _outputs(self, returned: object) -> tuple[Tensor, ...]:
        """What a module returned, as a tuple.

        Raises:
            CannotCompareError: it is something else than the neuron's outputs.
        """
        wanted = len(self.subject.cls.definition.outputs)
        several = isinstance(returned, tuple | list)
        outputs: tuple[Any, ...] = tuple(returned) if several else (returned,)  # type: ignore[arg-type]
        if len(outputs) == wanted and all(isinstance(value, Tensor) for value in outputs):
            return outputs
        kinds = ", ".join(type(value).__name__ for value in outputs)
        found = f"a {type(returned).__name__} ({kinds})" if several else kinds
        name = self.subject.cls.__name__
        raise CannotCompareError(
            f"its forward returned {found} where {name} has "
            + ("one tensor" if wanted == 1 else f"a tuple of {wanted} tensors")
        )

    def _gradients(
        self, values: tuple[Tensor, ...], wanted: tuple[Tensor, ...], device: torch.device | str
    ) -> tuple[Tensor, ...]:
        """Gradients of the sum of all values, weighted by noise."""
        upstream = [
            noise(1, tuple(value.shape), value.dtype, self.seed + 2 + place)[0].to(device)
            for place, value in enumerate(values)
        ]
        able = [(v, g) for v, g in zip(values, upstream, strict=True) if v.requires_grad]
        if not able:
            return tuple(torch.zeros_like(tensor) for tensor in wanted)
        return torch.autograd.grad(
            [value for value, _ in able], wanted, [g for _, g in able], materialize_grads=True
        )

    def of_ours(self, contestant: Contestant) -> Iterator[Difference]:
        """One of our back ends: with plain params, then with all of them learnable."""
        plain = self.run_ours(contestant.make(()), contestant.device)
        inexact = self.subject.inexact
        yield from differences(contestant.name, plain, self.reference, inexact)
        learning = self.run_ours(contestant.make(self.subject.real_params), contestant.device)
        learnable = f"{contestant.name}, learnable"
        yield from differences(learnable, learning, self.learning_reference, inexact)

    def of_peer(self, contestant: Contestant, path: str) -> Iterator[Difference]:
        """A class of another library, against our reference from its own initial state.

        Raises:
            CannotCompareError: it cannot be made, fails, or returns something else than outputs.
        """
        reference = self.run_peer(self.subject.make("reference"))
        node = contestant.make(())
        try:
            found = self.run_peer(node)
        except CannotCompareError as error:
            raise CannotCompareError(f"{path}: {error}") from None
        except Exception as error:  # a class of the user's may raise anything
            raise CannotCompareError(
                f"{path} failed on {_shapes(self.inputs)}: {type(error).__name__}: {error}"
            ) from error
        yield from differences(contestant.name, found, reference)


def _shapes(inputs: tuple[Tensor, ...]) -> str:
    """`an input of [T, B, N] = [64, 1, 1000]`."""
    shape = list(inputs[0].shape)
    count = "an input" if len(inputs) == 1 else f"{len(inputs)} inputs"
    return f"{count} of [T, B, N] = {shape}"


def differences(
    contestant: str, found: _Outcome, reference: _Outcome, inexact: bool = False
) -> Iterator[Difference]:
    """Every quantity that both outcomes have."""
    for place, (a, b) in enumerate(zip(found.outputs, reference.outputs, strict=False)):
        margins = reference.margins if inexact else None
        yield difference(
            contestant, f"output {place}", "value", a, b, inexact=inexact, margins=margins
        )
    for name, b in reference.states.items():
        if name in found.states:
            yield difference(contestant, f"state {name}", "value", found.states[name], b)
    for place, (a, b) in enumerate(
        zip(found.input_gradients, reference.input_gradients, strict=True)
    ):
        yield difference(contestant, f"gradient of input {place}", "gradient", a, b)
    for name, b in reference.state_gradients.items():
        if name in found.state_gradients:
            a = found.state_gradients[name]
            yield difference(contestant, f"gradient of initial {name}", "gradient", a, b)
    for name, b in reference.param_gradients.items():
        if name in found.param_gradients:
            a = found.param_gradients[name]
            yield difference(contestant, f"gradient of {name}", "scalar gradient", a, b)


def _jittered(
    initial: tuple[Tensor, ...], finals: tuple[Tensor, ...], seed: int
) -> tuple[Tensor, ...]:
    """Initial states, each neuron's a little apart; not of states that hold spikes or counts, as their finals show."""
    if not initial:
        return ()
    moves = noise(len(initial), tuple(initial[0].shape), initial[0].dtype, seed)
    return tuple(
        v if is_spikes(end) else v + 0.1 * (move - 0.5)
        for v, end, move in zip(initial, finals, moves, strict=True)
    )


def _margins(arguments: list[Tensor], shape: torch.Size) -> Tensor:
    """The margins of all steps `[T, B, N]`, of the arguments of their spikes in the order in which they were asked."""
    rows = torch.stack([u.expand(shape[1:]) for u in arguments]).reshape(shape[0], -1, *shape[1:])
    scale = rows.abs().mean(dim=(0, *range(2, rows.dim())), keepdim=True)
    return (rows.abs() / scale).amin(dim=1)


def _detached(tensors: tuple[Tensor, ...]) -> Iterator[Tensor]:
    return (tensor.detach().clone() for tensor in tensors)


def _is_state(node: nn.Module, name: str) -> bool:
    return isinstance(getattr(node, name, None), Tensor)


def _notes(rows: list[Difference], against: str) -> tuple[str, ...]:
    """What may explain that a class of another library differs."""
    values_agree = all(row.passed for row in rows if "gradient" not in row.quantity)
    gradients_agree = all(row.passed for row in rows if "gradient" in row.quantity)
    if values_agree and not gradients_agree:
        return (
            f"values agree and gradients do not: {against} may have another surrogate; "
            '--surrogate sets ours, as in --surrogate "sigmoid(alpha=4.0)"',
        )
    return ()
