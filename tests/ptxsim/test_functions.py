"""CUDA's mathematical functions: libdevice's own code for exp, pow, sin, … runs as PTX, slow paths and all.

The errors allowed are those that the CUDA C++ Programming Guide lists, in units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from ptxsim import Machine
from ptxsim.conftest import Compiled
from ptxsim.formats import Array

Function = Callable[[mpmath.mpf], mpmath.mpf]

FUNCTIONS: list[tuple[str, Function, int, int]] = [
    # name, exact, errors of float32 and float64
    ("exp", mpmath.exp, 2, 1),
    ("expm1", mpmath.expm1, 1, 1),
    ("log", lambda x: mpmath.log(abs(x)), 1, 1),
    ("log1p", lambda x: mpmath.log1p(abs(x)), 1, 1),
    ("log2", lambda x: mpmath.log(abs(x), 2), 1, 1),
    ("exp2", lambda x: mpmath.mpf(2) ** x, 2, 1),
    ("pow 1.7", lambda x: abs(x) ** mpmath.mpf(1.7), 4, 2),
    ("pow 3", lambda x: x**3, 4, 2),
    ("sin", mpmath.sin, 2, 2),
    ("cos", mpmath.cos, 2, 2),
    ("tan", mpmath.tan, 4, 2),
    ("tanh", mpmath.tanh, 2, 2),
    ("atan", mpmath.atan, 2, 2),
    ("erf", mpmath.erf, 2, 2),
    ("sqrt", lambda x: mpmath.sqrt(abs(x)), 0, 0),
    ("rsqrt", lambda x: 1 / mpmath.sqrt(abs(x) + 1), 3, 2),
    ("quotient", lambda x: 1 / (x + 100), 1, 1),
    ("floor", mpmath.floor, 0, 0),
    ("round", lambda x: mpmath.sign(x) * mpmath.floor(abs(x) + 0.5), 0, 0),
    ("fmod", lambda x: x, 0, 0),
    ("sinh", mpmath.sinh, 3, 2),
    ("cosh", mpmath.cosh, 2, 1),
    ("asin", lambda x: mpmath.asin(x / (abs(x) + 1)), 4, 4),
    ("atan2", lambda x: mpmath.atan2(x, 2), 3, 2),
    ("hypot", lambda x: mpmath.hypot(x, 2), 3, 2),
    ("cbrt", lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), 1, 1),
    ("fmin", lambda x: min(x, mpmath.mpf(1)), 0, 0),
    ("fmax", lambda x: max(x, mpmath.mpf(-1)), 0, 0),
]


def arguments(dtype: str) -> Array:
    """Ordinary numbers, small ones, and some so large that sine and cosine need their slow path."""
    x = np.concatenate(
        [np.linspace(-8, 8, 44), [1e-3, -1e-5, 30.25, -50.0, 1.5e5, -3.7e7, 1e10, 2.0**31]]
    )
    return x.astype(dtype)


def exact_results(name: str, function: Function, x: Array) -> list[mpmath.mpf]:
    one, dtype = x.dtype.type(1), x.dtype.type
    if name == "rsqrt":
        return [1 / mpmath.sqrt(mpmath.mpf(float(abs(v) + one))) for v in x]
    if name == "quotient":
        return [1 / mpmath.mpf(float(v + dtype(100))) for v in x]
    if name == "asin":
        return [mpmath.asin(mpmath.mpf(float(v / (abs(v) + one)))) for v in x]
    if name == "pow 1.7":
        return [mpmath.mpf(float(abs(v))) ** mpmath.mpf(float(dtype(1.7))) for v in x]
    if name == "fmod":
        return [mpmath.mpf(math.fmod(float(v), float(dtype(0.7)))) for v in x]
    return [function(mpmath.mpf(float(v))) for v in x]


def errors(got: Array, want: list[mpmath.mpf]) -> Array:
    """In units in the last place of the exact value; beyond the range infinity is exact."""
    info, out = np.finfo(got.dtype), []
    for value, exact in zip(got.tolist(), want, strict=True):
        if math.isinf(value):
            out.append(0.0 if abs(exact) > info.max else math.inf)
            continue
        exponent = mpmath.floor(mpmath.log(abs(exact), 2)) if exact else info.minexp
        unit = mpmath.mpf(2) ** (max(exponent, info.minexp) - info.nmant)
        out.append(float(abs(mpmath.mpf(value) - exact) / unit))
    return np.array(out)


@pytest.mark.parametrize(("kernel", "dtype"), [("functions_f32", "f4"), ("functions_f64", "f8")])
def test_accuracy(compiled: Compiled, architecture: str, kernel: str, dtype: str) -> None:
    x = arguments(dtype)
    machine = Machine(compiled("functions", architecture))
    assert machine.unsupported(kernel) == []
    X, Y = machine.buffer("x", x), machine.buffer("y", (len(FUNCTIONS), x.size), dtype=dtype)
    machine.launch(kernel, 2, 32, [X, Y, x.size])
    assert Y.unwritten() == 0
    wrong = {}
    with mpmath.workdps(60):
        for (name, function, *allowed), row in zip(FUNCTIONS, Y.array(), strict=True):
            found = errors(row, exact_results(name, function, x))
            limit = allowed[dtype == "f8"] + 0.5
            if not (found <= limit).all():
                n = int(np.nanargmax(np.where(np.isnan(found), np.inf, found)))
                wrong[name] = float(x[n]), float(row[n]), float(found[n])
    assert not wrong


@pytest.mark.parametrize("noise", [False, True])
def test_fast_mathematics(compiled: Compiled, noise: bool) -> None:
    """Code of -use_fast_math, whose instructions are moved within their bounds by `noise`."""
    x = np.linspace(-8, 8, 600).astype("f4")
    machine = Machine(compiled("neurons", "90", "-use_fast_math"), noise=noise)
    X, Y = machine.buffer("x", x), machine.buffer("y", (12, 600))
    machine.launch("maths", 5, 128, [X, Y, 600])
    x, y = x.astype("f8"), Y.array()
    np.testing.assert_allclose(y[0], np.exp(x), rtol=2e-5)
    np.testing.assert_allclose(y[1], 1 / (1 + np.exp(-x)), rtol=2e-5)
    np.testing.assert_allclose(y[2], np.tanh(x), rtol=2**-10.5, atol=1e-6)
    np.testing.assert_allclose(y[3], np.log(abs(x) + 1), rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(y[5], x / (3 + x * x), rtol=2e-5)
    np.testing.assert_allclose(y[6], (abs(x) + 0.5) ** 1.7, rtol=2e-5)
    np.testing.assert_allclose(y[7], np.sin(x), atol=2e-6)


def test_double_and_integer_division(compiled: Compiled, architecture: str) -> None:
    rows, columns = 9, 37
    x = np.random.default_rng(1).normal(0, 3, (rows, columns))
    machine = Machine(compiled("neurons", architecture))
    X, Y = machine.buffer("x", x), machine.buffer("y", (columns, rows), dtype="f8")
    machine.launch("f64_idx", 3, 128, [X, Y, rows, columns])
    np.testing.assert_allclose(Y.array(), (np.exp(x) / (1 + x * x)).T, rtol=4e-15)
