"""`python -m neurodsl.tools.library_page`: docs/library.md, from the library itself."""

from __future__ import annotations

import sys

from neurodsl.tools.catalogue import library_neurons, library_surrogates

HEAD = """# The library

Every neuron and surrogate that comes with NeuroDSL, written in the language itself. `neurodsl list` shows them,
`neurodsl show NAME --stage latex` prints a neuron's equations and their adjoint, and
`from neurodsl.library import NAME` gives the module. A child takes one over and changes what it names
(see [Reuse](language.md#reuse)).

Names, parameters, defaults and equations are those of the class that a neuron is named after; its docstring says
which that is, and names the quirks. [Against the peers](peers.md) holds them against each other.

## Neurons

| neuron | what it is | parameters |
| --- | --- | --- |
"""

TAIL = """
## What is not here

Parallel-in-time neurons (PSN and its family) mix all steps in one product and have no charge, fire and reset. Neurons
that normalise over the batch within a step are no function of one neuron's values. Of SpikingJelly's surrogates
`SquarewaveFourierSeries` (a sum of as many terms as a parameter says) and `PoissonPass` (which draws random numbers)
are left out.
"""


def page() -> str:
    """The page's text."""
    lines = [
        f"| `{row.name}` | {_first(row.summary)} | {', '.join(f'`{p}`' for p in row.params)} |"
        for row in library_neurons()
    ]
    text = (
        HEAD
        + "\n".join(lines)
        + "\n\n## Surrogates\n\n| as it is called | definition |\n| --- | --- |\n"
    )
    rows = [f"| `{row.call}` | `{row.formula}` |" for row in library_surrogates()]
    return text + "\n".join(rows) + "\n" + TAIL


def _first(summary: str) -> str:
    """The first sentence of a summary."""
    return summary.split(". ")[0].rstrip(".:,")


if __name__ == "__main__":
    sys.stdout.write(page())
