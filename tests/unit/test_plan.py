"""The plan of the leaky integrate-and-fire neuron against its closed form, and the same bytes in every process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from unit.lif_model import lif

import neurodsl
from neurodsl.ir.interpret import backward, forward
from neurodsl.ir.plan import make_plan

STEPS, NEURONS = 12, 40
TAU, THRESHOLD, RESET = 2.5, 1.0, 0.1
SCALARS = {"tau": TAU, "v_threshold": THRESHOLD, "v_reset": RESET, "dt": 1.0}


def closed_form(x, v, upstream, carried, *, detached):  # type: ignore[no-untyped-def]
    """Gradients of inputs, the initial state and tau, as written out by hand."""
    h, states = [], [v]
    for t in range(STEPS):
        h.append(states[-1] + (x[t] - (states[-1] - RESET)) / TAU)
        states.append(np.where(h[-1] >= THRESHOLD, RESET, h[-1]))
    gradients, tau, gv = np.zeros_like(x), 0.0, carried
    for t in reversed(range(STEPS)):
        s, g = h[t] >= THRESHOLD, 1 / (1 + (np.pi * (h[t] - THRESHOLD)) ** 2)
        through = (1 - s) if detached else (1 - s) + (RESET - h[t]) * g
        gh = upstream[t] * g + gv * through
        gradients[t] = gh / TAU
        tau += float((-gh * (x[t] - (states[t] - RESET)) / TAU**2).sum())
        gv = gh * (1 - 1 / TAU)
    return gradients, gv, tau


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("save", ["inputs", "membrane", "all"])
def test_backward_is_the_closed_form(save: str, detached: bool) -> None:
    plan = make_plan(lif(), prefix="lif", save=save, fp="strict", spiking=True)
    random = np.random.default_rng(2)
    x = random.normal(1.0, 1.0, (STEPS, NEURONS))
    v, carried = random.normal(0, 0.5, NEURONS), random.normal(0, 1, NEURONS)
    upstream = random.normal(0, 1, (STEPS, NEURONS))
    run = forward(plan, {"x": x}, {"v": v}, SCALARS)
    assert 0.1 < run.outputs["s"].mean() < 0.9
    expected = closed_form(x, v, upstream, carried, detached=detached)
    passes = (
        (plan.detached, plan.detached_full) if detached else (plan.backward, plan.backward_full)
    )
    for chosen in passes:
        assert chosen is not None
        found = backward(
            plan, chosen, {"x": x}, {"v": v}, SCALARS, {"s": upstream}, {"v": carried}, run.saved
        )
        np.testing.assert_allclose(found.inputs["x"], expected[0], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(found.states["v"], expected[1], rtol=1e-11, atol=1e-13)
        if chosen.full:
            assert found.scalars["tau"] == pytest.approx(expected[2], rel=1e-11)


def test_backward_keeps_one_value_a_step() -> None:
    plan = make_plan(lif(), prefix="lif", save="auto", fp="strict", spiking=True)
    assert plan.policy.value == "inputs"
    assert plan.saved == ()
    assert len(plan.backward.tape) == 1
    assert plan.backward.reverse_inputs == ()


PROGRAM = """
import hashlib, sys
from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find, names
from neurodsl.options import Options
digest = hashlib.sha256()
for name in names():
    source = find(name)
    for file in compile_text(source[1], source[0], Options(), disk_loader).files:
        digest.update(file.text.encode())
print(digest.hexdigest())
"""


def test_same_bytes_in_every_process() -> None:
    """All generated files of the whole library, under several hash seeds."""
    digests = set()
    for seed in ("0", "1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_division_by_nothing_is_no_number() -> None:
    """SymPy's complex infinity has no place in a kernel: the derivative by `z` is no finite number."""
    text = "neuron N:\n    input x, z\n    output y\n    charge:\n        y = z / (x - x)\n"
    module = neurodsl.load(text)
    x, z = torch.ones(1, 1, 3), torch.ones(1, 1, 3, requires_grad=True)
    y = module.N(backend="fused")(x, z)
    assert y.isposinf().all()
    y.sum().backward()
    assert z.grad is not None
    assert not z.grad.isfinite().any()
