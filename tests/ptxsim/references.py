"""What the test kernels should compute, with the very same operations or in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ptxsim import rounding
from ptxsim.formats import Array

F = np.float32


def fma(a: Any, b: Any, c: Any) -> Array:
    """Fused multiply-add of float32, through float64 rounded to odd."""
    odd = rounding.fma_odd(*(np.asarray(v, "f8") for v in (a, b, c)))
    return rounding.to_f32(odd)


def inputs(T: int, N: int, seed: int = 0) -> tuple[Array, Array]:
    """Input currents [T, N] and initial potentials [N], some of which spike."""
    generator = np.random.default_rng(seed)
    return generator.normal(0.7, 1, (T, N)).astype("f4"), generator.normal(0, 0.3, N).astype("f4")


def lif(x: Array, v: Array, rtau: float) -> tuple[Array, Array, Array]:
    """Spikes, charged potentials and the last potential, bit for bit."""
    s, h = np.zeros_like(x), np.zeros_like(x)
    for t in range(len(x)):
        v = fma(x[t] - v, F(rtau), v)
        h[t], s[t] = v, v >= 1
        v = (1 - s[t]) * v
    return s, h, v


def lif_backward(gs: Array, gv: Array, h: Array, rtau: float) -> tuple[Array, Array]:
    """Gradients of x and v0 in float64, of v' = (1-s)h, s = spike(h-1), h = v + (x-v) rtau, ATan surrogate."""
    gs, h, g = gs.astype("f8"), h.astype("f8"), gv.astype("f8")
    gx = np.zeros_like(h)
    for t in reversed(range(len(h))):
        spike = (h[t] >= 1).astype("f8")
        u = math.pi * (h[t] - 1)
        gh = g * (1 - spike) + (gs[t] - g * h[t]) / (1 + u * u)
        gx[t], g = gh * rtau, gh * (1 - rtau)
    return gx, g


def lif_in_halves(x: Array, rtau: float, kind: str) -> Array:
    """Spikes of a neuron whose every operation is rounded to a 16-bit format."""

    def rounded(v: Any) -> Array:
        return rounding.decode(rounding.encode(np.asarray(v, "f8"), kind), kind)

    v, out, r = np.zeros(x.shape[1]), [], rounded(np.float64(F(rtau)))
    for t in range(len(x)):
        d = rounded(x[t] - v)
        v = rounded(rounding.fma_odd(d, r * np.ones_like(d), v))
        s = (v >= 1).astype("f8")
        out.append(s)
        v = rounded((1 - s) * v)
    return np.array(out)
