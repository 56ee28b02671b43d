"""The arithmetic against exact rational arithmetic and against libm."""

from __future__ import annotations

import ctypes
import ctypes.util
from fractions import Fraction

import numpy as np
import pytest

from ptxsim import rounding
from ptxsim.formats import Array

libm = ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")
libm.fma.restype, libm.fma.argtypes = ctypes.c_double, [ctypes.c_double] * 3
libm.fmaf.restype, libm.fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3


def hard_operands(generator: np.random.Generator, n: int) -> tuple[Array, Array, Array]:
    """Operands whose sum cancels or sits on a rounding tie."""
    a, b = (generator.normal(0, 1, n) * 2.0 ** generator.integers(-20, 20, n) for _ in range(2))
    nearly = 1 + generator.normal(0, 1, n) * 2.0 ** generator.integers(-60, 0, n)
    free = generator.normal(0, 1, n) * 2.0 ** generator.integers(-60, 60, n)
    return a, b, np.where(generator.random(n) < 0.5, -a * b * nearly, free)


def bits(x: Array) -> Array:
    return x.view(f"u{x.dtype.itemsize}")


def test_fma_f32_is_libm() -> None:
    a, b, c = (v.astype("f4") for v in hard_operands(np.random.default_rng(0), 20000))
    want = np.array(
        [libm.fmaf(*v) for v in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)], "f4"
    )
    exact = rounding.to_f32(rounding.fma_odd(*(v.astype("f8") for v in (a, b, c))))
    assert (bits(exact) == bits(want)).all()
    assert (bits(rounding.fma32(a, b, c)) == bits(want)).all()


def test_fma_f32_of_ties_and_subnormal_numbers_is_libm() -> None:
    """Where rounding to float64 and then to float32 would go wrong."""
    generator, n = np.random.default_rng(5), 20000
    a = (1 + generator.integers(0, 64, n) / 64).astype("f4")
    b = (1 + generator.integers(0, 1 << 18, n) / (1 << 18)).astype("f4")
    c = (generator.choice([-1.0, 1.0], n) * 2.0 ** generator.integers(-70, -40, n)).astype("f4")
    scale = np.float32(2) ** generator.choice([0, -130, -140, -149], n).astype("f4")
    a, c = a * scale, c * scale
    want = np.array(
        [libm.fmaf(*v) for v in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)], "f4"
    )
    with np.errstate(all="ignore"):
        twice = (a.astype("f8") * b + c).astype("f4")
        assert (bits(twice) != bits(want)).any()  # the test can fail
        assert (bits(rounding.fma32(a, b, c)) == bits(want)).all()


def test_fma_f64_is_libm() -> None:
    a, b, c = hard_operands(np.random.default_rng(1), 20000)
    want = [libm.fma(*v) for v in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    assert (bits(rounding.fma64(a, b, c)) == bits(np.array(want))).all()


def test_fma_f64_at_the_ends_of_the_range_is_libm() -> None:
    edges = [0.0, 5e-324, 2.2e-308, 1e-300, 1e-160, 1.5, 1e160, 8e307, 1.7e308, np.inf, np.nan]
    edges += [-e for e in edges]
    a, b, c = (v.reshape(-1).copy() for v in np.meshgrid(edges, edges, edges))
    want = np.array([libm.fma(*v) for v in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)])
    with np.errstate(all="ignore"):
        got = rounding.fma64(a, b, c)
    same = (bits(got) == bits(want)) | (np.isnan(got) & np.isnan(want))
    assert same.all(), (a[~same][0], b[~same][0], c[~same][0], got[~same][0], want[~same][0])


def test_directed_rounding() -> None:
    a, b, c = (v.astype("f4") for v in hard_operands(np.random.default_rng(2), 3000))
    x = rounding.fma_odd(*(v.astype("f8") for v in (a, b, c)))
    down, up, cut = (rounding.to_f32(x, mode) for mode in ("rm", "rp", "rz"))
    for i in range(len(a)):
        exact = Fraction(float(a[i])) * Fraction(float(b[i])) + Fraction(float(c[i]))
        low, high = Fraction(float(down[i])), Fraction(float(up[i]))
        assert low <= exact <= high
        assert low == high or np.nextafter(down[i], np.float32(np.inf)) == up[i]
        assert abs(Fraction(float(cut[i]))) <= abs(exact)


def test_bf16_rounds_to_nearest_even() -> None:
    """Against PyTorch, ties included."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(3).normal(0, 1, 50000).astype("f4")
    x[:1000] = (x[:1000].view("u4") & 0xFFFF0000 | 0x8000).view("f4")
    want = torch.from_numpy(x).to(torch.bfloat16).view(torch.int16).numpy().view("u2")
    assert (rounding.to_bf16_bits(x.astype("f8")) == want).all()


def test_half_rounds_once() -> None:
    """A case in which rounding to float32 first gives another result."""
    a, b, c = np.float16(1 + 2**-10), np.float16(1 + 2**-10), np.float16(2**-24)
    odd = rounding.fma_odd(*(np.array([v], "f8") for v in (a, b, c)))
    got = rounding.encode(odd, "f16").view("f2")[0]
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    for other in (np.nextafter(got, np.float16(9)), np.nextafter(got, np.float16(-9))):
        assert abs(Fraction(float(got)) - exact) <= abs(Fraction(float(other)) - exact)


def test_flush_keeps_signs_and_knows_the_type() -> None:
    x = np.array([1e-40, -1e-40, 2e-38], "f4")
    assert bits(rounding.flush(x)).tolist() == bits(np.array([0.0, -0.0, 2e-38], "f4")).tolist()
    assert rounding.flush(np.array([1e-40, 1e-310])).tolist() == [1e-40, 0.0]
