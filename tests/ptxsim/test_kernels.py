"""Right kernels: run what nvcc made of them and compare with NumPy.

Where the reference can be written with the very same operations (one fma a step) the comparison is bit for bit;
elsewhere against float64 with a tolerance that follows from the number of operations.
"""

from __future__ import annotations

import numpy as np
import pytest

from ptxsim import Fault, Machine, rounding
from ptxsim.conftest import Compiled
from ptxsim.references import F, fma, inputs, lif, lif_backward, lif_in_halves

sizes = pytest.mark.parametrize(
    ("T", "N", "block"), [(1, 1, 32), (4, 128, 128), (13, 1003, 128), (7, 257, 96)]
)


@sizes
def test_forward(compiled: Compiled, architecture: str, T: int, N: int, block: int) -> None:
    x, v0 = inputs(T, N)
    machine = Machine(compiled("neurons", architecture))
    given = [machine.buffer("x", x, readonly=True), machine.buffer("v0", v0, readonly=True)]
    S, H, V = machine.buffer("s", (T, N)), machine.buffer("h", (T, N)), machine.buffer("v", (N,))
    stats = machine.launch("lif_fwd_f32", -(-N // block), block, [*given, S, H, V, T, N, 0.3])
    s, h, v = lif(x, v0, 0.3)
    assert (S.array() == s).all()
    assert (H.array() == h).all()
    assert (V.array() == v).all()
    assert S.unwritten() == H.unwritten() == V.unwritten() == 0
    assert stats.requested_bytes() == 4 * (
        3 * T * N + 2 * N
    )  # each byte once: nothing is read twice


def test_grid_stride(compiled: Compiled, architecture: str) -> None:
    T, N = 5, 1000
    x, _ = inputs(T, N)
    machine = Machine(compiled("neurons", architecture))
    X, S = machine.buffer("x", x), machine.buffer("s", (T, N))
    machine.launch("lif_fwd_gs", 2, 128, [X, S, T, N, 0.25])
    v, s = np.zeros(N, F), np.zeros_like(x)
    for t in range(T):
        v = fma(x[t] - v, F(0.25), v)
        s[t] = v >= 1
        v = np.where(v >= 1, F(0), v)
    assert (S.array() == s).all()
    assert S.unwritten() == 0


@sizes
def test_backward(compiled: Compiled, architecture: str, T: int, N: int, block: int) -> None:
    x, v0 = inputs(T, N)
    _, h, _ = lif(x, v0, 0.3)
    generator = np.random.default_rng(5)
    gs, gv = generator.normal(0, 1, (T, N)).astype("f4"), generator.normal(0, 1, N).astype("f4")
    machine = Machine(compiled("neurons", architecture))
    given = [machine.buffer(n, a, readonly=True) for n, a in (("gs", gs), ("gv", gv), ("h", h))]
    GX, GV = machine.buffer("gx", (T, N)), machine.buffer("gv0", (N,))
    stats = machine.launch("lif_bwd_f32", -(-N // block), block, [*given, GX, GV, T, N, 0.3])
    gx, g = lif_backward(gs, gv, h, float(F(0.3)))
    np.testing.assert_allclose(GX.array(), gx, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(GV.array(), g, rtol=2e-5, atol=2e-6)
    assert stats.requested_bytes() == 4 * (3 * T * N + 2 * N)


@pytest.mark.parametrize("N", [4, 512, 1000, 1001, 1003])
def test_vectorised_and_tail(compiled: Compiled, architecture: str, N: int) -> None:
    T = 6
    x, _ = inputs(T, N)
    machine = Machine(compiled("neurons", architecture))
    X, S, H = machine.buffer("x", x), machine.buffer("s", (T, N)), machine.buffer("h", (T, N))
    stats = machine.launch("lif_fwd_f32x4", -(-N // 512), 128, [X, S, H, T, N, 0.3])
    s, h, _ = lif(x, np.zeros(N, F), 0.3)
    assert (S.array() == s).all()
    assert (H.array() == h).all()
    assert S.unwritten() == 0
    if N % 512 == 0:
        assert X.loads.sectors == 16 * X.loads.requests
        assert X.loads.efficiency == 1
        assert stats.ratio(12 * T * N) == 1.0


def test_vector_path_needs_alignment(compiled: Compiled) -> None:
    """A slice of a tensor (4 bytes past alignment) breaks the float4 path: the caller has to check."""
    machine = Machine(compiled("neurons", "90"))
    x = machine.buffer("x", np.zeros((2, 128), "f4"), misalign=4)
    s, h = machine.buffer("s", (2, 128)), machine.buffer("h", (2, 128))
    with pytest.raises(Fault, match="misaligned"):
        machine.launch("lif_fwd_f32x4", 1, 32, [x, s, h, 2, 128, 0.3])


@pytest.mark.parametrize(("N", "block"), [(1, 32), (1000, 256), (4096, 1024), (333, 64)])
def test_parameter_gradient(compiled: Compiled, architecture: str, N: int, block: int) -> None:
    T = 5
    x, v0 = inputs(T, N)
    gs = np.random.default_rng(2).normal(0, 1, (T, N)).astype("f4")
    rtau = 1 / (1 + np.exp(0.4))
    _, h, _ = lif(x, v0, rtau)
    before = np.concatenate([v0[None], h[:-1] * (h[:-1] < 1)]).astype("f4")
    arrays = {"gs": gs, "h": h, "before": before, "x": x, "w": np.array([-0.4], "f4")}
    totals = []
    for seed in range(3):  # the order of the atomics is drawn anew
        machine = Machine(compiled("neurons", architecture), seed=seed)
        given = [machine.buffer(name, array, readonly=True) for name, array in arrays.items()]
        GX, GW = machine.buffer("gx", (T, N)), machine.buffer("gw", np.zeros(1, "f4"))
        machine.launch("plif_bwd_f32", -(-N // block), block, [*given, GX, GW, T, N])
        totals.append(GW.array()[0])
    gx, _ = lif_backward(gs, np.zeros(N, F), h, rtau)
    terms = (gx / rtau) * (x.astype("f8") - before)
    np.testing.assert_allclose(GX.array(), gx, rtol=3e-5, atol=3e-6)
    tolerance = 1e-6 * np.abs(terms).sum()
    np.testing.assert_allclose(totals, terms.sum() * rtau * (1 - rtau), atol=tolerance)
    assert np.ptp(totals) <= tolerance


@pytest.mark.parametrize(("N", "block"), [(32, 32), (1000, 128), (1025, 256)])
def test_packed_spikes(compiled: Compiled, architecture: str, N: int, block: int) -> None:
    T, words = 6, -(-N // 32)
    x, _ = inputs(T, N)
    machine = Machine(compiled("neurons", architecture))
    X, H = machine.buffer("x", x), machine.buffer("h", (T, N))
    B = machine.buffer("bits", (T, words), dtype="u4")
    machine.launch("lif_fwd_pack", -(-N // block), block, [X, B, H, T, N, words, 0.3])
    v, s, h = np.zeros(N, F), np.zeros((T, words * 32), bool), np.zeros_like(x)
    for t in range(T):
        v = fma(x[t] - v, F(0.3), v)
        h[t], s[t, :N] = v, v >= 1
        v = np.where(s[t, :N], F(0), v)
    bits = np.packbits(s, axis=1, bitorder="little").view("u4")
    assert (B.array() == bits).all()
    assert (H.array() == h).all()
    assert B.unwritten() == 0
    assert B.stores.bytes == 4 * T * words


@pytest.mark.parametrize(("name", "kind"), [("lif_fwd_h2", "f16"), ("lif_fwd_bf162", "bf16")])
def test_packed_half(compiled: Compiled, architecture: str, name: str, kind: str) -> None:
    module = compiled("neurons", architecture)
    if name not in module.kernels:
        pytest.skip("no packed bf16 arithmetic on this architecture")
    T, N = 9, 1000
    bits = rounding.encode(np.random.default_rng(3).normal(0.7, 1, (T, N)), kind)
    machine = Machine(module)
    X, S = machine.buffer("x", bits), machine.buffer("s", (T, N), dtype="u2")
    stats = machine.launch(name, -(-N // 256), 128, [X, S, T, N // 2, 0.3])
    want = lif_in_halves(rounding.decode(bits, kind), 0.3, kind)
    assert (rounding.decode(S.array(), kind) == want).all()
    assert stats.requested_bytes() == 4 * T * N


def test_half_storage(compiled: Compiled, architecture: str) -> None:
    T, N = 5, 512
    x = np.random.default_rng(3).normal(0.7, 1, (T, N)).astype("f2")
    machine = Machine(compiled("neurons", architecture))
    X, S = machine.buffer("x", x), machine.buffer("s", (T, N), dtype="f2")
    machine.launch("lif_fwd_f16s", 1, 128, [X, S, T, N // 4, 0.3])
    s, _, _ = lif(x.astype("f4"), np.zeros(N, F), 0.3)
    assert (S.array() == s).all()
    assert X.loads.sectors == 8 * X.loads.requests


def test_bf16_storage(compiled: Compiled, architecture: str) -> None:
    T, N = 5, 300
    bits = rounding.encode(np.random.default_rng(3).normal(0.7, 1, (T, N)), "bf16")
    machine = Machine(compiled("neurons", architecture))
    X, H = machine.buffer("x", bits), machine.buffer("h", (T, N), dtype="u2")
    machine.launch("lif_fwd_bf16s", 3, 128, [X, H, T, N, 0.3])
    v, x = np.zeros(N, F), rounding.decode(bits, "bf16").astype("f4")
    for t in range(T):
        v = fma(x[t] - v, F(0.3), v)
        assert (H.array()[t] == rounding.encode(v.astype("f8"), "bf16")).all()
        v = np.where(v >= 1, F(0), v)
