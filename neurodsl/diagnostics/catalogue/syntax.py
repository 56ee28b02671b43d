"""E01: syntax. What the text must look like before its meaning is asked for."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.diagnostic import Severity

_RIGHT = """\
neuron IF:
    input  x
    output s

    param threshold = 1.0 in (0, inf)

    state v = 0.0

    charge:
        v = v + x

    fire:
        s = spike(v - threshold)

    reset:
        v = 0.0 if s else v
"""

_SURROGATE = """\
surrogate tent(u, width = 1.0):
    gradient = max(0, 1 - abs(u) / width)

"""


def _entry(
    code: str, title: str, explanation: str, old: str, new: str, *, right: str = _RIGHT
) -> Entry:
    """An entry whose wrong program is the right one with `old` replaced by `new`."""
    if right.count(old) != 1:
        raise ValueError(f"{code}: {old!r} must stand in the right program once")
    wrong = right.replace(old, new)
    return Entry(code, Severity.ERROR, title, explanation, wrong, right)


ENTRIES: tuple[Entry, ...] = (
    _entry(
        "E0101",
        "unexpected text",
        "The text cannot go on like this. The message says what could stand here and what was "
        "found instead; a line that begins with a keyword is shown as it is usually written.",
        "state v = 0.0",
        "state v",
    ),
    _entry(
        "E0102",
        "a character that cannot stand here",
        "Names may have letters of any script, Greek ones included, but signs are those of the "
        "keyboard: `-` and not the typographic minus, `<=` and not its one-character form. "
        "Comments and docstrings may hold any character. A file is UTF-8: a byte that is not cannot "
        "stand anywhere.",
        "v - threshold",
        "v − threshold",
    ),
    _entry(
        "E0103",
        "a tab",
        "White space is made of spaces: how wide a tab is depends on the editor, and blocks are "
        "told by their indentation. Comments and docstrings may hold tabs.",
        "        v = v + x",
        "\tv = v + x",
    ),
    _entry(
        "E0104",
        "a bracket that is never closed",
        "A bracket was opened here and not closed before the end of the text, or before a colon, "
        "which never stands inside brackets. While a bracket is open, line ends do not count.",
        "spike(v - threshold)",
        "spike((v - threshold)",
    ),
    _entry(
        "E0105",
        "a bracket that closes nothing",
        "No bracket is open where this one closes.",
        "spike(v - threshold)",
        "spike(v - threshold))",
    ),
    _entry(
        "E0106",
        "a bracket of the wrong kind",
        "Round brackets close round ones and square brackets square ones. Only intervals mix "
        "them, as in mathematics: `[0, 1)` holds 0 and not 1.",
        "spike(v - threshold)",
        "spike(v - threshold]",
    ),
    _entry(
        "E0107",
        "wrong indentation",
        "A line is indented more than the line before it although that does not open a block, or "
        "it goes back to where no block stands, or further than the lines after it. Lines of one "
        "block begin in the same column; the first line of a program begins at the margin.",
        "    fire:",
        "  fire:",
    ),
    _entry(
        "E0108",
        "an empty block",
        "A line that ends in a colon opens a block, and at least one line, indented more, must "
        "follow. Comments do not count. A phase that does nothing is left out.",
        "    reset:\n        v = 0.0 if s else v\n",
        "    reset:\n        # nothing yet\n",
    ),
    _entry(
        "E0109",
        "a missing colon",
        "The first line of a neuron, a surrogate or a phase ends in a colon.",
        "charge:",
        "charge",
    ),
    _entry(
        "E0110",
        "a text without its end",
        'A docstring ends with three double quotes, as it begins; a path ends with `"` on the same line.',
        "    input  x",
        '    """Integrates and fires.\n\n    input  x',
    ),
    _entry(
        "E0111",
        "a reserved name",
        "These words stand for something everywhere and cannot be declared: `if else and or not "
        "true false inf pi dt t`. Every other word is a name, keywords of this language and of "
        "others included.",
        "param threshold = 1.0 in (0, inf)",
        "param threshold = 1.0 in (0, inf)\n    param t = 2.0",
    ),
    _entry(
        "E0112",
        "`=` and `==`",
        "`=` gives a name its value and stands once in a statement; `==` compares two values.",
        "s = spike",
        "s == spike",
    ),
    _entry(
        "E0113",
        "an unknown keyword",
        "A line begins with a keyword, or with a name in a phase; this word is none that may "
        "stand here. The nearest one that may is suggested.",
        "output s",
        "outptu s",
    ),
    _entry(
        "E0114",
        "phases out of order",
        "A step charges, then fires, then resets, and a program is read in the order in which it "
        "runs. Phases may be left out, but not exchanged.",
        "    charge:\n        v = v + x\n\n    fire:\n        s = spike(v - threshold)\n",
        "    fire:\n        s = spike(v - threshold)\n\n    charge:\n        v = v + x\n",
    ),
    _entry(
        "E0115",
        "a phase that stands there twice",
        "Each phase stands in a neuron once; its statements run from top to bottom.",
        "    fire:",
        "    charge:\n        v = 0.9 * v\n\n    fire:",
    ),
    _entry(
        "E0116",
        "a declaration after a phase",
        "A neuron declares first and then says what it does: all declarations stand above the "
        "first phase, in any order among themselves.",
        "    state v = 0.0\n\n    charge:\n        v = v + x\n",
        "    charge:\n        v = v + x\n\n    state v = 0.0\n",
    ),
    _entry(
        "E0117",
        "nesting that is too deep",
        "At most 200 brackets may be open at once, and an expression is at most 200 operations "
        "deep. A sum or product may have any number of terms: it is flat. Deep expressions are "
        "split by giving parts of them names.",
        "v + x",
        "v + " + "(" * 201 + "x" + ")" * 201,
    ),
    _entry(
        "E0118",
        "not a number",
        "A number has digits, at most one point, and perhaps an exponent: `2`, `0.5`, `.5`, "
        "`1e-3`. A product is written with `*`. Numbers are those of float64, whose largest is "
        "about 1.8e308; infinity is `inf`.",
        "v + x",
        "v + 2x",
    ),
    _entry(
        "E0119",
        "a line in the wrong place",
        "Imports, functions, surrogates and neurons stand at the margin; declarations and phases "
        "in a neuron; statements in a phase.",
        "    state v = 0.0\n",
        "    v = 0.0\n",
    ),
    _entry(
        "E0120",
        "a part of a declaration that stands there twice",
        "After a param's default, `in`, `learnable` and `via` may stand in any order, each once.",
        "in (0, inf)",
        "in (0, inf) in (0, 10)",
    ),
    _entry(
        "E0121",
        "a line that a surrogate does not have, or has twice",
        "A surrogate defines its `primitive`, its `gradient` or both, and perhaps a `value`; "
        "each once.",
        "gradient =",
        "derivative =",
        right=_SURROGATE + _RIGHT.replace("- threshold)", "- threshold, tent())"),
    ),
    _entry(
        "E0122",
        "a docstring in the wrong place",
        "A docstring is the first thing in a neuron. Elsewhere, a comment explains.",
        "    charge:\n",
        '    charge:\n        """Adds the input."""\n',
    ),
    _entry(
        "E0123",
        "an import from an unknown place",
        "Neurons, surrogates and functions come from `library`, or from a file, whose relative "
        'path stands in quotes: `from "lif.neuron" import LIF`.',
        "from library import",
        "from libary import",
        right="from library import IF\n\nneuron Mine(IF):\n    param v_threshold = 2.0\n",
    ),
    _entry(
        "E0124",
        "a statement behind a colon",
        "A block begins on the line after the colon that opens it.",
        "    charge:\n        v = v + x\n",
        "    charge: v = v + x\n",
    ),
)
