"""The command line, thin: a command is a call. Commands import what they need when they run."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    0: done; 1: the user's program is wrong or a comparison failed; 2: usage; 3: this machine lacks something;
    70: a fault of ours, which says so.
    """
    from neurodsl.cli.failures import guarded
    from neurodsl.cli.parser import build_parser

    return guarded(lambda: _run(build_parser().parse_args(arguments)))


def _run(parsed: object) -> int:
    from importlib import import_module

    names = vars(parsed)
    module = import_module(f"neurodsl.cli.commands.{names['command']}")
    status = module.run(parsed)
    assert isinstance(status, int)
    return status
