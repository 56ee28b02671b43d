"""One backward pass before its tape is chosen: the flat forward step, the flat reverse step, what is hoisted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from neurodsl.ir.adjoint import Adjoint, differentiate
from neurodsl.ir.cse import ValueNumbering
from neurodsl.ir.hoist import hoist
from neurodsl.ir.kernel_plan import BackwardPlan, Binding, Carry
from neurodsl.ir.liveness import free_variables, inline, live
from neurodsl.ir.lower import lower
from neurodsl.ir.lowered import LoweredStep
from neurodsl.ir.nodes import Expr, Program, Var
from neurodsl.sema.model import NeuronModel


@dataclass(frozen=True, slots=True)
class Variant:
    """A forward step and one adjoint of it, numbered together. `forward` is the same for every variant of a neuron."""

    lowered: LoweredStep
    forward: Program
    states: tuple[Carry, ...]
    adjoint: Adjoint
    prologue: Program
    reverse: Program
    temporaries: frozenset[str]
    full: bool

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of forward variables, states and inputs that the reverse step reads, in order."""
        free = free_variables(self.reverse, self.roots)
        order = [b.value for b in self.lowered.read] + [c.incoming for c in self.states]
        order += [assign.target for assign in self.forward]
        return tuple(var.name for var in order if isinstance(var, Var) and var.name in free)

    @property
    def roots(self) -> tuple[Expr, ...]:
        """What the reverse step gives."""
        adjoint = self.adjoint
        bindings = (*adjoint.grad_inputs, *adjoint.grad_scalars)
        return (*(b.value for b in bindings), *(c.outgoing for c in adjoint.adjoints))


def make_variant(neuron: NeuronModel, *, spiking: bool, detach_reset: bool, full: bool) -> Variant:
    """Lower, number, differentiate, number again, and drop what is dead."""
    lowered = lower(neuron, spiking=spiking, detach_reset=detach_reset)
    numbering = ValueNumbering(lowered.names)
    forward = numbering.program(lowered.step)
    adjoint = _numbered(differentiate(lowered, full=full), numbering)
    states = tuple(Carry(c.name, c.incoming, numbering.atom(c.outgoing)) for c in lowered.states)
    scalars = [scalar.var.name for scalar in lowered.scalars if not scalar.shape]
    prologue, reverse = hoist(adjoint.reverse, scalars)
    made = Variant(
        lowered,
        forward,
        states,
        adjoint,
        prologue,
        reverse,
        frozenset(numbering.temporaries),
        full,
    )
    return _alive(made)


def _numbered(adjoint: Adjoint, numbering: ValueNumbering) -> Adjoint:
    reverse = numbering.program(adjoint.reverse)

    def atoms(bindings: Iterable[Binding]) -> tuple[Binding, ...]:
        return tuple(Binding(b.name, numbering.atom(b.value)) for b in bindings)

    carries = tuple(Carry(c.name, c.incoming, numbering.atom(c.outgoing)) for c in adjoint.adjoints)
    return Adjoint(
        reverse,
        adjoint.grad_outputs,
        adjoint.grad_recorded,
        atoms(adjoint.grad_inputs),
        carries,
        atoms(adjoint.grad_scalars),
    )


def _alive(v: Variant) -> Variant:
    reverse = live(v.reverse, v.roots)
    needs = [*v.roots, *(assign.value for assign in reverse)]
    prologue = live(v.prologue, needs)
    return Variant(
        v.lowered, v.forward, v.states, v.adjoint, prologue, reverse, v.temporaries, v.full
    )


def finish(variant: Variant, tape: tuple[Var, ...], *, recompute: bool) -> BackwardPlan:
    """The backward pass with a chosen tape: recomputed from the inputs, or read from memory."""
    adjoint, names = variant.adjoint, {var.name for var in tape}
    again = Program(tuple(a for a in variant.forward if a.target.name not in names))
    wanted = [Var(name) for name in variant.needed]
    reverse = Program((*live(again, wanted), *variant.reverse))
    free = free_variables(reverse, variant.roots)
    step, states = _recompute(variant, tape) if recompute else (Program(), ())
    carried = [*(c.outgoing for c in states), *tape]
    used = free_variables(step, carried)
    temporaries = set(variant.temporaries)
    prologue_roots = [*variant.roots, *(assign.value for assign in reverse)]
    return BackwardPlan(
        prologue=inline(variant.prologue, prologue_roots, temporaries),
        recompute=inline(step, carried, temporaries),
        recompute_inputs=_read(variant.lowered.read, used),
        recompute_states=states,
        tape=tape,
        reverse=inline(reverse, variant.roots, temporaries),
        reverse_inputs=_read(variant.lowered.read, free),
        grad_outputs=adjoint.grad_outputs,
        grad_recorded=adjoint.grad_recorded,
        grad_inputs=adjoint.grad_inputs,
        adjoints=adjoint.adjoints,
        grad_scalars=adjoint.grad_scalars,
        full=variant.full,
        again=frozenset(a.target.name for a in variant.forward),
    )


def _recompute(variant: Variant, tape: tuple[Var, ...]) -> tuple[Program, tuple[Carry, ...]]:
    """What of the forward step gives the tape, and the states that this takes."""
    by_incoming = {carry.incoming.name: carry for carry in variant.states}
    states: dict[str, Carry] = {}
    while True:
        roots: list[Expr] = [*tape, *(carry.outgoing for carry in states.values())]
        step = live(variant.forward, roots)
        read = free_variables(step, roots)
        found = {name: carry for name, carry in by_incoming.items() if name in read}
        if found.keys() <= states.keys():
            return step, tuple(carry for name, carry in by_incoming.items() if name in states)
        states |= found


def _read(inputs: tuple[Binding, ...], names: set[str]) -> tuple[Binding, ...]:
    return tuple(b for b in inputs if isinstance(b.value, Var) and b.value.name in names)
