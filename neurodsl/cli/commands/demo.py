"""`neurodsl demo`: the main job in one go."""

from __future__ import annotations

import argparse

from neurodsl.cli.failures import writing_to


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    from neurodsl.tools.demo.command import run as demo

    with writing_to(arguments.out):
        return demo(
            seed=arguments.seed,
            epochs=arguments.epochs,
            out=arguments.out,
            backend=arguments.backend,
            quick=arguments.quick,
        )
