"""E04: rules of the language. E09: what is not yet supported."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.catalogue.examples import RIGHT, changed

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
        "a primitive without u",
        "The primitive of a surrogate is differentiated by its first parameter and must depend on it.",
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
        changed("E0411", "", "", "LIF", "LIF").severity,
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
        "E0901",
        "not yet supported",
        "The language has it, this release does not: other solvers than euler, params with a shape, `feedback`, "
        "`noise`, and `value` in surrogates.",
        "dv/dt = (x - v) / tau",
        "dv/dt = (x - v) / tau by rk4",
    ),
)
