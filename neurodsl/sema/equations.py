"""A neuron's source, flattened and printed from the syntax tree."""

from __future__ import annotations

from neurodsl.frontend.printer import declaration_text, statement_text
from neurodsl.sema.inherit import FlatNeuron


def equations(flat: FlatNeuron) -> tuple[str, ...]:
    """The lines of the neuron as it would be written without a parent."""
    lines = [f"neuron {flat.neuron.name.name}:"]
    lines += [f"    {declaration_text(d)}" for d in flat.declarations.values()]
    if flat.outputs is not None:
        lines.append(f"    {declaration_text(flat.outputs)}")
    for name in ("charge", "fire", "reset"):
        if name in flat.phases:
            lines.append(f"    {name}:")
            lines += [f"        {statement_text(s)}" for s in flat.phases[name][0].statements]
    return tuple(lines)
