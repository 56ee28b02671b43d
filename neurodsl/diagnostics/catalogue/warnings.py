"""W06: what is probably not meant."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.catalogue.examples import RIGHT, changed
from neurodsl.diagnostics.diagnostic import Severity

_TWO = RIGHT.replace("output s", "output s, both").replace(
    "s = spike(v - threshold)", "s = spike(v - threshold)\n        both = s * s"
)

ENTRIES: tuple[Entry, ...] = (
    changed(
        "W0601",
        "never used",
        "An input, param or local that nothing reads. What a parent declares is not reported.",
        "    param threshold = 1.0\n",
        "    param threshold = 1.0\n    param spare = 3.0\n",
        severity=Severity.WARNING,
    ),
    changed(
        "W0602",
        "a spike's gradient ends",
        "`and` and `or` give a boolean, which carries no gradient. Products and sums of spikes do.",
        "both = s * s",
        "both = 1 if s and s else 0",
        right=_TWO,
        severity=Severity.WARNING,
    ),
)
