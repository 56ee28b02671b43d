"""Golden files: `golden(path, text)` compares, and rewrites them under `--update-golden`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("NEURODSL_NATIVE", "1")
"""Tests wait for the call path in C++, so that they test it; those of the other one turn it off."""

Golden = Callable[[Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite golden files instead of comparing"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a golden file, byte for byte."""
    update = bool(request.config.getoption("--update-golden"))

    def check(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        assert path.exists(), f"{path} is missing: run pytest with --update-golden"
        assert text == path.read_bytes().decode(), f"{path} differs (--update-golden rewrites it)"

    return check
