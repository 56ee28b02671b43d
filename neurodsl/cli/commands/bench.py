"""`neurodsl bench`: times and memory as ratios."""

from __future__ import annotations

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Measure every neuron of the files given."""
    from neurodsl.cli.sources import loadable
    from neurodsl.tools.bench.command import run as bench

    sources = [loadable(file) for file in arguments.files]
    return bench(
        sources, rounds=arguments.rounds, compiled=arguments.compiled, as_json=arguments.json
    )
