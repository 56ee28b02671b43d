"""Runs compilers through ninja: a list of edges in, built files or the compiler's own words out."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neurodsl.build.toolchain import ninja_program


@dataclass(frozen=True, slots=True)
class Edge:
    """One command: it reads `inputs` and writes `output`, names relative to the build folder."""

    output: str
    inputs: tuple[str, ...]
    command: tuple[str, ...]


def build_text(edges: Sequence[Edge]) -> str:
    """The text of a build.ninja with these edges."""
    lines = [
        "ninja_required_version = 1.5",
        "rule run",
        "  command = $line",
        "  description = $out",
    ]
    for edge in edges:
        inputs = " ".join(_path(name) for name in edge.inputs)
        lines.append(f"build {_path(edge.output)}: run {inputs}")
        lines.append("  line = " + shlex.join(edge.command).replace("$", "$$"))
    return "\n".join(lines) + "\n"


def run(folder: Path, edges: Sequence[Edge]) -> str | None:
    """Write build.ninja into `folder` and run it; None if all went well, else what the tools said.

    Raises:
        ToolchainError: there is no ninja.
    """
    (folder / "build.ninja").write_text(build_text(edges), encoding="utf-8")
    answer = subprocess.run(
        [ninja_program(), "-C", str(folder), "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    for name in (".ninja_log", ".ninja_deps", ".ninja_lock"):
        (folder / name).unlink(missing_ok=True)
    return None if answer.returncode == 0 else answer.stdout


def _path(name: str) -> str:
    return name.replace("$", "$$").replace(" ", "$ ").replace(":", "$:")
