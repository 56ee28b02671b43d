"""examples/mnist_conv.py: it runs, and a run that was interrupted and resumed is the run that was not."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "mnist_conv.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mnist_conv", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mnist_conv"] = module
    spec.loader.exec_module(module)
    return module


def test_resuming_is_exact(example: ModuleType, tmp_path: Path) -> None:
    small = ["--quick", "--channels", "4", "--steps", "4"]
    whole = example.main([*small, "--epochs", "2", "--out", str(tmp_path / "whole")])
    example.main([*small, "--epochs", "1", "--out", str(tmp_path / "parts")])
    resumed = example.main([*small, "--epochs", "2", "--resume", "--out", str(tmp_path / "parts")])
    assert len(whole.losses) == 2 * len(range(0, 400, 64))
    assert resumed.losses == whole.losses
    assert resumed.accuracies == whole.accuracies
    curves = json.loads((tmp_path / "parts" / "curves.json").read_text())
    assert curves["losses"] == whole.losses
    assert (tmp_path / "parts" / "curves.png").read_bytes().startswith(b"\x89PNG")
