"""`neurodsl demo`: the main job in one go."""

from __future__ import annotations

import argparse

from neurodsl.cli.failures import UsageError


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    from neurodsl.tools.demo.command import run as demo

    try:
        return demo(
            seed=arguments.seed,
            epochs=arguments.epochs,
            out=arguments.out,
            backend=arguments.backend,
            quick=arguments.quick,
        )
    except FileExistsError:
        raise
    except OSError as error:
        if not str(error.filename or "").startswith(str(arguments.out)):
            raise
        raise UsageError(f"{error.filename}: {error.strerror}") from None
