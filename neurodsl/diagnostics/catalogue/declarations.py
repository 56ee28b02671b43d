"""E0417 to E0424: solvers, shapes, noise and feedback."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.catalogue.examples import RIGHT, changed
from neurodsl.diagnostics.diagnostic import Severity

_TWO = RIGHT.replace("    state v = 0.0\n", "    state v = 0.0\n    state i = 0.0\n").replace(
    "        dv/dt = (x - v) / tau\n",
    "        dv/dt = (i - v) / tau by rk4\n        di/dt = x - i\n",
)
_LEVELS = (
    "surrogate levels(u, n = 4):\n    value    = clip(round(u), 0, n)\n"
    "    gradient = 1 if 0 <= u <= n else 0\n\n"
    + RIGHT.replace("v - threshold)", "v / threshold, levels())").replace(
        "v = 0.0 if s else v", "v = v - s * threshold"
    )
)
_FED = RIGHT.replace("    state v = 0.0\n", "    feedback y from s\n\n    state v = 0.0\n").replace(
    "(x - v) / tau", "(x + y - v) / tau"
)
_NOISY = RIGHT.replace(
    "    state v = 0.0\n", "    noise e ~ normal(0, 0.1)\n\n    state v = 0.0\n"
).replace("(x - v) / tau", "(x + e - v) / tau")

ENTRIES: tuple[Entry, ...] = (
    changed(
        "E0417",
        "two solvers in one system",
        "Adjacent `d…/dt` lines are one system: all of them read the old values and are solved by one method, which "
        "may be written after any of them. A statement between two lines makes two systems of them.",
        "di/dt = x - i\n",
        "di/dt = x - i by heun\n",
        right=_TWO,
    ),
    changed(
        "E0418",
        "a wrong number of substeps",
        "A solver may take several substeps within a step, `by rk4(steps=4)`: a whole number from 1 to 64. `exact` "
        "takes none, since they would change nothing. Inputs are held over the step.",
        "by rk4",
        "by rk4(steps=0)",
        right=_TWO,
    ),
    changed(
        "E0419",
        "not linear",
        "`exact` solves a system whose right sides are linear in all its states, with coefficients that are the "
        "same for all neurons and steps; of a single line the coefficient may change. `exponential_euler` wants each "
        "line to be linear in its own state. What is added may be anything: it is held over the step.",
        "(x - v) / tau\n",
        "(x - v * v) / tau by exact\n",
    ),
    Entry(
        "E0420",
        Severity.ERROR,
        "a spike of several levels",
        "What a surrogate with a `value` fires is a number, and no condition. A neuron that is written for one cannot "
        "be given a surrogate that fires 0 or 1: `surrogate=` needs one with a `value` too.",
        _LEVELS.replace("v - s * threshold", "0.0 if s else v"),
        _LEVELS,
    ),
    changed(
        "E0421",
        "nothing to feed back",
        "`feedback y from s` hands the last step's `s` to a module: `s` is a state, or a spike or real that some phase "
        "assigns.",
        "feedback y from s",
        "feedback y from spikes",
        right=_FED,
    ),
    changed(
        "E0422",
        "an unknown shape",
        "A param is a scalar, or has a value for each channel (dimension 1 of `[B, C, *]`), for each neuron of a "
        "sample, for each time step, or for each time step and channel.",
        "tau[channel]",
        "tau[chanel]",
        right=RIGHT.replace("param tau", "param tau[channel]"),
    ),
    changed(
        "E0423",
        "one number is needed",
        "The default of a param is one number, so it cannot be made of a param with a shape. The first value of a "
        "state cannot be made of one that changes with the time.",
        "param threshold = 1.0",
        "param threshold = tau / 2",
        right=RIGHT.replace("param tau", "param tau[channel]"),
    ),
    changed(
        "E0424",
        "unknown distribution",
        "Noise is `normal(mean, std)`, `uniform(low, high)` or `bernoulli(p)`.",
        "normal(0, 0.1)",
        "gauss(0, 0.1)",
        right=_NOISY,
    ),
)
