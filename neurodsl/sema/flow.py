"""Which values reach which, by their value or by a gradient, within a step and from step to step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from neurodsl.sema import model as m
from neurodsl.sema.builtins import BUILTINS
from neurodsl.sema.model import Parts, parts, walk


def smooth_parts(e: m.Expr) -> tuple[m.Expr, ...]:
    """The operands that a gradient passes on to."""
    match e:
        case m.Comparison() | m.Logic() | m.Detach():
            return ()
        case m.Call() if not BUILTINS[e.function].differentiable:
            return ()
        case m.Not() if e.type is m.Type.BOOLEAN:
            return ()
        case m.Select() if e.condition.type is not m.Type.SPIKE:
            return (e.then, e.otherwise)
        case m.Spike() if e.surrogate.surrogate.primitive is not None:
            return (e.argument, *e.surrogate.arguments)
        case _:
            return parts(e)


def names(e: m.Expr, into: Parts = parts) -> frozenset[str]:
    """The names that an expression reads."""
    return frozenset(node.name for node in walk(e, into) if isinstance(node, m.Ref))


def sources(neuron: m.NeuronModel, ends: Iterable[str], into: Parts) -> frozenset[str]:
    """Inputs, params and states that reach any of `ends` (values at the end of a step), over any number of steps."""
    steps = [(statement.target, names(statement.value, into)) for statement in neuron.statements]
    states = {state.name: names(state.initial, into) for state in neuron.states}
    wanted = set(ends)
    while True:
        live = set(wanted)
        for target, reads in reversed(steps):
            if target in live:
                live.remove(target)
                live |= reads
        if live & states.keys() <= wanted:
            initial = (reads for name, reads in states.items() if name in live)
            return frozenset(live.union(*initial))
        wanted |= live & states.keys()


def reached(neuron: m.NeuronModel, starts: Iterable[str]) -> Iterator[tuple[m.Statement, bool]]:
    """Each statement, and whether it reads a value that `starts` (values at the start of a step) reach in that step."""
    tainted = set(starts)
    for statement in neuron.statements:
        touched = not tainted.isdisjoint(names(statement.value))
        yield statement, touched
        (tainted.add if touched else tainted.discard)(statement.target)
