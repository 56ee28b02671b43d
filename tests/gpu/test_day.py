"""The page "A day with a GPU": its command lines are understood, and what they select is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from neurodsl.cli.parser import build_parser
from neurodsl.tools import gpu_check

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Of the page's shell blocks, a list of words each, without where the output goes."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    run = re.search(r'^run="(.*)"$', blocks, re.MULTILINE)
    assert run is not None
    lines = blocks.replace("$run", run[1]).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        found.append(words[: words.index(">")] if ">" in words else words)
    return [words for words in found if words]


def after(words: list[str], *start: str) -> list[str] | None:
    """What follows these words in a command; None if they are not there."""
    for place in range(len(words)):
        if tuple(words[place : place + len(start)]) == start:
            return words[place + len(start) :]
    return None


def test_commands_are_understood() -> None:
    checked = 0
    for words in commands():
        if (rest := after(words, "neurodsl")) is not None and words[0] == "neurodsl":
            build_parser().parse_args(rest)
            checked += 1
        if (rest := after(words, "-m", "neurodsl.tools.gpu_check")) is not None:
            gpu_check.build_parser().parse_args(rest)
            checked += 1
    assert checked >= 9


@pytest.mark.parametrize(
    ("selection", "least"), [("gpu and not large", 400), ("large", 2), ("not gpu", 100)]
)
def test_selections_are_not_empty(selection: str, least: int) -> None:
    command = [sys.executable, "-m", "pytest", "tests/gpu", "--collect-only", "-q", "-m", selection]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert sum("::" in line for line in done.stdout.splitlines()) >= least


def test_what_the_page_names_is_there() -> None:
    for name in re.findall(r"`((?:tests|examples)/[\w/]+\.py)`", PAGE):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`(test_\w+\.py)`", PAGE):
        assert (ROOT / "tests" / "gpu" / name).exists(), name
