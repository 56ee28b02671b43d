"""`neurodsl compare`: run what this machine has against the eager reference, and print the differences."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from neurodsl.cli.failures import DONE, WRONG, UsageError
from neurodsl.cli.memory import refuse_beyond_memory
from neurodsl.cli.sources import loadable
from neurodsl.cli.terminal import console

BYTES = 128
"""A neuron-step: what the comparison of a simple neuron such as LIF holds at once, in float32."""


def run(arguments: argparse.Namespace) -> int:
    """Compare each neuron asked for; 1 if any tolerance is broken."""
    source = loadable(arguments.file)
    steps, neurons = arguments.steps, arguments.neurons
    refuse_beyond_memory(f"--steps {steps} --neurons {neurons}", BYTES * steps * neurons)
    import neurodsl
    from neurodsl.tools.compare import CannotCompareError, compare, print_comparison

    module = neurodsl.load(source)
    wanted = [arguments.neuron] if arguments.neuron else list(module.__manifest__["neurons"])
    status = DONE
    for neuron in wanted:
        try:
            with _importing_from_here():
                result = compare(
                    module,
                    neuron,
                    against=arguments.against,
                    given=dict(arguments.given),
                    surrogate=arguments.surrogate,
                    steps=steps,
                    neurons=neurons,
                    dtype=arguments.dtype,
                    seed=arguments.seed,
                )
        except CannotCompareError as error:
            raise UsageError(str(error)) from error
        print_comparison(result, console())
        if not result.passed:
            status = WRONG
    return status


@contextmanager
def _importing_from_here() -> Iterator[None]:
    """The class of `--against` may stand in the current folder, as with `python -m neurodsl`."""
    before = list(sys.path)
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before
