"""What the phases do with the states."""

from __future__ import annotations

from neurodsl.diagnostics import Report
from neurodsl.sema import model as m
from neurodsl.sema.flow import reached
from neurodsl.sema.model import walk


def check_fire(neuron: m.NeuronModel, report: Report) -> None:
    """A spike of `fire` that no state can change makes the neuron forget what it integrates."""
    if not neuron.states:
        return
    starts = [state.name for state in neuron.states]
    starts += [name for name, _ in neuron.feedbacks]
    for statement, by_state in reached(neuron, starts):
        fires = next((e for e in walk(statement.value) if isinstance(e, m.Spike)), None)
        if statement.phase is m.PhaseName.FIRE and fires is not None and not by_state:
            report.add(
                "W0603",
                fires.span,
                f"`{statement.target}` fires whatever the states are",
                label="reads no state, nor anything made of one",
                help="compare a state with a threshold: `spike(v - v_threshold)`",
            )
