"""Noise: Philox as published, its statistics, seeds, and the same numbers forwards, backwards and in the reference."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch
from numerics.comparing import check_fused

import neurodsl
from neurodsl.runtime.draws import _philox, standard_draw
from neurodsl.runtime.errors import UnsupportedError

TEXT = """\
neuron N:
    input  x
    output y, z, k
    param mean  = 0.5 learnable
    param sigma = 2.0 learnable
    param p     = 0.3
    noise e ~ normal(mean, sigma)
    noise u ~ uniform(-1, 3)
    noise b ~ bernoulli(p)

    state v = 0

    charge:
        v = 0.5 * v + x + e
        y = e
        z = u
        k = b
"""
SPIKING = """\
neuron N:
    input  x
    output s
    param sigma = 0.4 learnable
    noise e ~ normal(0, sigma)
    state v = 0
    charge:
        v = 0.5 * v + x + e * e
    fire:
        s = spike(v - 1)
    reset:
        v = 0 if s else v
"""


def test_philox_as_published() -> None:
    """The known answers of Random123 for ten rounds."""
    zero = torch.zeros(1)
    word0, word1 = _philox(0, 0, 0, zero)
    assert (word0.item(), word1.item()) == (0x6627E8D5, 0xE169C58D)
    # counter (0, 0, t, stream), key (low, high)
    assert torch.equal(
        standard_draw("uniform", 0, 0, 0, zero), torch.tensor([(0x6627E8D5 >> 8) / 2.0**24])
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("save", ["inputs", "membrane", "all"])
def test_fused(dtype: torch.dtype, save: str) -> None:
    """What is drawn again for backward is what was drawn; two calls draw different numbers."""
    for text in (TEXT, SPIKING):
        module = neurodsl.load(text, save=save)
        x = torch.zeros(7, 3, 50, dtype=dtype)
        exact = (
            dtype is torch.float32 and text is TEXT
        )  # rounded from double, of logarithms and cosines
        found = check_fused(lambda b, m=module: m.N(backend=b), x, calls=2, exact=exact)
        assert not torch.equal(found["output 0 0"], found["output 1 0"])


def test_statistics() -> None:
    node = neurodsl.load(TEXT).N()
    torch.manual_seed(0)
    with torch.no_grad():
        y, z, k = (value.flatten().numpy() for value in node(torch.zeros(100, 10, 1000)))
    assert scipy.stats.kstest((y - 0.5) / 2.0, "norm").pvalue > 1e-3
    assert scipy.stats.kstest((z + 1) / 4, "uniform").pvalue > 1e-3
    assert abs(k.mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / k.size)
    assert z.min() >= -1
    assert z.max() < 3
    steps = y.reshape(100, -1)
    assert abs((steps[1:] * steps[:-1]).mean() - 0.25) < 0.02  # steps are independent
    assert abs(((y - 0.5) * (z - 1)).mean()) < 0.02  # and so are streams


def test_the_seed_of_torch_governs() -> None:
    module = neurodsl.load(TEXT)
    x = torch.zeros(4, 2, 8)
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(module.N()(x)[0])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_neuron_s_number_does_not_depend_on_the_layout() -> None:
    module = neurodsl.load(TEXT)
    x = torch.zeros(2, 3, 4, 5, 5)
    torch.manual_seed(1)
    plain = module.N()(x)[0]
    torch.manual_seed(1)
    assert torch.equal(plain, module.N()(x.transpose(2, 4).contiguous().transpose(2, 4))[0])


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_eval_can_switch_it_off(backend: str) -> None:
    node = neurodsl.load(TEXT).N(backend=backend)
    x = torch.zeros(3, 2, 4)
    assert node.eval()(x)[0].std() > 0.1
    node.noise_in_eval = False
    y, z, k = node(x)
    assert torch.equal(y, torch.full_like(y, 0.5))
    assert torch.equal(z, torch.ones_like(z))
    assert torch.equal(k, torch.zeros_like(k))
    assert node.train()(x)[0].std() > 0.1


def test_step_by_step() -> None:
    node = neurodsl.load(TEXT).N(step_mode="s")
    rows = torch.stack([node(torch.zeros(5, 100))[0] for _ in range(20)])
    assert rows.std(dim=0).min() > 0.5


def test_torch_compile_is_refused_in_words() -> None:
    node = neurodsl.load(TEXT).N()
    with pytest.raises((UnsupportedError, RuntimeError), match=r"torch\.compiler\.disable"):
        torch.compile(node, fullgraph=True, backend="eager")(torch.zeros(3, 2, 4))
