"""Floating-point instructions, conversions and memory accesses one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from ptxsim import Machine, load_ptx, rounding
from ptxsim.approximate import BOUNDS
from ptxsim.formats import NUMPY, Array
from ptxsim.small_kernels import ptx_of, run

EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 3e38, 0.5, 2.5, -1.5, 1e-320]
N = 256


def floats(kind: str, seed: int) -> Array:
    """Random numbers of many sizes, zeros of both signs, subnormal numbers, infinities, NaN."""
    generator = np.random.default_rng(seed)
    x = generator.normal(0, 1, N) * 2.0 ** generator.integers(-12, 12, N)
    x[: len(EDGES)] = generator.permutation(EDGES)
    x[len(EDGES) : 2 * len(EDGES)] = EDGES
    with np.errstate(over="ignore", under="ignore"):
        return x.astype(NUMPY[kind])


def same(got: Array, want: Array) -> bool:
    """The same bits; any NaN is like any other."""
    want = want.astype(got.dtype)
    bits = got.view(f"u{got.itemsize}") == want.view(f"u{want.itemsize}")
    return bool((bits | (np.isnan(got) & np.isnan(want))).all())


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_ieee(kind: str) -> None:
    a, b = floats(kind, 1), floats(kind, 2)
    both = {f"{kind}_a": a, f"{kind}_b": b}
    with np.errstate(all="ignore"):
        assert same(run(f"add.rn.{kind} %d, %a, %b;", kind, **both), a + b)
        assert same(run(f"sub.{kind} %d, %a, %b;", kind, **both), a - b)
        assert same(run(f"mul.{kind} %d, %a, %b;", kind, **both), a * b)
        assert same(run(f"div.rn.{kind} %d, %a, %b;", kind, **both), a / b)
        assert same(run(f"rcp.rn.{kind} %d, %a;", kind, **{kind: a}), 1 / a)
        assert same(run(f"sqrt.rn.{kind} %d, %a;", kind, **{kind: a}), np.sqrt(a))
        assert same(run(f"abs.{kind} %d, %a;", kind, **{kind: a}), abs(a))
        assert same(run(f"neg.{kind} %d, %a;", kind, **{kind: a}), -a)
        assert same(run(f"copysign.{kind} %d, %a, %b;", kind, **both), np.copysign(b, a))
        if kind == "f32":
            saturated = run("add.sat.f32 %d, %a, %b;", kind, **both)
            assert same(saturated, np.nan_to_num(np.clip(a + b, 0, 1)))


def smaller(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return b if math.isnan(a) else a
    return min((a, b), key=lambda v: (v, math.copysign(1, v)))


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_minimum_and_maximum(kind: str) -> None:
    """-0 is below +0; NaN only counts if both are."""
    a, b = floats(kind, 1), floats(kind, 3)
    a[40:42], b[40:42] = [0.0, -0.0], [-0.0, 0.0]
    both = {f"{kind}_a": a, f"{kind}_b": b}
    low = [smaller(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    high = [-smaller(-x, -y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert same(run(f"min.{kind} %d, %a, %b;", kind, **both), np.array(low))
    assert same(run(f"max.{kind} %d, %a, %b;", kind, **both), np.array(high))


ORDERED: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "ne": lambda a, b: (a < b) | (a > b),
    "num": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
    "nan": lambda a, b: np.isnan(a) | np.isnan(b),
}


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("name", ORDERED)
def test_comparisons(kind: str, name: str) -> None:
    a, b = floats(kind, 1), floats(kind, 4)
    b[::2] = a[::2]
    both = {f"{kind}_a": a, f"{kind}_b": b}
    text = "setp.{0}." + kind + " %p, %a, %b;\nselp.u32 %d, 1, 0, %p;"
    want = ORDERED[name](a, b)
    assert (run(text.format(name), "u32", **both) == want).all()
    assert (run(f"set.{name}.f32.{kind} %d, %a, %b;", "f32", **both) == want).all()
    if name not in ("num", "nan"):
        unordered = want | np.isnan(a) | np.isnan(b)
        assert (run(text.format(f"{name}u"), "u32", **both) == unordered).all()


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_classes(kind: str) -> None:
    a, smallest = floats(kind, 1), np.finfo(NUMPY[kind]).smallest_normal
    tests = {
        "finite": np.isfinite(a),
        "infinite": np.isinf(a),
        "number": ~np.isnan(a),
        "notanumber": np.isnan(a),
        "normal": np.isfinite(a) & (abs(a) >= smallest),
        "subnormal": (a != 0) & (abs(a) < smallest),
    }
    for name, want in tests.items():
        text = f"testp.{name}.{kind} %p, %a;\nselp.u32 %d, 1, 0, %p;"
        assert (run(text, "u32", **{kind: a}) == want).all(), name


def exactly(value: Fraction, mode: str) -> float:
    """A fraction rounded to float32 in a direction."""
    near = np.float32(float(value))
    below = near if Fraction(float(near)) <= value else np.nextafter(near, np.float32(-np.inf))
    above = near if Fraction(float(near)) >= value else np.nextafter(near, np.float32(np.inf))
    toward_zero = below if value > 0 else above
    return float({"rm": below, "rp": above, "rz": toward_zero}[mode])


@pytest.mark.parametrize("mode", ["rz", "rm", "rp"])
def test_directed_rounding(mode: str) -> None:
    a, b, c = (np.random.default_rng(seed).normal(0, 1, N).astype("f4") for seed in (1, 2, 3))
    got = run(f"fma.{mode}.f32 %d, %a, %b, %c;", "f32", f32_a=a, f32_b=b, f32_c=c)
    added = run(f"add.{mode}.f32 %d, %a, %b;", "f32", f32_a=a, f32_b=b)
    rows = zip(*([Fraction(v) for v in x.tolist()] for x in (a, b, c)), strict=True)
    for n, (x, y, z) in enumerate(rows):
        assert got[n] == exactly(x * y + z, mode)
        assert added[n] == exactly(x + y, mode)


@pytest.mark.parametrize("mode", ["rz", "rm", "rp"])
def test_directed_sums_of_f64(mode: str) -> None:
    generator = np.random.default_rng(16)
    a, b = (generator.normal(0, 1, N) * 2.0 ** generator.integers(-60, 9, N) for _ in range(2))
    b[:4], a[4], b[4] = -a[:4], 1.7e308, 1.7e308
    got = run(f"add.{mode}.f64 %d, %a, %b;", "f64", f64_a=a, f64_b=b)
    for x, y, value in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        exact = Fraction(x) + Fraction(y)
        if math.isinf(value):
            assert mode == "rp"
            continue
        direction = {"rm": -np.inf, "rp": np.inf, "rz": 0.0}[mode]
        beyond = float(
            np.nextafter(value, -direction if direction else math.copysign(np.inf, value))
        )
        cut = (
            abs(Fraction(value)) <= abs(exact)
            if mode == "rz"
            else (Fraction(value) - exact) * (1 if mode == "rp" else -1) >= 0
        )
        assert cut
        if math.isfinite(beyond) and exact != 0:
            tight = (
                abs(Fraction(beyond)) > abs(exact)
                if mode == "rz"
                else (Fraction(beyond) - exact) * (1 if mode == "rp" else -1) < 0
            )
            assert tight
        if exact == 0:
            assert math.copysign(1, value) == (-1 if mode == "rm" else 1)


def test_flushing() -> None:
    a = np.array([1e-40, -1e-40, 2e-38, 1e38], "f4")
    got = run("mul.ftz.f32 %d, %a, 0f3F800000;", "f32", f32=a)
    assert same(got, np.array([0.0, -0.0, 2e-38, 1e38], "f4"))
    assert same(run("mul.f32 %d, %a, 0f3F800000;", "f32", f32=a), a)
    assert same(run("mul.ftz.f32 %d, %a, 0f3F000000;", "f32", f32=a[2:3]), np.zeros(1, "f4"))


APPROXIMATE: dict[str, Callable[[Array], Array]] = {
    "rcp": lambda x: 1 / x,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "ex2": np.exp2,
    "lg2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", APPROXIMATE)
@pytest.mark.parametrize("ftz", ["", ".ftz"])
def test_approximate(name: str, ftz: str) -> None:
    """Correctly rounded without noise, and with it within NVIDIA's bounds but not correctly rounded."""
    if name == "tanh" and ftz:
        pytest.skip("tanh.approx has no .ftz")
    x = np.random.default_rng(5).uniform(0.1, 3, N).astype("f4")
    exact = APPROXIMATE[name](x.astype("f8"))
    text = f"{name}.approx{ftz}.f32 %d, %a;"
    assert same(run(text, "f32", f32=x), exact)
    machine = Machine(load_ptx(ptx_of(text, "f32", ["f32"])), noise=True, seed=3)
    out = machine.buffer("out", (N,))
    machine.launch("k", 1, N, [machine.buffer("x", x), out])
    relative, absolute = BOUNDS[name]
    error = abs(out.array() - exact)
    assert (error <= abs(exact) * (relative + 2**-24) + absolute).all()
    assert (out.array() != exact.astype("f4")).any()


def test_approximate_division() -> None:
    a, b = floats("f32", 6), floats("f32", 7)
    with np.errstate(all="ignore"):
        assert same(run("div.full.f32 %d, %a, %b;", "f32", f32_a=a, f32_b=b), a / b)
        assert same(run("div.approx.f32 %d, %a, %b;", "f32", f32_a=a, f32_b=b), a / b)


def test_gross_reciprocal_of_f64() -> None:
    """It has 20 bits or so, and nothing in its lower half: code that needs no Newton step after it would show."""
    x = np.random.default_rng(8).uniform(0.1, 3, N)
    got = run("rcp.approx.ftz.f64 %d, %a;", "f64", f64=x)
    assert (got.view("u8") & 0xFFFFFFFF == 0).all()
    np.testing.assert_allclose(got, 1 / x, rtol=2**-18)


def test_conversions_of_halves() -> None:
    x, y = floats("f32", 9), floats("f32", 10)
    with np.errstate(over="ignore"):
        halves = x.astype("f2")
    assert same(run("cvt.rn.f16.f32 %d, %a;", "f16", f32=x).view("f2"), halves)
    assert same(run("cvt.f32.f16 %d, %a;", "f32", f16=halves), halves.astype("f4"))
    brain = run("cvt.rn.bf16.f32 %d, %a;", "bf16", f32=x)
    assert (brain == rounding.to_bf16_bits(x.astype("f8"))).all()
    wide = (brain.astype("u4") << 16).view("f4")
    assert same(run("cvt.f32.bf16 %d, %a;", "f32", bf16=brain), wide)
    for kind in ("f16", "bf16"):
        packed = run(f"cvt.rn.{kind}x2.f32 %d, %a, %b;", f"{kind}x2", f32_a=x, f32_b=y).view("u2")
        assert (packed[1::2] == run(f"cvt.rn.{kind}.f32 %d, %a;", kind, f32=x)).all()
        assert (packed[::2] == run(f"cvt.rn.{kind}.f32 %d, %a;", kind, f32=y)).all()


@pytest.mark.parametrize("to", ["s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("of", ["f32", "f64"])
def test_floats_to_integers(to: str, of: str) -> None:
    """Clamped; NaN is 0, or the highest bit if 64 bits are involved."""
    x = np.concatenate(
        [floats(of, 11), np.array([2.5, -2.5, 1e10, -1e10, 1e20, -1e20], NUMPY[of])]
    )[-N:]
    info = np.iinfo(NUMPY[to])
    rounders: dict[str, Callable[[float], int]] = {
        "rzi": math.trunc,
        "rni": round,
        "rmi": math.floor,
        "rpi": math.ceil,
    }
    for mode, rounder in rounders.items():
        got = run(f"cvt.{mode}.{to}.{of} %d, %a;", to, **{of: x})
        for value, result in zip(x.tolist(), got.tolist(), strict=True):
            if math.isnan(value):
                long = of == "f64" or info.bits == 64
                want = (info.min or 1 << info.bits - 1) if long else 0
            elif math.isinf(value):
                want = info.max if value > 0 else info.min
            else:
                want = max(info.min, min(info.max, rounder(value)))
            assert result == want, (mode, value)


@pytest.mark.parametrize("of", ["s32", "u32", "s64", "u64"])
def test_integers_to_floats(of: str) -> None:
    dtype = np.dtype(NUMPY[of])
    info = np.iinfo(dtype)
    values = np.random.default_rng(12).integers(info.min, info.max, N, dtype=dtype, endpoint=True)
    got = run(f"cvt.rn.f32.{of} %d, %a;", "f32", **{of: values})
    for value, result in zip(values.tolist(), got.tolist(), strict=True):
        near = np.float32(result)
        around = [np.nextafter(near, np.float32(s)) for s in (-np.inf, np.inf)]
        distance = abs(Fraction(result) - value)
        assert all(distance <= abs(Fraction(float(other)) - value) for other in around)


def test_integral_floats() -> None:
    x = floats("f32", 13)
    rounders = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
    for mode, rounder in rounders.items():
        assert same(run(f"cvt.{mode}.f32.f32 %d, %a;", "f32", f32=x), rounder(x))


@pytest.mark.parametrize("kind", ["f32", "f64", "b32", "b16", "u16", "b64"])
@pytest.mark.parametrize("elements", [2, 4])
@pytest.mark.parametrize("cache", ["", ".nc", ".nc.L1::no_allocate"])
def test_vector_access(kind: str, elements: int, cache: str) -> None:
    """A copy: gapless, and with the threads in reverse order."""
    dtype = np.dtype(NUMPY[kind])
    size = dtype.itemsize * elements
    if size > 16:
        pytest.skip("no access of 32 bytes before Blackwell")
    registers = ", ".join(f"%v{n}" for n in range(elements))
    for index in ("mov.u32 %i, %tid.x;", "mov.u32 %i, %tid.x;\nsub.u32 %i, 63, %i;"):
        text = f"""
            .version 8.6 .target sm_90 .address_size 64
            .visible .entry k(.param .u64 p, .param .u64 q) {{
            .reg .b32 %i; .reg .b64 %x, %y; .reg .b{8 * dtype.itemsize} %v<{elements}>;
            {index}
            ld.param.u64 %x, [p]; ld.param.u64 %y, [q];
            mad.wide.u32 %x, %i, {size}, %x; mad.wide.u32 %y, %i, {size}, %y;
            ld.global{cache}.v{elements}.{kind} {{{registers}}}, [%x];
            st.global.v{elements}.{kind} [%y], {{{registers}}};
            ret; }}"""
        machine = Machine(load_ptx(text))
        given = np.random.default_rng(14).integers(0, 255, 64 * size, dtype="u1").view(dtype)
        x, y = machine.buffer("x", given), machine.buffer("y", given.shape, dtype=dtype)
        stats = machine.launch("k", 1, 64, [x, y])
        assert y.array().tobytes() == given.tobytes()
        assert (y.unwritten(), stats.ratio(2 * given.nbytes)) == (0, 1.0)


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize(
    "opcode", ["atom.global.add.{k} %d, [%at], %a;", "red.global.add.{k} [%at], %a;"]
)
def test_atomic_sum(kind: str, opcode: str) -> None:
    text = f"""
        .version 8.6 .target sm_90 .address_size 64
        .visible .entry k(.param .u64 p, .param .u64 q) {{
        .reg .b32 %i; .reg .b64 %x, %at; .reg .{kind} %a, %d;
        mov.u32 %i, %tid.x;
        ld.param.u64 %x, [p]; ld.param.u64 %at, [q];
        mad.wide.u32 %x, %i, {4 if kind == "f32" else 8}, %x;
        ld.global.{kind} %a, [%x];
        {opcode.format(k=kind)}
        ret; }}"""
    x = np.random.default_rng(15).normal(0, 1, 96).astype(NUMPY[kind])
    totals = set()
    for seed in range(4):
        machine = Machine(load_ptx(text), seed=seed)
        total = machine.buffer("total", np.ones(1, NUMPY[kind]))
        machine.launch("k", 1, 96, [machine.buffer("x", x), total])
        np.testing.assert_allclose(total.array(), 1 + x.astype("f8").sum(), rtol=1e-5)
        totals.add(float(total.array()[0]))
    assert len(totals) > 1  # the order was drawn anew
