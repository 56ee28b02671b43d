"""`neurodsl doctor`: what this machine has, what it lacks, and the commands that mend it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from neurodsl.cli.failures import DONE, LACKING
from neurodsl.cli.terminal import has_color

if TYPE_CHECKING:
    from neurodsl.tools.doctor import Finding

_COLORS = {"ok": "32", "missing": "1;31", "optional": "33"}


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; 3 if something that fused kernels need is missing."""
    from neurodsl.tools.doctor import State, examine

    findings = examine()
    if arguments.format == "json":
        rows = [finding.as_json() for finding in findings]
        print(json.dumps({"findings": rows}, indent=2, ensure_ascii=False))
    else:
        _print(findings)
    return LACKING if any(finding.state is State.MISSING for finding in findings) else DONE


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        state = f"{finding.state.value:<8}"
        if has_color(sys.stdout):
            state = f"\x1b[{_COLORS[finding.state]}m{state}\x1b[0m"
        first, *more = finding.detail.splitlines() or [""]
        print(f"{state}  {finding.name:<{width}}  {first}")
        for line in more:
            print(" " * (width + 12) + line)
        if finding.remedy:
            print(" " * (width + 12) + f"to mend it: {finding.remedy}")
