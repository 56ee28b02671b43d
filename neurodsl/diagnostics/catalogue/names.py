"""E02: names and what they stand for. E05: imports and inheritance."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.catalogue.examples import RIGHT, changed

_CHILD = "from library import LIF\n\nneuron Soft(LIF):\n    reset:\n        v = v - v_threshold if s else v\n"

ENTRIES: tuple[Entry, ...] = (
    changed(
        "E0201",
        "unknown name",
        "A name is used that is neither declared nor assigned in the neuron.",
        "(x - v) / tau",
        "(x - v) / taw",
    ),
    changed(
        "E0202",
        "declared twice",
        "Every name of a neuron, and every neuron, function and surrogate of a file, is declared once.",
        "    param threshold = 1.0\n",
        "    param threshold = 1.0\n    param tau = 3.0\n",
    ),
    changed(
        "E0203",
        "used before it is assigned",
        "Statements run from top to bottom, phase after phase. What is read must have been assigned above.",
        "dv/dt = (x - v) / tau",
        "dv/dt = (x - v) / tau - s",
    ),
    changed(
        "E0204",
        "the name of a function",
        "A declared or assigned name must not be that of a function of the language. Surrogates are apart.",
        "    param threshold = 1.0\n",
        "    param threshold = 1.0\n    const exp = 2.0\n",
    ),
    changed(
        "E0205",
        "unknown function",
        "Only the functions of the language and those that the file defines or imports can be called.",
        "(x - v) / tau",
        "tanhh(x - v) / tau",
    ),
    changed(
        "E0206",
        "unknown surrogate",
        "The second argument of `spike` is a surrogate of the library, or one that the file defines or imports.",
        "spike(v - threshold)",
        "spike(v - threshold, atann(alpha=2.0))",
    ),
    changed(
        "E0207",
        "recursion",
        "Functions are put in where they are called, so a function cannot call itself, directly or through others.",
        "= 1 / (1 + z * z)",
        "= 1 / (1 + gate(z))",
        right="function gate(z) = 1 / (1 + z * z)\n\n" + RIGHT.replace("(x - v)", "gate(x - v)"),
    ),
    changed(
        "E0208",
        "a name that has no value yet",
        "A const is made of consts above it. A param's default may use consts and params above it, a state's first "
        "value all consts and params. Inputs, states, `t` and locals have a value only in the phases.",
        "    param threshold = 1.0\n",
        "    param threshold = 2 * v\n",
    ),
    changed(
        "E0209",
        "a function without its arguments",
        "A function is no value. It is called, with brackets.",
        "(x - v) / tau",
        "(x - tanh) / tau",
    ),
    changed(
        "E0210",
        "unknown solver",
        "After `by` stands the name of a solver.",
        "(x - v) / tau",
        "(x - v) / tau by eulr",
    ),
    changed(
        "E0501",
        "an import cannot be read",
        "The path of an import is relative to the folder of the file that it stands in.",
        "from library import LIF",
        'from "nowhere.neuron" import LIF',
        right=_CHILD,
    ),
    changed(
        "E0502",
        "not in the imported file",
        "The file, or the library, has no neuron, function or surrogate of this name.",
        "from library import LIF",
        "from library import LIFF",
        right=_CHILD,
    ),
    changed(
        "E0503",
        "imports in a circle",
        "A file cannot import itself, directly or through others.",
        "from library import LIF",
        'from "program.neuron" import LIF',
        right=_CHILD,
    ),
    changed(
        "E0504",
        "unknown parent",
        "A neuron takes over another one of the same file, or one that is imported.",
        "neuron Soft(LIF):",
        "neuron Soft(LAF):",
        right=_CHILD,
    ),
    changed(
        "E0505",
        "its own ancestor",
        "Taking over neurons must end at one that takes over none.",
        "neuron LIF:",
        "neuron LIF(LIF):",
    ),
)
