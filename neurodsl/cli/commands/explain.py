"""`neurodsl explain`: what a diagnostic code means, or what a neuron does in a step and keeps for backward."""

from __future__ import annotations

import argparse
import re
import sys

from neurodsl.cli.failures import DONE, UsageError
from neurodsl.cli.sources import read
from neurodsl.cli.terminal import has_color

CODE = re.compile(r"[EWIewi]\d{4}")


def run(arguments: argparse.Namespace) -> int:
    """Explain a code, or a program."""
    subject: str = arguments.subject
    if CODE.fullmatch(subject):
        return _explain_code(subject.upper())
    from neurodsl.tools.explain_neuron import explain

    source = read(subject)
    sys.stdout.write(explain(source.text, source.name))
    return DONE


def _explain_code(code: str) -> int:
    from neurodsl.diagnostics.catalogue import all_codes, lookup
    from neurodsl.diagnostics.explain import explain_code
    from neurodsl.diagnostics.suggest import nearest

    if lookup(code) is None:
        close = nearest(code, all_codes())
        hint = f"; did you mean {close}?" if close else ""
        raise UsageError(f"there is no diagnostic {code}{hint}")
    sys.stdout.write(explain_code(code, has_color(sys.stdout)).rstrip("\n") + "\n")
    return DONE
