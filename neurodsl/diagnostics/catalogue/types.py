"""E03: types and arguments."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.catalogue.examples import RIGHT, changed

ENTRIES: tuple[Entry, ...] = (
    changed(
        "E0301",
        "a number where a condition is needed",
        "A condition is a boolean or a spike; a number is compared with something first.",
        "0.0 if s else v",
        "0.0 if v else v",
    ),
    changed(
        "E0302",
        "a boolean where a number is needed",
        "A boolean does not count as 0 or 1 in arithmetic; a spike does.",
        "(x - v) / tau",
        "(x - (v > 0)) / tau",
    ),
    changed(
        "E0303",
        "arms of two types",
        "Both arms of a selection must be numbers (or spikes), or both booleans.",
        "0.0 if s else v",
        "(x > 0) if s else v",
    ),
    changed(
        "E0304",
        "wrong number of arguments",
        "A function is given too few arguments, or too many.",
        "spike(v - threshold)",
        "spike(v - threshold, atan(), 3)",
    ),
    changed(
        "E0305",
        "unknown or repeated argument",
        "An argument given by its name must be one that the function or surrogate has, and be given once.",
        "spike(v - threshold)",
        "spike(v - threshold, atan(beta=2.0))",
    ),
    changed(
        "E0306",
        "spike of another boolean",
        "`spike` fires where a number is at least 0. `spike(a > b)` and `spike(a >= b)` say the same of a - b; any "
        "other boolean has no surrogate gradient.",
        "spike(v - threshold)",
        "spike(v > threshold and x > 0)",
    ),
    changed(
        "E0307",
        "unknown map after `via`",
        "A learnable param can be kept as the sigmoid, softplus or exp of what is learnt.",
        "via exp",
        "via log",
        right=RIGHT.replace("in (1, inf)", "in (1, inf) learnable via exp"),
    ),
    changed(
        "E0308",
        "a boolean param with a number's parts",
        "A boolean param is true or false. It has no interval and cannot be learnt.",
        "param leaky = true",
        "param leaky = true learnable",
        right=RIGHT.replace(
            "    param threshold", "    param leaky = true\n    param threshold"
        ).replace("dv/dt = (x - v) / tau", "dv/dt = (x - v) / tau if leaky else x"),
    ),
)
