"""Where gradients end: learnable params that none reaches, inputs cut off, outputs that resets cut off."""

from __future__ import annotations

from collections.abc import Mapping

from neurodsl.diagnostics import Label, Report, Span
from neurodsl.sema import model as m
from neurodsl.sema.flow import names, smooth_parts, sources
from neurodsl.sema.model import parts, walk


def check_learnable(neuron: m.NeuronModel, report: Report) -> None:
    """A learnable param must be reached by some gradient, of an output or of a state."""
    learnable = [param for param in neuron.params if param.learnable]
    if not learnable:
        return
    ends = [*neuron.outputs, *(state.name for state in neuron.states)]
    by_gradient = sources(neuron, ends, smooth_parts)
    by_value = sources(neuron, ends, parts)
    for param in learnable:
        if param.name in by_gradient:
            continue
        used = param.name in by_value
        place = _last_smooth(neuron, frozenset([param.name])) if used else None
        report.add(
            "E0415",
            param.span,
            f"no gradient can reach the learnable param `{param.name}`",
            label="would never change" if used else "no output or state depends on it",
            secondary=() if place is None else (Label(place, "the gradient ends here"),),
            help="take `learnable` off, or use it where a gradient passes",
        )


def check_inputs(neuron: m.NeuronModel, spans: Mapping[str, Span], report: Report) -> None:
    """An input that outputs depend on should be reached by their gradient."""
    by_value = sources(neuron, neuron.outputs, parts)
    by_gradient = sources(neuron, neuron.outputs, smooth_parts)
    for name in neuron.inputs:
        if name in spans and name in by_value and name not in by_gradient:
            place = _last_smooth(neuron, frozenset([name]))
            report.add(
                "W0604",
                place or spans[name],
                f"no gradient reaches the input `{name}`",
                label="the gradient ends here",
                secondary=() if place is None else (Label(spans[name], "the input"),),
                help="layers before this neuron would not learn",
            )


def check_outputs(neuron: m.NeuronModel, report: Report) -> None:
    """An output that `reset` works out from a spike loses its gradient when resets are detached."""
    states = {state.name for state in neuron.states}
    for statement in neuron.statements:
        if statement.phase is not m.PhaseName.RESET or statement.target not in neuron.outputs:
            continue
        spike = _detached_spike(statement.value, always=statement.target not in states)
        if spike is not None:
            report.add(
                "W0605",
                statement.span,
                f"the output `{statement.target}` is assigned in `reset` from a spike",
                label="has no gradient to the spike where resets are detached",
                secondary=(Label(spike.span, "the spike"),),
                help="assign outputs in `fire`, which is never detached",
            )


def _detached_spike(e: m.Expr, *, always: bool) -> m.Expr | None:
    """A spike by name that `detach_reset=True` would cut (`always`), or that is under a `detach` as written."""
    for node in walk(e):
        if isinstance(node, m.Detach) and node.operand.type in m.SPIKES:
            return node
        if always and isinstance(node, m.Ref) and node.type in m.SPIKES:
            return node
    return None


def _last_smooth(neuron: m.NeuronModel, starts: frozenset[str]) -> Span | None:
    """The first place that takes a value of `starts` and passes no gradient on."""
    tainted = set(starts)
    for statement in neuron.statements:
        for node in walk(statement.value):
            cut = set(map(id, parts(node))) - set(map(id, smooth_parts(node)))
            for part in parts(node):
                if id(part) in cut and not tainted.isdisjoint(names(part)):
                    return node.span if len(cut) == len(parts(node)) else part.span
        if not tainted.isdisjoint(names(statement.value)):
            tainted.add(statement.target)
    return None
