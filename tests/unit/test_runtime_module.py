"""Modules: states, step modes, copies, errors in words."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import neurodsl
from neurodsl.library import LIF, PLIF, Izhikevich
from neurodsl.runtime import native
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
        (lambda: LIF(surrogate=3), TypeError, r"surrogate=3.*sigmoid\(alpha"),
        (lambda: LIF(learnable=3), TypeError, "learnable=3: give a name"),
        (lambda: LIF(record=3), TypeError, "record=3: give a name"),
        (lambda: LIF(tau="3"), TypeError, "LIF: tau must be a number, not str"),
        (lambda: LIF(tau=[1, 2]), TypeError, "LIF: tau must be a number, not list"),
        (lambda: LIF(decay_input="False"), TypeError, "decay_input must be True or False.*'False'"),
        (lambda: LIF(decay_input=torch.ones(3)), TypeError, "not a tensor with a shape"),
        (lambda: LIF(detach_reset="no"), TypeError, "detach_reset must be True or False"),
        (lambda: LIF(spiking=2), TypeError, "spiking must be True or False"),
        (lambda: LIF(channels="a"), TypeError, "LIF: channels must be a whole number, not 'a'"),
        (lambda: LIF(neurons=(3, 2.5)), TypeError, "LIF: neurons must be a whole number, not 2.5"),
        (lambda: LIF(steps=-1), ValueError, "LIF: steps is -1"),
        (lambda: LIF(dt="a"), TypeError, "LIF: dt must be a number, not str"),
        (lambda: LIF(dt=0), ValueError, "dt=0: a time step is above 0"),
        (lambda: LIF(dt=-1), ValueError, "dt=-1"),
        (lambda: LIF(dt=float("nan")), ValueError, "dt=nan"),
        (lambda: LIF(dt=float("inf")), ValueError, "dt=inf"),
        (lambda: LIF()(X.to(torch.float8_e4m3fn)), TypeError, r"float8_e4m3fn.*float16.*taken"),
        (lambda: LIF()(X.to_sparse()), TypeError, r"x is sparse_coo.*x\.to_dense\(\)"),
        (lambda: LIF(backend="reference")(X.to_sparse()), TypeError, "sparse_coo"),
        (lambda: neurodsl.set_pool_limit("a"), TypeError, "limit is 'a'"),  # type: ignore[arg-type]
        (lambda: LIF().functional(X, ([0.0],)), TypeError, "state v must be a tensor, or a number"),
    ],
)
def test_errors_say_what_is_wrong(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("step_mode", "q", ValueError, "step_mode='q': choose from m, s"),
        ("backend", "nope", ValueError, "auto, fused, reference"),
        ("spikes", "bit", ValueError, "float32, uint8, bits"),
        ("record", ("w",), ValueError, "record='w'"),
        ("record", 3, TypeError, "record=3: give a name"),
        ("dt", 0, ValueError, "dt=0"),
        ("detach_reset", "no", TypeError, "detach_reset must be True or False"),
        ("tau", -3, ValueError, r"LIF: tau=-3 is not in \(1, inf\)"),
        ("tau", torch.tensor(0.5), ValueError, r"tau=0.5 is not in"),
        ("tau", torch.ones(5) + 1, ValueError, "tau is one value .* constructor"),
        ("tau", nn.Parameter(torch.tensor(0.5)), ValueError, r"tau=0.5 is not in"),
        ("decay_input", "False", TypeError, "decay_input must be True or False"),
        ("v_reset", None, ValueError, "SoftLIF"),
        ("v", "rest", TypeError, "state v must be a tensor, or a number for all neurons, not str"),
    ],
)
def test_attributes_are_checked_when_set(
    name: str, value: Any, error: type[Exception], words: str
) -> None:
    node = LIF()
    node(X)
    before = getattr(node, name)
    with pytest.raises(error, match=words):
        setattr(node, name, value)
    assert getattr(node, name) is before


def test_attributes_that_are_set_count() -> None:
    node = LIF()
    node(X)
    node.record, node.tau, node.dt, node.backend = "v", 3, 1, "reference"
    node.v = None
    assert torch.equal(node(X), LIF(tau=3.0, backend="reference")(X))
    assert node.v_seq.shape == X.shape
    assert node.record == ("v",)
    learning = PLIF()
    with pytest.raises(TypeError, match="w"):
        learning.w = 3.0


def test_a_param_that_is_learnt_through_another_is_not_hidden() -> None:
    source = "neuron N:\n    input x\n    param tau = 2.0 learnable via softplus\n    state v = 0\n    output s\n"
    source += "    charge:\n        v = v + x / tau\n    fire:\n        s = spike(v - 1)\n"
    node = neurodsl.load(source).N()
    with pytest.raises(TypeError, match="learnt through tau_raw"):
        node.tau = 3.0


def test_loading_a_value_outside_its_interval_warns() -> None:
    node = LIF(learnable=("tau",))
    with pytest.warns(UserWarning, match=r"load_state_dict: LIF: tau=-3 is not in \(1, inf\)"):
        node.load_state_dict({"tau": torch.tensor(-3.0)})
    assert float(node.tau.detach()) == -3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        node.load_state_dict({"tau": torch.tensor(3.0)})


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_a_state_may_be_a_number(backend: str) -> None:
    expected = LIF(backend=backend).functional(X, torch.full(X.shape[1:], 0.9))
    node = LIF(backend=backend)
    for _ in range(2):  # the second call could take the shortcut
        node.v = 0.9
        copy.deepcopy(node.double()).float().detach_states()
        assert torch.equal(node(X), expected[0][0])
        assert torch.equal(node.v, expected[1][0])
    for states in ((0.9,), 0.9):
        assert torch.equal(node.functional(X, states)[0][0], expected[0][0])


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_one_state_of_several_may_be_set(backend: str) -> None:
    node = Izhikevich(backend=backend)
    node(X)
    node.reset()
    rest = node.functional(X[:0])[1]
    given = tuple(state + 0.3 for state in rest)
    for place, name in enumerate(node.state_attributes):
        states = tuple(g if at == place else r for at, (g, r) in enumerate(zip(given, rest)))  # noqa: B905
        expected = node.functional(X, states)
        node.reset()
        setattr(node, name, given[place])
        assert torch.equal(node(X), expected[0][0])
        assert torch.equal(getattr(node, name), expected[1][place])


@pytest.mark.parametrize("backend", ["fused", "reference", "python"])
@pytest.mark.parametrize("record", [(), ("v",)])
def test_training_goes_on_from_what_inference_mode_left(
    backend: str, record: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "python":
        monkeypatch.setattr(native, "is_there", lambda: False)
        monkeypatch.setattr(native, "run", lambda *_: None)
        backend = "fused"
    node = LIF(backend=backend, record=record)
    found = []
    for mode in (torch.no_grad, torch.inference_mode):
        node.reset()
        for _ in range(2):
            with mode():
                node(X)
        x = X.clone().requires_grad_()
        y = node(x)
        y.sum().backward()
        found.append((y.detach(), x.grad))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


TWO = """neuron Two:
    input x, y
    output s
    state v = 0
    charge:
        v = 0.5 * v + x - 2 * y
    fire:
        s = spike(v - 1)
    reset:
        v = 0 if s else v
"""


@pytest.mark.parametrize("spikes", ["float32", "uint8"])
def test_inputs_by_name(spikes: str) -> None:
    y = X.flip(0)
    expected = neurodsl.load(TWO).Two(spikes=spikes)(X, y)
    for inputs, named in (((), {"y": y, "x": X}), ((X,), {"y": y})):
        node = neurodsl.load(TWO).Two(spikes=spikes)
        for _ in range(2):  # the second call could take the shortcut
            node.reset()
            assert torch.equal(node(*inputs, **named), expected)
    for inputs, named in (((X,), {"x": X}), ((X, y), {"y": y}), ((), {"z": y, "x": X})):
        with pytest.raises(TypeError, match=r"Two takes 2 inputs \(x, y\), not \("):
            node(*inputs, **named)


def test_repr_shows_what_was_chosen() -> None:
    assert repr(LIF()) == (
        "LIF(tau=2.0, decay_input=True, v_threshold=1.0, v_reset=0.0, step_mode='m', backend='auto')"
    )
    options: dict[str, Any] = {"learnable": ("tau",), "surrogate": "sigmoid(alpha=2.0)"}
    options |= {"detach_reset": True, "spiking": False, "record": ("v",), "dt": 0.5}
    node = LIF(**options)
    for name, value in options.items():
        assert f"{name}={value!r}" in repr(node)
    assert eval(repr(node)).state_dict() == node.state_dict()
    assert "spikes='bits'" in repr(LIF(spikes="bits"))
    assert "learnable" not in repr(PLIF())
    assert "tau=()" in repr(node.to("meta"))


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
