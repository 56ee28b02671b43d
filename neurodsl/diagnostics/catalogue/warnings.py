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
    changed(
        "W0603",
        "a fire that cannot depend on the state",
        "The spike reads no state, so what the neuron integrates has no effect on when it fires.",
        "spike(v - threshold)",
        "spike(x - threshold)",
        severity=Severity.WARNING,
    ),
    changed(
        "W0604",
        "no gradient to an input",
        "The only way from the input to the outputs leads through a step that passes no gradient, such as a "
        "comparison, `round` or `detach`. Layers before this neuron would not learn.",
        "(x - v) / tau",
        "(round(x) - v) / tau",
        severity=Severity.WARNING,
    ),
    changed(
        "W0605",
        "an output assigned in reset",
        "With `detach_reset=True`, or where the line detaches the spike itself, no gradient passes from the output to "
        "the spike. Outputs are better assigned in `fire`.",
        "        v = 0.0 if s else v\n",
        "        v = 0.0 if s else v\n        s = 2 * s\n",
        severity=Severity.WARNING,
    ),
)
