"""Examples of the catalogue: a right program, and wrong ones made from it by one change."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.diagnostic import Severity

RIGHT = """\
neuron LIF:
    input  x
    output s

    param tau = 2.0 in (1, inf)
    param threshold = 1.0

    state v = 0.0

    charge:
        dv/dt = (x - v) / tau

    fire:
        s = spike(v - threshold)

    reset:
        v = 0.0 if s else v
"""


def changed(
    code: str,
    title: str,
    explanation: str,
    old: str,
    new: str,
    *,
    right: str = RIGHT,
    severity: Severity = Severity.ERROR,
) -> Entry:
    """An entry whose wrong program is the right one with `old` replaced by `new`."""
    if right.count(old) != 1:
        raise ValueError(f"{code}: {old!r} must stand in the right program once")
    return Entry(code, severity, title, explanation, right.replace(old, new), right)
