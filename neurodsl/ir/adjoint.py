"""Reverse accumulation: from a forward step to the program of its adjoint, a statement at a time.

A sum passes its gradient to each of its terms; any other term is differentiated by SymPy (neurodsl/symbolic). A
spike's gradient goes to its argument times the surrogate's derivative there. A gradient times a selection is a
selection of gradients: exactly 0 into the arm that was not taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from neurodsl.ir.kernel_plan import Binding, Carry
from neurodsl.ir.lowered import LoweredStep, SpikeRule
from neurodsl.ir.nodes import Assign, Const, Expr, IRType, Op, Program, Var
from neurodsl.ir.trees import variables
from neurodsl.symbolic.partials import partials

ZERO = Const(0.0)


@dataclass(frozen=True, slots=True)
class Adjoint:
    """The reverse step, reading the forward's variables, and what flows in and out of it."""

    reverse: Program
    grad_outputs: tuple[Binding, ...]
    grad_recorded: tuple[Binding, ...]
    grad_inputs: tuple[Binding, ...]
    adjoints: tuple[Carry, ...]
    grad_scalars: tuple[Binding, ...]


_TERMS = 8
"""How many contributions to a gradient are added up in one line."""


def differentiate(lowered: LoweredStep, *, full: bool) -> Adjoint:
    """The adjoint of one step; with gradients of scalars and of recorded values if `full`."""
    return _Adjoint(lowered, full=full).run()


class _Adjoint:
    """Contributions to each variable's gradient, collected while the statements are walked backwards."""

    def __init__(self, lowered: LoweredStep, *, full: bool) -> None:
        self.lowered = lowered
        self.full = full
        self.names = lowered.names
        self.contributions: dict[str, list[tuple[bool, Expr]]] = {}
        self.assigns: list[Assign] = []
        self.scalars = frozenset(s.var.name for s in lowered.scalars if not s.shape)
        reals = {s.var.name for s in lowered.scalars if s.var.type is IRType.REAL}
        self.wanted = {b.value.name for b in lowered.inputs if isinstance(b.value, Var)}
        self.wanted |= {carry.incoming.name for carry in lowered.states}
        self.wanted |= reals if full else set()
        self.reach = self._reach()
        self.infinite = set(lowered.infinite)
        for assign in lowered.step:
            if self._infinite(assign.value):
                self.infinite.add(assign.target.name)

    def _infinite(self, e: Expr) -> bool:
        """Whether it is infinite in ordinary use, such as the time of a last spike: what a spike chooses by a gradient
        of 0 is no number then.
        """
        if isinstance(e, Op):
            parts = [a for a in e.args if not (e.name == "select" and isinstance(a, Const))]
            return e.type is IRType.REAL and any(self._infinite(a) for a in parts)
        return e.name in self.infinite if isinstance(e, Var) else math.isinf(e.value)

    def _reach(self) -> set[str]:
        """Variables through which a gradient gets to something that wants one."""
        reach = set(self.wanted)
        for assign in self.lowered.step:
            rule = self.lowered.spikes.get(assign.target.name)
            read = _smooth(assign.value) if rule is None else iter(_reads(rule))
            if any(name in reach for name in read):
                reach.add(assign.target.name)
        return reach

    def run(self) -> Adjoint:
        outputs = self._seeds("grad", self.lowered.outputs)
        recorded = self._seeds("grad_rec", self.lowered.recordable) if self.full else ()
        incoming = [Var(self.names.fresh(f"adj_{carry.name}")) for carry in self.lowered.states]
        for carry, var in zip(self.lowered.states, incoming, strict=True):
            self.contribute(carry.outgoing, var)
        for assign in reversed(self.lowered.step.assigns):
            self.step_back(assign)
        inputs = tuple(
            Binding(b.name, self.gradient(b.value, f"grad_{b.name}")) for b in self.lowered.inputs
        )
        carries = tuple(
            Carry(carry.name, var, self.gradient(carry.incoming, f"next_adj_{carry.name}"))
            for carry, var in zip(self.lowered.states, incoming, strict=True)
        )
        scalars = self._scalars() if self.full else ()
        program = Program(tuple(self.assigns))
        return Adjoint(program, outputs, recorded, inputs, carries, scalars)

    def _seeds(self, prefix: str, bindings: Iterable[Binding]) -> tuple[Binding, ...]:
        seeds = []
        for binding in bindings:
            seed = Var(self.names.fresh(f"{prefix}_{binding.name}"))
            seeds.append(Binding(binding.name, seed))
            self.contribute(binding.value, seed)
        return tuple(seeds)

    def _scalars(self) -> tuple[Binding, ...]:
        return tuple(
            Binding(s.name, self.gradient(s.var, f"grad_{s.name}"))
            for s in self.lowered.scalars
            if s.var.type is IRType.REAL
        )

    def contribute(self, e: Expr, value: Expr, *, negative: bool = False) -> None:
        """Add `value` to the gradient of a variable, or of the spike inside `to_real`."""
        while isinstance(e, Op) and e.name == "to_real":
            e = e.args[0]
        if isinstance(e, Op) and e.name == "not":
            self.contribute(e.args[0], value, negative=not negative)
        elif isinstance(e, Var) and e.name in self.reach and value != ZERO:
            self.contributions.setdefault(e.name, []).append((negative, value))

    def gradient(self, e: Expr, name: str, note: str | None = None) -> Expr:
        """The sum of what was contributed to a variable: a variable or a constant."""
        assert isinstance(e, Var)
        parts = sorted(self.contributions.pop(e.name, []), key=lambda part: part[0])
        if not parts:
            return ZERO
        negative, total = parts[0]
        if negative:
            total = Op("neg", (total,))
        for count, (negative, part) in enumerate(parts[1:], 1):
            total = Op("sub" if negative else "add", (total, part))
            if count % _TERMS == 0:  # trees stay shallow, however often a variable is read
                partial = Var(self.names.fresh(f"{name}_sum"))
                self.assigns.append(Assign(partial, total, note))
                total = partial
        if isinstance(total, Op):
            target = Var(self.names.fresh(name))
            self.assigns.append(Assign(target, total, note))
            return target
        return total

    def step_back(self, assign: Assign) -> None:
        """Pass the gradient of an assignment's target on to what its value reads."""
        name = assign.target.name
        if name not in self.contributions:
            return
        note = None if assign.note is None else f"adjoint of  {assign.note}"
        upstream = self.gradient(assign.target, f"adj_{name}", note)
        rule = self.lowered.spikes.get(name)
        if rule is not None:
            self.contribute(rule.argument, self.product(upstream, surrogate_derivative(rule)))
            self._surrogate_params(rule, upstream)
            return
        for negative, term in linear_terms(assign.value):
            if not isinstance(term, Op) or term.name in ("to_real", "not"):
                self.contribute(term, upstream, negative=negative)
                continue
            for var, derivative in partials(term, self.scalars):
                if var.name not in self.reach:
                    continue
                sign, size = _signed(derivative)
                value = self.product(upstream, size)
                if var.type is IRType.BOOL and self._infinite(size):
                    none = Op("eq", (upstream, ZERO), IRType.BOOL)
                    value = Op("select", (none, ZERO, value))
                self.contribute(var, value, negative=negative != sign)

    def _surrogate_params(self, rule: SpikeRule, upstream: Expr) -> None:
        """A spike acts backward as its primitive: so do the params that are given to its surrogate."""
        if rule.primitive is None or not self.full:
            return
        for var, derivative in partials(rule.primitive, self.scalars):
            if var.name != rule.argument.name:
                self.contribute(var, self.product(upstream, derivative))

    def product(self, upstream: Expr, factor: Expr) -> Expr:
        """`upstream * factor`: a selection stays outside, a reciprocal becomes a division.

        Not where all neurons have the reciprocal in common: that is worked out once.
        """
        match factor:
            case Const(value=0.0):
                return ZERO
            case Const(value=1.0):
                return upstream
            case Op(name="select", args=(condition, a, b)):
                arms = (self.product(upstream, a), self.product(upstream, b))
                return Op("select", (condition, *arms))
            case Op(name="neg", args=(a,)):
                return Op("neg", (self.product(upstream, a),))
            case Op(name="div", args=(Const(value=1.0), a)) if not self._common(a):
                return Op("div", (upstream, a))
        return Op("mul", (upstream, factor))

    def _common(self, e: Expr) -> bool:
        return all(var.name in self.scalars for var in variables(e))


def surrogate_derivative(rule: SpikeRule) -> Expr:
    """The derivative of a spike by its argument: as given, or the primitive's."""
    if rule.gradient is not None:
        return rule.gradient
    assert rule.primitive is not None
    name = rule.argument.name
    for var, derivative in partials(rule.primitive, _all_but(rule.primitive, name)):
        if var.name == name:
            return derivative
    return ZERO


def _reads(rule: SpikeRule) -> set[str]:
    """Names that a spike passes a gradient to."""
    params = () if rule.primitive is None else variables(rule.primitive)
    return {rule.argument.name, *(var.name for var in params)}


def _all_but(e: Expr, name: str) -> frozenset[str]:
    return frozenset(var.name for var in variables(e)) - {name}


def linear_terms(e: Expr, negative: bool = False) -> Iterator[tuple[bool, Expr]]:
    """The terms of a sum, and whether each is subtracted."""
    if isinstance(e, Op) and e.name in ("add", "sub"):
        yield from linear_terms(e.args[0], negative)
        yield from linear_terms(e.args[1], negative != (e.name == "sub"))
    elif isinstance(e, Op) and e.name == "neg":
        yield from linear_terms(e.args[0], not negative)
    else:
        yield negative, e


def _signed(e: Expr) -> tuple[bool, Expr]:
    """Whether there is a minus before the whole, and the rest."""
    match e:
        case Op(name="neg", args=(a,)):
            sign, size = _signed(a)
            return not sign, size
        case Const(value=value) if value < 0:
            return True, Const(-value)
        case Op(name="mul", args=(Const(value=value), a)) if value < 0:
            return True, a if value == -1 else Op("mul", (Const(-value), a))
    return False, e


def _smooth(e: Expr) -> Iterator[str]:
    """Names that an expression may pass a gradient to."""
    if isinstance(e, Var):
        yield e.name
    elif isinstance(e, Op) and e.name != "detach":
        for argument in e.args:
            yield from _smooth(argument)
