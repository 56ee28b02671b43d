"""E0401 to E0416: rules of the language."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.catalogue.examples import RIGHT, changed
from neurodsl.diagnostics.diagnostic import Severity

_SURROGATE = "surrogate tent(u, width = 1.0):\n    primitive = clip(u / width, 0, 1)\n\n"
_WITH_SURROGATE = _SURROGATE + RIGHT.replace("v - threshold)", "v - threshold, tent())")

ENTRIES: tuple[Entry, ...] = (
    changed(
        "E0401",
        "assignment to an input, param or const",
        "Statements assign states and locals. Inputs, params and consts keep their value.",
        "        dv/dt = (x - v) / tau\n",
        "        x = 2 * x\n        dv/dt = (x - v) / tau\n",
    ),
    changed(
        "E0402",
        "a state that is never updated",
        "A state that no phase assigns keeps its first value for ever; that is a param.",
        "    state v = 0.0\n",
        "    state v = 0.0\n    state w = 0.0\n",
    ),
    changed(
        "E0403",
        "an output that is never assigned",
        "An output is a state, or a local that some phase assigns.",
        "    output s\n",
        "    output s, z\n",
    ),
    changed(
        "E0404",
        "a default outside its interval",
        "The default of a param must lie in the interval that is written after it.",
        "param tau = 2.0",
        "param tau = 0.5",
    ),
    changed(
        "E0405",
        "division by zero",
        "A division by a constant 0.",
        "(x - v) / tau",
        "(x - v) / tau / 0",
    ),
    changed(
        "E0406",
        "a surrogate without u",
        "The first parameter of a surrogate is what the spike is a step of. Its primitive is differentiated by it and "
        "must depend on it.",
        "primitive = clip(u / width, 0, 1)",
        "primitive = width / 2",
        right=_WITH_SURROGATE,
    ),
    changed(
        "E0407",
        "a surrogate's argument that changes",
        "What a surrogate is given must be the same for all neurons and steps: numbers, consts and params.",
        "tent())",
        "tent(width=1 + abs(x)))",
        right=_WITH_SURROGATE,
    ),
    changed(
        "E0408",
        "an empty interval",
        "The lower end of an interval is written first.",
        "in (1, inf)",
        "in (inf, 1)",
    ),
    changed(
        "E0409",
        "a surrogate without a derivative",
        "A surrogate is defined by its primitive, which is differentiated, or by its gradient.",
        "    primitive = clip(u / width, 0, 1)\n",
        "    value = round(u / width)\n",
        right=_WITH_SURROGATE,
    ),
    changed(
        "E0410",
        "the derivative of what is no state",
        "Only a state has a derivative in time.",
        "dv/dt = (x - v) / tau",
        "dw/dt = (x - v) / tau",
    ),
    Entry(
        "E0411",
        Severity.ERROR,
        "nothing to compile",
        "A file must define at least one neuron or surrogate of its own; imported ones do not count.",
        "function gate(z) = 1 / (1 + z * z)\n",
        RIGHT,
    ),
    changed(
        "E0412",
        "no input or no output",
        "A neuron has at least one input and one output.",
        "    output s\n",
        "",
    ),
    changed(
        "E0413",
        "two derivatives of one state",
        "Adjacent `d…/dt` lines are one system, which has one line for a state.",
        "        dv/dt = (x - v) / tau\n",
        "        dv/dt = -v / tau\n        dv/dt = x / tau\n",
    ),
    Entry(
        "E0414",
        Severity.ERROR,
        "functions too large to write out",
        "A function is put in where it is called. Functions that call functions that call functions can so become "
        "larger than any machine can hold; values in between, on lines of their own, keep them small.",
        "".join(f"function f{k}(z) = f{k + 1}(z) * f{k + 1}(-z)\n" for k in range(20))
        + "function f20(z) = z\n\n"
        + RIGHT.replace("(x - v)", "f0(x - v)"),
        "function square(z) = z * z\n\n" + RIGHT.replace("(x - v)", "square(x - v)"),
    ),
    changed(
        "E0415",
        "a learnable param that no gradient can reach",
        "A gradient passes arithmetic, arms of selections and `spike`; comparisons, conditions that are booleans, "
        "`detach`, `round` and the like end it. A param behind them would never change.",
        "spike(v - threshold)",
        "spike(v - floor(threshold))",
        right=RIGHT.replace("threshold = 1.0", "threshold = 1.0 learnable"),
    ),
    changed(
        "E0416",
        "a gradient that is not the primitive's",
        "Where a surrogate gives both, the gradient must be the derivative of the primitive (it is compared at some "
        "points, with the parameters' defaults). To use another derivative leave the primitive out.",
        "    primitive = clip(u / width, 0, 1)\n",
        "    primitive = clip(u / width, 0, 1)\n    gradient = u / width\n",
        right=_WITH_SURROGATE,
    ),
)
