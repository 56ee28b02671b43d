"""Solvers: their orders against SciPy, `exact` against the analytic solution, fused against the reference."""

from __future__ import annotations

import math
import re
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from numerics.comparing import check_fused
from scipy.integrate import solve_ivp

import neurodsl
from neurodsl.driver import analyse_text
from neurodsl.files import disk_loader
from neurodsl.ir.phi_text import phi_text
from neurodsl.matrix_functions import phi
from neurodsl.options import Options
from neurodsl.tools.explain_neuron import explain

OSCILLATOR = """\
neuron N:
    input  x
    output v, w
    state v = 1.0
    state w = 0.3

    charge:
        dv/dt = v - v ^ 3 / 3 - w + x by {solver}
        dw/dt = (v + 0.7 - 0.8 * w) / 3
"""
LINEAR_IN_ITSELF = """\
neuron N:
    input  x
    output v, w
    state v = 1.0
    state w = 0.3

    charge:
        dv/dt = -(1 + w ^ 2) * v + x by {solver}
        dw/dt = -w + v ^ 2
"""
CHAIN = """\
neuron N:
    input  x
    output v
    param tau_mem = 10.0
    param tau_syn = 5.0
    state v = 0.2
    state i = -0.4

    charge:
        dv/dt = (i - v + 0.3) / tau_mem by exact
        di/dt = (x - i) / tau_syn
"""
SPIRAL = """\
neuron N:
    input  x
    output v, w
    param damping = 0.1
    param omega = 1.5
    state v = 1.0
    state w = 0.0

    charge:
        dv/dt = -damping * v - omega * w + x by exact
        dw/dt = omega * v - damping * w
"""
THREE = """\
neuron N:
    input  x
    output v
    param a = 2.0
    param b = 2.0
    param c = 3.0
    state v = 0.1
    state i = 0.2
    state g = 0.3

    charge:
        dv/dt = (i - v) / a by exact
        di/dt = (g - i) / b
        dg/dt = -g / c + x + v / 20
"""


def end(source: str, dt: float, time: float, x: float) -> np.ndarray:
    node = neurodsl.load(source).N(dt=dt, backend="reference").double()
    steps = round(time / dt)
    with torch.no_grad():
        node(torch.full((steps, 1), x, dtype=torch.float64))
    return np.array([getattr(node, name).item() for name in node.definition.states])


@pytest.mark.parametrize(
    ("solver", "order", "text"),
    [
        ("euler", 1, OSCILLATOR),
        ("heun", 2, OSCILLATOR),
        ("rk2", 2, OSCILLATOR),
        ("rk4", 4, OSCILLATOR),
        ("exponential_euler", 1, LINEAR_IN_ITSELF),
        ("euler(steps=3)", 1, OSCILLATOR),
        ("rk4(steps=2)", 4, OSCILLATOR),
    ],
)
def test_order(solver: str, order: int, text: str) -> None:
    """Half the step divides the error by two to the order."""

    def right(_: float, y: np.ndarray) -> list[float]:
        v, w = y
        if text is OSCILLATOR:
            return [v - v**3 / 3 - w + 0.5, (v + 0.7 - 0.8 * w) / 3]
        return [-(1 + w**2) * v + 0.5, -w + v**2]

    exact = solve_ivp(right, (0, 4), [1.0, 0.3], method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
    source = text.format(solver=solver)
    errors = [float(np.abs(end(source, dt, 4.0, 0.5) - exact).max()) for dt in (0.05, 0.025)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("dt", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("ratio", [2.0, 1.0 + 1e-9, 1.0, 1e3])
def test_exact_is_the_analytic_solution(ratio: float, dt: float) -> None:
    """Two time constants apart, nearly equal, equal, and stiff; the affine input is held."""
    node = neurodsl.load(CHAIN).N(tau_mem=5.0 * ratio, dt=dt).double()
    x = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs = node(x)
    matrix = np.array([[-1 / (5.0 * ratio), 1 / (5.0 * ratio)], [0, -1 / 5.0]])
    with mpmath.workdps(40):
        block = np.block([[matrix * dt, np.eye(2) * dt], [np.zeros((2, 4))]])
        whole = np.array(mpmath.expm(mpmath.matrix(block)).tolist(), dtype=float)
    state = np.array([[0.2] * 3, [-0.4] * 3])
    for t in range(20):
        b = np.stack([np.full(3, 0.3 / (5.0 * ratio)), x[t].numpy() / 5.0])
        state = whole[:2, :2] @ state + whole[:2, 2:] @ b
        np.testing.assert_allclose(outputs[t].numpy(), state[0], rtol=1e-12, atol=1e-12)


def test_exact_of_a_rotation() -> None:
    """Complex eigenvalues: a damped oscillation."""
    node = neurodsl.load(SPIRAL).N(dt=0.7).double()
    v, w = node(torch.zeros(50, 1, dtype=torch.float64))
    t = 0.7 * np.arange(1, 51)
    np.testing.assert_allclose(v[:, 0].numpy(), np.exp(-0.1 * t) * np.cos(1.5 * t), atol=1e-12)
    np.testing.assert_allclose(w[:, 0].numpy(), np.exp(-0.1 * t) * np.sin(1.5 * t), atol=1e-12)


def test_exact_without_a_leak() -> None:
    """A singular matrix: di/dt = 0 x, dv/dt = i."""
    text = CHAIN.replace("(i - v + 0.3) / tau_mem", "i").replace("(x - i) / tau_syn", "x")
    text = text.replace("    param tau_mem = 10.0\n    param tau_syn = 5.0\n", "")
    node = neurodsl.load(text).N(dt=2.0).double()
    node(torch.ones(10, 1, dtype=torch.float64))
    assert node.i.item() == pytest.approx(-0.4 + 20, abs=1e-12)
    assert node.v.item() == pytest.approx(0.2 - 0.4 * 20 + 20**2 / 2, abs=1e-11)


@pytest.mark.parametrize("text", [CHAIN, SPIRAL, THREE], ids=["chain", "spiral", "three"])
def test_exact_fused(text: str) -> None:
    """Learnable coefficients too: their gradients go through the matrix exponential."""
    module = neurodsl.load(text)
    params = tuple(p.name for p in module.N.definition.params)
    x = torch.randn(6, 2, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    check_fused(lambda backend: module.N(backend=backend, learnable=params), x)


@pytest.mark.parametrize(
    "solver", ["euler", "heun", "rk2", "rk4", "rk4(steps=3)", "exponential_euler"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fused(solver: str, dtype: torch.dtype) -> None:
    module = neurodsl.load(LINEAR_IN_ITSELF.format(solver=solver).replace("exprel", "exprel"))
    x = torch.randn(6, 2, 40, generator=torch.Generator().manual_seed(2)).to(dtype)
    if solver == "exponential_euler":  # exprel: not the same to the bit
        a = module.N(dt=0.2, backend="fused").to(dtype)(x)[0]
        b = module.N(dt=0.2, backend="reference").to(dtype)(x)[0]
        torch.testing.assert_close(a, b)
    else:
        check_fused(lambda backend: module.N(dt=0.2, backend=backend), x)


def test_phi_against_scipy() -> None:
    random = np.random.default_rng(0)
    for size in (1, 2, 3, 4):
        for scale in (1e-6, 0.1, 1.0, 30.0):
            matrix = random.standard_normal((size, size)) * scale
            matrix -= np.eye(size) * max(0.0, np.linalg.eigvals(matrix).real.max())
            whole = scipy.linalg.expm(
                np.block([[matrix, np.eye(size)], [np.zeros((size, 2 * size))]])
            )
            found = np.array(phi(tuple(matrix.ravel()))).reshape(size, size)
            np.testing.assert_allclose(found, whole[:size, size:], rtol=1e-11, atol=1e-13)


def test_the_manifest_s_closed_form() -> None:
    """Of a 2x2 matrix, in the manifest's language; near 0, near equal, complex, stiff."""
    functions: dict[str, Any] = {
        n: getattr(math, n) for n in ("exp", "expm1", "sqrt", "sin", "cos", "fabs")
    }
    for a, b, c, d in [
        (-1e-5, 2e-5, 0.0, -3e-5),
        (-0.5, 0.3, 0.0, -0.5),
        (-0.5, 0.3, 0.0, -0.5 - 1e-9),
        (-3.0, 2.0, 0.0, -3.0),
        (-0.1, -1.5, 1.5, -0.1),
        (-50.0, 40.0, 0.0, -0.01),
        (0.0, 1.0, 0.0, 0.0),
        (-2.0, 5.0, 1.0, 1.0),
        (0.0, 0.0, 0.0, 0.0),
    ]:
        names = {**functions, "a": a, "b": b, "c": c, "d": d}
        texts = [phi_text(("a", "b", "c", "d"), 2, i, j) for i in (0, 1) for j in (0, 1)]
        assert all(re.fullmatch(r"[\w\s.+\-*/()<>=!]+", text) for text in texts)
        found = [eval(text, {"__builtins__": {}}, names) for text in texts]
        expected = phi((a, b, c, d))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_one_solver_for_a_system() -> None:
    """It may stand after any line, and holds for all."""
    first = OSCILLATOR.format(solver="rk4")
    second = OSCILLATOR.replace(" by {solver}", "").replace("/ 3\n", "/ 3 by rk4\n")
    assert (end(first, 0.1, 1.0, 0.0) == end(second, 0.1, 1.0, 0.0)).all()


def test_explain_says_which_solver_and_why_not_exact() -> None:
    text = explain(OSCILLATOR.format(solver="rk4(steps=2)"), "n.neuron")
    assert "(v, w: solved by rk4(steps=2); exact is not possible: " in text
    assert "not linear in v, w" in text
    assert "exact is possible: the system is linear" in explain(
        CHAIN.replace("exact", "euler"), "n.neuron"
    )


def test_functions_within_a_system_see_each_stage() -> None:
    """A function of a state is worked out again at every stage, arguments that are computed once included."""
    plain = "neuron N:\n    input x\n    output v\n    state v = 1.0\n    charge:\n        dv/dt = {} by rk4\n"
    called = "function f(z) = z * z + z\n" + plain.format("x - f(v - 0.1)")
    written = plain.format("x - ((v - 0.1) * (v - 0.1) + (v - 0.1))")
    assert (end(called, 0.1, 2.0, 0.3) == end(written, 0.1, 2.0, 0.3)).all()
    model = analyse_text(called, "n.neuron", Options(), disk_loader).model.neurons[0]
    assert sum(s.hidden for s in model.statements) > 4


@pytest.mark.parametrize(
    "solver", ["", "euler", "heun", "rk2", "rk4(steps=2)", "exponential_euler", "exact"]
)
def test_a_system_after_another(solver: str) -> None:
    """The second reads states that the first has moved and a line has changed: they are constants to it."""
    by = f" by {solver}" if solver else ""
    source = f"""
neuron N:
    input x
    output v
    state g = 0.3
    state h = -0.2
    state v = 0.1
    charge:
        dg/dt = -g + 0.5 * h{by}
        dh/dt = -h{by}
        g = g + x
        dv/dt = (g - v) / 3{by}
"""
    module = neurodsl.load(source)
    x = torch.randn(6, 2, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    check_fused(lambda backend: module.N(backend=backend, dt=0.3), x)
    node, v = module.N(backend="reference", dt=1e-3).double(), 0.1
    with torch.no_grad():
        node(torch.full((1, 1), 0.7, dtype=torch.float64))
    g = 0.3 + 1e-3 * (-0.3 - 0.1) + 0.7
    assert node.v.item() == pytest.approx(v + 1e-3 * (g - v) / 3, abs=1e-6)
