"""What a neuron's step does, symbolically: a linear charge, a threshold, a hard reset; or why it is something else.

The statements are put into each other until each state is an expression of the states and inputs before the step. A
charge is linear in those; its coefficients are worked out with the module's own values.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodsl.sema import model as m
from neurodsl.sema.evaluate import evaluate
from neurodsl.sema.linear import ZERO, NotLinearError, coefficients
from neurodsl.sema.rewrite import rewrite
from neurodsl.tools.nir.errors import NIRError

Array = Any
"""A NumPy array of float64."""

MAX_SIZE = 10_000
"""Expressions that grow beyond this when written out have no simple dynamics."""


@dataclass(frozen=True, slots=True)
class Dynamics:
    """A step of a neuron with linear charge.

    `charge[a][b]` is what of `b` (a state, or the input) goes into state `a`, `charge[a][""]` what is added.
    """

    states: tuple[str, ...]
    input: str
    charge: dict[str, dict[str, Array]]
    output: str
    """The state that fires or is the output."""
    threshold: Array | None
    """None: it never fires."""
    reset: Array | None
    exact: bool
    """Whether its equations are solved by `exact`."""


def dynamics_of(model: m.NeuronModel, values: Mapping[str, Array]) -> Dynamics:
    """The dynamics of a neuron with the values of its params (and `dt`).

    Raises:
        NIRError: it has others.
    """
    return _Reader(model, values).read()


class _Reader:
    def __init__(self, model: m.NeuronModel, values: Mapping[str, Array]) -> None:
        self.model, self.values = model, values
        self.spike: tuple[str, m.Expr] | None = None
        self.known: dict[str, m.Expr] = {}

    def refuse(self, why: str) -> NIRError:
        return NIRError(f"{self.model.name} has no counterpart in NIR: {why}")

    def read(self) -> Dynamics:
        model = self.model
        for there, what in (
            (len(model.inputs) != 1, f"it has the inputs {', '.join(model.inputs)}"),
            (len(model.outputs) != 1, f"it has the outputs {', '.join(model.outputs)}"),
            (model.noises, "it draws random numbers"),
            (model.feedbacks, "it has a feedback"),
            (model.uses_t, "it reads the time"),
        ):
            if there:
                raise self.refuse(what)
        for statement in model.statements:
            self.known[statement.target] = self._put_in(statement.value, statement.target)
        output = model.outputs[0]
        states = tuple(state.name for state in model.states)
        if self.spike is None:
            if states and output not in states:
                raise self.refuse(f"its output {output} is neither a spike nor a state")
            if not states:
                raise self.refuse("it has no state and does not fire")
            return self._linear({name: self.known[name] for name in states}, output, None, None)
        name, argument = self.spike
        if output != name:
            raise self.refuse(f"its output {output} is not its spike {name}")
        return self._firing(states, argument)

    def _put_in(self, e: m.Expr, target: str) -> m.Expr:
        """The expression of the states and the input before the step; a spike is left as a name."""

        def change(ref: m.Ref) -> m.Expr:
            found = self.known.get(ref.name)
            return ref if found is None or ref.kind is m.SymbolKind.PARAM else found

        if isinstance(e, m.Spike):
            if self.spike is not None:
                raise self.refuse("it has more than one spike")
            if e.type is m.Type.GRADED:
                raise self.refuse("its spikes have several levels")
            self.spike = target, rewrite(e.argument, change)
            return m.Ref(target, m.SymbolKind.LOCAL, type=m.Type.SPIKE, level=m.Level.STEP)
        if any(isinstance(part, m.Spike) for part in m.walk(e)):
            raise self.refuse(f"a spike stands inside the expression of {target}")
        made = rewrite(e, change)
        if sum(1 for _ in itertools.islice(m.walk(made), MAX_SIZE)) == MAX_SIZE:
            raise self.refuse("its equations are too long")
        return made

    def _firing(self, states: tuple[str, ...], argument: m.Expr) -> Dynamics:
        """A neuron with a spike: each state after its reset."""
        assert self.spike is not None
        fired = self.spike[0]
        charged: dict[str, m.Expr] = {}
        resets: dict[str, m.Expr] = {}
        for name in states:
            value = self.known[name]
            if isinstance(value, m.Select) and _is_spike(value.condition, fired):
                charged[name], resets[name] = value.otherwise, value.then
            elif any(isinstance(e, m.Ref) and e.name == fired for e in m.walk(value)):
                raise self.refuse(
                    f"the reset of {name} is no `{name} = … if {fired} else {name}`, as with a soft reset: "
                    "NIR resets to v_reset"
                )
            else:
                charged[name] = value
        row = self._row(argument, states, "the argument of its spike")
        if not states:
            slope = row.get(self.model.inputs[0])
            if slope is None or not (slope == 1).all():
                raise self.refuse("its spike does not compare its input with a threshold")
            name = self.model.inputs[0]
            return Dynamics((), name, {}, name, -row[""], None, False)
        fires = [name for name in states if self._is_charged(argument, charged[name], states)]
        if not fires:
            raise self.refuse("its spike does not compare a charged state with a threshold")
        name = fires[0]
        base = self._row(charged[name], states, f"the charge of {name}")
        if set(resets) - {name}:
            raise self.refuse("it resets another state than the one that fires")
        if name not in resets:
            raise self.refuse(f"{name} is not reset")
        if any(
            isinstance(e, m.Ref) and e.kind is not m.SymbolKind.PARAM for e in m.walk(resets[name])
        ):
            raise self.refuse(
                f"{name} is reset to what depends on the states, as with a soft reset: NIR resets to v_reset"
            )
        threshold = base[""] - row[""]
        return self._linear(charged, name, threshold, self._number(resets[name]))

    def _is_charged(self, argument: m.Expr, charged: m.Expr, states: tuple[str, ...]) -> bool:
        """Whether the argument is a charged state less a threshold."""
        row = self._row(argument, states, "the argument of its spike")
        base = self._row(charged, states, "a charge")
        zero = np.zeros(())
        names = (*states, self.model.inputs[0])
        return all(np.allclose(row.get(n, zero), base.get(n, zero), rtol=1e-12) for n in names)

    def _linear(
        self,
        charged: dict[str, m.Expr],
        output: str,
        threshold: Array | None,
        reset: Array | None,
    ) -> Dynamics:
        states = tuple(charged)
        rows = {n: self._row(e, states, f"the charge of {n}") for n, e in charged.items()}
        exact = any(system.solver == "exact" for system in self.model.systems)
        return Dynamics(states, self.model.inputs[0], rows, output, threshold, reset, exact)

    def _row(self, e: m.Expr, states: tuple[str, ...], what: str) -> dict[str, Array]:
        """The coefficients of a linear expression, and under "" what is added."""
        names = (*states, self.model.inputs[0])
        try:
            found = coefficients(e, names, {})
        except NotLinearError:
            raise self.refuse(f"{what} is not linear") from None

        def without(ref: m.Ref) -> m.Expr:
            return ZERO if ref.name in names and ref.kind is not m.SymbolKind.PARAM else ref

        row = {name: self._number(c) for name, c in found.items()}
        row[""] = self._number(rewrite(e, without))
        return row

    def _number(self, e: m.Expr) -> Array:
        """The value of an expression of params, one by one where they have a shape."""
        names = {r.name for r in m.walk(e) if isinstance(r, m.Ref)}
        missing = names - self.values.keys()
        if missing:
            raise self.refuse(f"a coefficient depends on {', '.join(sorted(missing))}")
        arrays = np.broadcast_arrays(*(self.values[n] for n in sorted(names)), np.zeros(()))[:-1]
        shape = arrays[0].shape if arrays else ()
        flat = [a.reshape(-1) for a in arrays]
        count = flat[0].size if flat else 1
        made = [
            evaluate(e, {n: a[k].item() for n, a in zip(sorted(names), flat, strict=True)})
            for k in range(count)
        ]
        return np.array(made, dtype=np.float64).reshape(shape)


def _is_spike(e: m.Expr, name: str) -> bool:
    while isinstance(e, m.Detach):
        e = e.operand
    return isinstance(e, m.Ref) and e.name == name
