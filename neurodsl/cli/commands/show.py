"""`neurodsl show`: one stage of the compiler as text."""

from __future__ import annotations

import argparse
import sys

from neurodsl.cli.failures import DONE
from neurodsl.cli.parser import options_of
from neurodsl.cli.reports import print_diagnostics
from neurodsl.cli.sources import read
from neurodsl.options import Options


def run(arguments: argparse.Namespace) -> int:
    """Print the stage; warnings go to stderr."""
    from neurodsl.tools.show import stage_text

    source = read(arguments.file)
    text, diagnostics, sources = stage_text(
        source.text, source.name, arguments.stage, Options(**options_of(arguments))
    )
    print_diagnostics(diagnostics, sources, sys.stderr)
    sys.stdout.write(text.rstrip("\n") + "\n")
    return DONE
