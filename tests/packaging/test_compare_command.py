"""`neurodsl compare`: what is asked for wrongly is said plainly, classes are found, and noise is the same for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neurodsl.cli import main

SMALL = ["--steps", "4", "--neurons", "20"]

NOISY = """\
neuron Noisy:
    input  x
    output s

    state v = 0.0
    noise e ~ normal(0, 1)

    charge:
        v = 0.5 * v + x + {scale} * e

    fire:
        s = spike(v - 1.0)

    reset:
        v = 0.0 if s else v
"""

CLASSES = """\
from torch import nn
from neurodsl.library import LIF

class Raises(nn.Module):
    def forward(self, x):
        raise KeyError("boom")

class Two(nn.Module):
    def forward(self, x):
        return x, None

class Unmakable(nn.Module):
    def __init__(self):
        raise KeyError("boom")

class NoConstructor(nn.Module):
    def forward(self, x):
        return LIF(tau=3.0)(x)

class Whole(nn.Module):
    def __init__(self, tau, **kwargs):
        super().__init__()
        assert kwargs == {"step_mode": "m"}
        self.node = [LIF(tau=tau)]

    def forward(self, x):
        self.node[0].reset()
        return self.node[0](x)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that stands in the current folder, another one for each test."""
    name = f"classes_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(CLASSES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--with", "tau=0.5"], "LIF: tau=0.5 is not in (1, inf)"),
        (["--with", "tau=abc"], "LIF: tau must be a number, not str"),
        (["--with", "dt=abc"], "LIF: dt must be a number, not str"),
        (["--with", "tua=3"], "'tua' is no parameter"),
        (["--seed", "99999999999999999999999"], "not a whole number from -2^63"),
        (["--seed", "x"], "not a whole number from -2^63"),
        (["--steps", "1000000", "--neurons", "100000000"], "takes about 1.28e+07 GB"),
        (["--against", "nosuch:Class"], "No module named 'nosuch'"),
        (["--against", "torch.nn:relu"], "cannot import torch.nn:relu"),
    ],
)
def test_wrong_command_lines(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _status(["compare", "LIF", *SMALL, *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Raises", "failed on an input of [T, B, N] = [4, 1, 20]: KeyError: 'boom'"),
        ("Two", "its forward returned a tuple (Tensor, NoneType) where LIF has one tensor"),
        ("Unmakable", "cannot be made: KeyError: 'boom'"),
    ],
)
def test_a_class_that_fails_is_named(
    name: str, words: str, module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "LIF", *SMALL, "--against", f"{module}:{name}"]) == 2
    told = capsys.readouterr().err
    assert f"{module}:{name}" in told
    assert words in told


def test_a_class_of_the_current_folder(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With `**kwargs` of its own it is given the step mode."""
    assert main(["compare", "LIF", *SMALL, "--against", f"{module}:Whole"]) == 0
    assert "Whole" in capsys.readouterr().out


def test_a_class_without_a_constructor(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It has `nn.Module`'s, whose `**kwargs` take nothing."""
    against = ["--against", f"{module}:NoConstructor"]
    assert main(["compare", "LIF", *SMALL, *against, "--with", "tau=3"]) == 0
    assert "NoConstructor" in capsys.readouterr().out


@pytest.mark.parametrize("scale", ["1.0", "exp(v)"])
def test_every_back_end_draws_the_same_noise(scale: str, tmp_path: Path) -> None:
    """All steps at once, and step by step where the neuron calls functions."""
    source = tmp_path / "noisy.neuron"
    source.write_text(NOISY.format(scale=scale), encoding="utf-8")
    assert main(["compare", str(source), *SMALL]) == 0


def test_memory_that_does_not_suffice_is_no_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("neurodsl.cli.commands.compare.refuse_beyond_memory", lambda *_: None)
    many = ["--steps", "1000000", "--neurons", "100000000"]
    assert main(["compare", "LIF", *many]) == 3
    assert "memory does not suffice" in capsys.readouterr().err


def _status(arguments: list[str]) -> Any:
    try:
        return main(arguments)
    except SystemExit as stopped:
        return stopped.code
