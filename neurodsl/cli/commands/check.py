"""`neurodsl check`: diagnostics only."""

from __future__ import annotations

import argparse
import sys

from neurodsl.cli.failures import DONE, USAGE, WRONG, UsageError
from neurodsl.cli.reports import print_diagnostics
from neurodsl.cli.sources import read
from neurodsl.cli.terminal import complain
from neurodsl.diagnostics import CompileError, Diagnostic, Severity
from neurodsl.options import Options


def run(arguments: argparse.Namespace) -> int:
    """Check every file, one that is missing or not; text on stdout a file, or one JSON object for all."""
    found: list[Diagnostic] = []
    status = DONE
    for file in arguments.files:
        try:
            diagnostics, sources = _check(file)
        except UsageError as error:
            sys.stdout.flush()
            complain(str(error))
            status = USAGE
            continue
        if arguments.format == "text":
            print_diagnostics(diagnostics, sources, sys.stdout)
        found += diagnostics
    if arguments.format == "json":
        from neurodsl.diagnostics.render import render_json

        sys.stdout.write(render_json(found).rstrip("\n") + "\n")
    wrong = any(diagnostic.severity is Severity.ERROR for diagnostic in found)
    return status or (WRONG if wrong else DONE)


def _check(file: str) -> tuple[tuple[Diagnostic, ...], dict[str, str]]:
    from neurodsl.driver import analyse_text
    from neurodsl.files import disk_loader

    try:
        source = read(file)
        analysis = analyse_text(source.text, source.name, Options(), disk_loader)
    except CompileError as error:
        return error.diagnostics, error.sources
    return analysis.diagnostics, analysis.sources
