"""`neurodsl demo`: the main job in one go."""

from __future__ import annotations

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    from neurodsl.tools.demo.command import run as demo

    return demo(
        seed=arguments.seed,
        epochs=arguments.epochs,
        out=arguments.out,
        backend=arguments.backend,
        quick=arguments.quick,
    )
