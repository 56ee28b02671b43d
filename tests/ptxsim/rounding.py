"""Bit-exact arithmetic that NumPy lacks: fused multiply-add, directed rounding, float16 and bfloat16.

"Rounded to odd": truncated, and the last bit set if anything was cut off. Rounding that once more to a format at least
two bits shorter is the correct single rounding (S. Boldo and G. Melquiond, Emulation of FMA and correctly rounded sums,
2008).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ptxsim.formats import Array

F32, F64 = np.float32, np.float64
_BELOW_F32 = np.uint64(0x1FFF_FFFF)
_HALF_F32 = np.uint64(0x1000_0000)
_SMALLEST_F32, _SMALLEST_F64 = 2.0**-126, 2.0**-1022


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b and what rounding it left out, exactly."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _split(a: Array) -> tuple[Array, Array]:
    c = 134217729.0 * a
    high = c - (c - a)
    return high, a - high


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """a * b and what rounding it left out, exactly unless it overflows or underflows."""
    product = a * b
    (a1, a2), (b1, b2) = _split(a), _split(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _to_odd(rounded: Array, error: Array) -> Array:
    """The value rounded to odd, from the nearest one and the exact error."""
    rounded, error = np.broadcast_arrays(np.asarray(rounded, F64), np.asarray(error, F64))
    even = (np.ascontiguousarray(rounded).view(np.uint64) & 1) == 0
    fix = (error != 0) & even & np.isfinite(rounded) & np.isfinite(error)
    if not fix.any():
        return rounded
    return np.where(fix, np.nextafter(rounded, np.where(error > 0, np.inf, -np.inf)), rounded)


def add_odd(a: Array, b: Array) -> Array:
    """a + b of float64 arrays, rounded to odd."""
    return _to_odd(*_two_sum(a, b))


def fma_odd(a: Array, b: Array, c: Array) -> Array:
    """a*b+c where a*b is exact in float64 (as for float32, float16, bfloat16), rounded to odd."""
    return add_odd(a * b, c)


def fma32(a: Array, b: Array, c: Array) -> Array:
    """a*b+c in float32, rounded once to nearest."""
    product = np.multiply(a, b, dtype=F64)
    total = np.atleast_1d(np.add(product, c, dtype=F64))
    doubtful = (total.view(np.uint64) & _BELOW_F32) == _HALF_F32
    doubtful |= np.abs(total) < _SMALLEST_F32
    out: Array = total.astype(F32)
    if doubtful.any():  # a tie or a subnormal number: there the second rounding could go wrong
        out = np.where(doubtful, to_f32(fma_odd(product, 1.0, np.asarray(c, F64))), out)
    return out


def fma64(a: Array, b: Array, c: Array) -> Array:
    """a*b+c in float64, rounded once to nearest (Boldo and Melquiond; exact fractions at the ends)."""
    a, b, c = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, F64)) for v in (a, b, c)))
    product, product_error = _two_product(a, b)
    high, low = _two_sum(c, product_error)
    total, total_error = _two_sum(product, high)
    out: Array = total + _to_odd(*_two_sum(low, total_error))
    size = np.maximum(np.abs(a), np.abs(b))
    unsafe = (size > 2.0**970) | (np.abs(c) > 2.0**970) | ~(np.abs(product) < 2.0**970)
    unsafe |= ((np.abs(product) < 2.0**-900) & (a != 0) & (b != 0)) | ~np.isfinite(out)
    if unsafe.any():
        out = np.array(out)
        for i in np.flatnonzero(unsafe):
            out[i] = _exact_fma(float(a[i]), float(b[i]), float(c[i]))
    zero = (out == 0) & ((product == 0) | (c == 0))
    return np.where(zero & ~unsafe, product + c, out) if zero.any() else out


def _exact_fma(a: float, b: float, c: float) -> float:
    if not np.isfinite([a, b, c]).all():
        return c if np.isfinite([a, b]).all() else a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c if (a == 0 or b == 0) else 0.0
    try:
        near = float(exact)
    except OverflowError:
        return np.inf if exact > 0 else -np.inf
    return near if near or exact > 0 else -0.0


def add64(a: Any, b: Any, mode: str) -> Array:
    """a + b in float64, in a PTX rounding mode other than `rn`."""
    total, error = _two_sum(np.asarray(a, F64), np.asarray(b, F64))
    down = (error < 0) & ((mode == "rm") | ((mode == "rz") & (total > 0)))
    up = (error > 0) & ((mode == "rp") | ((mode == "rz") & (total < 0)))
    toward = np.where(down, -np.inf, np.where(up, np.inf, total))
    # Where the sum overflowed the error is NaN: nearest rounding gave infinity.
    largest = np.copysign(np.finfo(F64).max, total)
    overflowed = np.isinf(total) & np.isfinite(a) & np.isfinite(b)
    inward = overflowed & ((mode == "rz") | ((mode == "rm") == (total > 0)))
    zero = (total == 0) & (mode == "rm") & ((np.asarray(a) != 0) | np.signbit(a) | np.signbit(b))
    out = np.where(inward, largest, np.nextafter(total, toward))
    return np.where(zero, -0.0, out)


def to_f32(x: Any, mode: str = "rn") -> Array:
    """Round a float64 (exact or rounded to odd) to float32 in a PTX rounding mode."""
    x = np.asarray(x, F64)
    near: Array = x.astype(F32)
    if mode == "rn":
        return near
    back = near.astype(F64)
    if mode == "rz":
        return np.where(np.abs(back) > np.abs(x), np.nextafter(near, F32(0)), near)
    if mode == "rm":
        return np.where(back > x, np.nextafter(near, F32(-np.inf)), near)
    if mode == "rp":
        return np.where(back < x, np.nextafter(near, F32(np.inf)), near)
    raise ValueError(mode)


def _f32_odd(x: Any) -> Array:
    near = np.asarray(x, F64).astype(F32)
    back = near.astype(F64)
    even = (np.ascontiguousarray(near).view(np.uint32) & 1) == 0
    fix = (back != x) & even & np.isfinite(near)
    toward = np.where(x > back, F32(np.inf), F32(-np.inf))
    return np.where(fix, np.nextafter(near, toward), near).astype(F32)


def to_bf16_bits(x: Any, mode: str = "rn") -> Array:
    """Float64 to the bits of bfloat16."""
    odd = _f32_odd(x)
    bits = np.ascontiguousarray(odd).view(np.uint32).astype(np.uint64)
    if mode == "rn":
        out = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
    elif mode == "rz":
        out = bits >> np.uint64(16)
    else:
        raise ValueError(mode)
    return np.where(np.isnan(odd), 0x7FFF, out).astype(np.uint16)


def decode(bits: Array, kind: str) -> Array:
    """Bits (or float32, float64) to float64, for any float type that is not packed."""
    if kind == "f32":
        return bits.view(F32).astype(F64)
    if kind == "f64":
        return bits.view(F64)
    if kind == "f16":
        return bits.view(np.float16).astype(F64)
    if kind == "bf16":
        return (bits.astype(np.uint32) << np.uint32(16)).view(F32).astype(F64)
    raise ValueError(kind)


def encode(x: Any, kind: str, mode: str = "rn") -> Array:
    """Float64 (exact or rounded to odd) to bits."""
    x = np.asarray(x, F64)
    if kind == "f32":
        return np.ascontiguousarray(to_f32(x, mode)).view(np.uint32)
    if kind == "f64":
        return np.ascontiguousarray(x).view(np.uint64)
    if kind == "bf16":
        return to_bf16_bits(x, mode)
    if kind != "f16" or mode not in ("rn", "rz"):
        raise ValueError((kind, mode))
    half = x.astype(np.float16)
    if mode == "rz":
        beyond = np.abs(half.astype(F64)) > np.abs(x)
        half = np.where(beyond, np.nextafter(half, np.float16(0)), half)
    return np.where(np.isnan(half), np.uint16(0x7FFF), np.ascontiguousarray(half).view(np.uint16))


def flush(x: Array) -> Array:
    """Subnormal numbers (float32 or float64) become zeros of their sign, as `.ftz` says."""
    tiny = np.abs(x) < (_SMALLEST_F64 if x.dtype == F64 else F32(_SMALLEST_F32))
    return np.where(tiny, np.copysign(x.dtype.type(0), x), x) if tiny.any() else x
