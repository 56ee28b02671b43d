"""What the README and the docs show is run: neurons are compiled, Python is executed, commands are called.

In a page, a `neuron` block that begins with a comment such as `# lif.neuron` is a file; `python` blocks share one
namespace, and what stands after `# -> ` must be printed; in `console` blocks, lines that begin with `$ neurodsl` must
succeed. Blocks of another kind (`sh`, `text`) are not run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CLI = "import sys; from neurodsl.cli import main; sys.exit(main())"


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield found[1], found[2]


def write_neuron(text: str, folder: Path) -> None:
    named = re.match(r"# (\w+\.neuron)\n", text)
    if named:
        (folder / named[1]).write_text(text, encoding="utf-8")
        run_command(f"check {named[1]}", folder)


def run_command(line: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLI, *line.split()], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, f"neurodsl {line}\n{done.stdout}\n{done.stderr}"


def run_python(
    text: str, page: Path, namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(text, str(page), "exec"), namespace)
    printed = capsys.readouterr().out.splitlines()
    expected = [line.split("# -> ")[1] for line in text.splitlines() if "# -> " in line]
    assert [line for line in printed if line in expected] == expected, printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    for kind, text in blocks(page):
        if kind == "neuron":
            write_neuron(text, tmp_path)
        elif kind == "python":
            run_python(text, page, namespace, capsys)
        elif kind == "console":
            for line in text.splitlines():
                if line.startswith("$ neurodsl "):
                    run_command(line.removeprefix("$ neurodsl "), tmp_path)


def test_there_is_something_to_run() -> None:
    kinds = [kind for page in PAGES for kind, _ in blocks(page)]
    assert kinds.count("python") > 10
    assert kinds.count("console") >= 3


def test_links_lead_somewhere() -> None:
    """Relative links of the README and the examples' page; those among docs are checked by the site's strict build."""
    for page in (ROOT / "README.md", ROOT / "examples" / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
