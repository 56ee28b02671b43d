"""Modules: states, step modes, copies, errors in words."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import neurodsl
from neurodsl.library import LIF, PLIF
from neurodsl.runtime.errors import StaleGraphError

X = torch.rand(6, 3, 5, generator=torch.Generator().manual_seed(0)) * 3


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_steps_one_by_one_are_the_same(backend: str) -> None:
    whole = LIF(backend=backend)(X)
    node = LIF(backend=backend, step_mode="s")
    assert torch.equal(torch.stack([node(x) for x in X]), whole)
    node.reset()
    assert node.v is None


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_stale_graph_is_explained(backend: str) -> None:
    node = LIF(backend=backend, learnable=("tau",))
    node(X).sum().backward()
    with pytest.raises(StaleGraphError, match=r"LIF.*`v`.*reset\(\).*detach_states\(\)"):
        node(X).sum().backward()
    node.detach_states()
    node(X).sum().backward()


def test_recorded_values_carry_gradients() -> None:
    for backend in ("fused", "reference"):
        x = X.clone().requires_grad_()
        node = LIF(record=("v",), backend=backend)
        node(x)
        assert node.v_seq.shape == X.shape
        node.v_seq.square().sum().backward()
        assert x.grad is not None
        assert float(x.grad.norm()) > 0
        if backend == "fused":
            fused = x.grad
    torch.testing.assert_close(fused, x.grad)


def test_copies_and_pickles(tmp_path: Path) -> None:
    node = PLIF(init_tau=3.0)
    node(X)
    twin = copy.deepcopy(node)
    assert twin.v is not node.v
    node.reset()
    (tmp_path / "node.pkl").write_bytes(pickle.dumps(node))
    program = (
        "import pickle, torch; node = pickle.load(open('node.pkl', 'rb')); "
        "print(node(torch.ones(2, 1, 1)).shape, sum(1 for _ in node.parameters()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "torch.Size([2, 1, 1]) 1"
    assert set(node.state_dict()) == {"w"}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LIF(tau=0.5), ValueError, r"tau=0.5 is not in \(1, inf\)"),
        (lambda: LIF(v_reset=None), ValueError, "SoftLIF"),
        (lambda: LIF(learnable=("taw",)), ValueError, "learnable='taw'"),
        (lambda: LIF(tau=torch.ones(4) * 2)(X), ValueError, r"wants \(\d+,\)"),
        (lambda: LIF(backend="gpu"), ValueError, "auto, fused, reference"),
        (lambda: LIF()(torch.ones(3, 2, dtype=torch.int64)), TypeError, r"x\.float\(\)"),
        (lambda: LIF()(torch.ones(3)), ValueError, r"\[T, B, \*\]"),
        (lambda: LIF(surrogate="atann(1)"), Exception, "unknown surrogate"),
    ],
)
def test_errors_say_what_is_wrong(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_another_shape_needs_a_reset() -> None:
    node = LIF()
    node(X)
    with pytest.raises(ValueError, match=r"call reset\(\)"):
        node(torch.rand(2, 7, 5))
    node.reset()
    assert node(torch.rand(2, 7, 5)).shape == (2, 7, 5)


@pytest.mark.parametrize("shape", [(0, 3, 5), (4, 0, 5), (1, 1)])
def test_empty_and_small(shape: tuple[int, ...]) -> None:
    x = torch.ones(shape).requires_grad_()
    y = LIF(backend="fused")(x)
    y.sum().backward()
    assert y.shape == shape
    assert x.grad is not None


def test_any_strides_and_half_precision() -> None:
    expected = LIF(backend="fused")(X)
    turned = X.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(LIF(backend="fused")(turned), expected)
    x = X.clone().requires_grad_()
    LIF(backend="fused")(x).sum().backward()  # the gradient's strides are 0
    y = X.clone().requires_grad_()
    LIF(backend="reference")(y).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    node = LIF(backend="fused")
    assert node(X.bfloat16()).dtype is torch.bfloat16
    assert node.v.dtype is torch.float32


def test_inside_sequential() -> None:
    net = nn.Sequential(nn.Linear(5, 4), LIF(), nn.Linear(4, 2))
    net(X).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_without_a_compiler(tmp_path: Path) -> None:
    program = (
        "import warnings, torch\nwarnings.simplefilter('always')\n"
        "from neurodsl.library import LIF\nfrom neurodsl import ToolchainError\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n    LIF()(torch.ones(2, 1)); LIF()(torch.ones(2, 1))\n"
        "print(len([w for w in seen if 'eager reference' in str(w.message)]))\n"
        "try:\n    LIF(backend='fused')(torch.ones(2, 1))\n"
        "except ToolchainError as error:\n    print('ToolchainError')\n"
    )
    environment = {"PATH": "", "CXX": "no-such-compiler", "HOME": str(tmp_path)}
    environment["NEURODSL_CACHE_DIR"] = str(tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["1", "ToolchainError"], done.stdout + done.stderr


@pytest.mark.parametrize("backend", ["fused", "reference"])
@pytest.mark.parametrize("step_mode", ["m", "s"])
def test_time_goes_on_until_reset(backend: str, step_mode: str) -> None:
    source = "neuron N:\n    input x\n    state v = 0.0\n    output s\n    charge:\n        v = v + x * (t + 1)\n"
    source += "    fire:\n        s = spike(v - 50.0)\n    reset:\n        v = v - s\n"
    node = neurodsl.load(source).N(backend=backend, step_mode=step_mode)
    x = torch.ones(6, 3)
    for _ in range(2):
        for chunk in x if step_mode == "s" else (x[:1], x[1:4], x[4:]):
            node(chunk)
        assert torch.equal(node.v, torch.full((3,), 21.0))
        node.reset()
