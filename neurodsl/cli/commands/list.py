"""`neurodsl list`: the neurons and surrogates of the library, a line each."""

from __future__ import annotations

import argparse
import json

from neurodsl.cli.failures import DONE
from neurodsl.cli.terminal import columns


def run(arguments: argparse.Namespace) -> int:
    """Print what the library has: name, inputs and outputs, params with defaults, the docstring's first line."""
    from neurodsl.tools.catalogue import library_neurons, library_surrogates

    neurons, surrogates = library_neurons(), library_surrogates()
    if arguments.format == "json":
        content = {
            "neurons": [neuron.as_json() for neuron in neurons],
            "surrogates": [surrogate.as_json() for surrogate in surrogates],
        }
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return DONE
    print("neurons (neurodsl show NAME --stage model prints one)")
    print(columns([(n.name, n.summary) for n in neurons]))
    print("\nsurrogates (the derivative is symbolic, or given as `gradient`)")
    print(columns([(s.call, s.formula) for s in surrogates]))
    return DONE
