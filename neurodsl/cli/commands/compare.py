"""`neurodsl compare`: run what this machine has against the eager reference, and print the differences."""

from __future__ import annotations

import argparse

from neurodsl.cli.failures import DONE, WRONG, UsageError
from neurodsl.cli.sources import loadable
from neurodsl.cli.terminal import console


def run(arguments: argparse.Namespace) -> int:
    """Compare each neuron asked for; 1 if any tolerance is broken."""
    source = loadable(arguments.file)
    import neurodsl
    from neurodsl.tools.compare import CannotCompareError, compare, print_comparison

    module = neurodsl.load(source)
    wanted = [arguments.neuron] if arguments.neuron else list(module.__manifest__["neurons"])
    status = DONE
    for neuron in wanted:
        try:
            result = compare(
                module,
                neuron,
                against=arguments.against,
                given=dict(arguments.given),
                surrogate=arguments.surrogate,
                steps=arguments.steps,
                neurons=arguments.neurons,
                dtype=arguments.dtype,
                seed=arguments.seed,
            )
        except CannotCompareError as error:
            raise UsageError(str(error)) from error
        print_comparison(result, console())
        if not result.passed:
            status = WRONG
    return status
