"""Each elementary function alone, compiled to C++: within 2.5 units in the last place of the true value (mpmath)."""

from __future__ import annotations

import re
from types import ModuleType

import mpmath
import numpy as np
import pytest
import scipy.special
import torch
from neurodsl.csrc_gen.cpp.vector_functions import NAMES, vector_texts

import neurodsl
from neurodsl.sema.builtins import BUILTINS, ELEMENTARY

ULPS = 2.5
"""What the CPU's kernels keep; the language lets a target have 4."""

POINTS = 4000

FUNCTIONS: dict[str, tuple[str, float, float]] = {
    "exp": ("exp", -87.0, 88.0),
    "log": ("log", 1e-30, 1e30),
    "expm1": ("expm1", -30.0, 60.0),
    "log1p": ("log1p", -0.999, 1e20),
    "exprel": ("exprel", -60.0, 93.0),
    "sqrt": ("sqrt", 1e-30, 1e30),
    "rsqrt": ("rsqrt", 1e-30, 1e30),
    "sin": ("sin", -1e30, 1e30),
    "cos": ("cos", -1e30, 1e30),
    "tan": ("tan", -1e30, 1e30),
    "atan": ("atan", -1e5, 1e5),
    "erf": ("erf", -6.0, 6.0),
    "sigmoid": ("sigmoid", -87.0, 87.0),
    "tanh": ("tanh", -30.0, 30.0),
    "softplus": ("softplus", -87.0, 80.0),
}
"""Name, and the range of arguments in which points are drawn."""

TRUTH = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "expm1": mpmath.expm1,
    "log1p": mpmath.log1p,
    "exprel": lambda x: mpmath.expm1(x) / x if x else mpmath.mpf(1),
    "sqrt": mpmath.sqrt,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "atan": mpmath.atan,
    "erf": mpmath.erf,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
}

PROGRAM = (
    "neuron Functions:\n    input x\n    output "
    + ", ".join(f"y_{name}" for name in FUNCTIONS)
    + "\n    charge:\n"
    + "".join(f"        y_{name} = {name}(x)\n" for name in FUNCTIONS)
)


def test_every_inexact_function_is_covered() -> None:
    inexact = {name for name in ELEMENTARY if not BUILTINS[name].exact}
    assert inexact <= set(FUNCTIONS)


@pytest.fixture(scope="module")
def functions() -> ModuleType:
    return neurodsl.load(PROGRAM)


def points(low: float, high: float, dtype: type[np.floating]) -> np.ndarray:
    """Uniform ones, ones of every size down to tiny, of both signs where the range has both, and 0 where it does."""
    random = np.random.default_rng(0)
    uniform = random.uniform(max(low, -1e3), min(high, 1e3), POINTS // 2)
    sizes = 10.0 ** random.uniform(-12, np.log10(max(abs(low), abs(high))), POINTS // 2)
    signs = np.where(random.random(POINTS // 2) < 0.5, -1.0, 1.0) if low < 0 else 1.0
    drawn = np.concatenate([uniform, sizes * signs, [0.0, -0.0, 1.0]])
    return np.unique(drawn[(drawn >= low) & (drawn <= high)].astype(dtype))


def ulps(found: float, truth: mpmath.mpf, dtype: type[np.floating]) -> float:
    """The distance in units in the last place of the true value, never smaller than the smallest normal's."""
    size = max(abs(float(truth)), float(np.finfo(dtype).tiny))
    return float(abs(mpmath.mpf(found) - truth) / mpmath.mpf(float(np.spacing(dtype(size)))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_two_and_a_half_ulps(
    name: str, dtype: type[np.floating], functions: ModuleType
) -> None:
    _, low, high = FUNCTIONS[name]
    x = points(low, high, dtype)
    node = functions.Functions(backend="fused")
    outputs = node(torch.from_numpy(x).reshape(1, 1, -1))
    found = outputs[list(FUNCTIONS).index(name)].reshape(-1).numpy()
    with mpmath.workdps(100):
        errors = [
            ulps(float(y), TRUTH[name](mpmath.mpf(float(a))), dtype)
            for a, y in zip(x, found, strict=True)
        ]
    worst = int(np.argmax(errors))
    print(
        f"\n{name}, {np.dtype(dtype).name}, {x.size} numbers: {errors[worst]:.2f} ulp"
    )  # shown by -s
    assert errors[worst] <= ULPS, f"{name}({x[worst]!r}) = {found[worst]!r}: {errors[worst]} ulp"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_at_the_ends_of_their_ranges(dtype: torch.dtype, functions: ModuleType) -> None:
    inf, nan = float("inf"), float("nan")
    x = torch.tensor([inf, -inf, nan, -1.0, 0.0], dtype=dtype).reshape(1, 1, -1)
    node = functions.Functions(backend="fused")
    found = dict(zip(FUNCTIONS, (y.reshape(-1) for y in node(x)), strict=True))
    expected = {
        "exp": torch.exp(x),
        "expm1": torch.expm1(x),
        "log": torch.log(x),
        "log1p": torch.log1p(x),
        "sqrt": torch.sqrt(x),
        "sigmoid": torch.sigmoid(x),
        "tanh": torch.tanh(x),
        "atan": torch.atan(x),
        "erf": torch.erf(x),
        "softplus": torch.tensor([inf, 0.0, nan, 0.31326168751822286, 0.6931471805599453]),
        "exprel": torch.tensor([inf, 0.0, nan, 0.6321205588285577, 1.0]),
        "rsqrt": torch.tensor([0.0, nan, nan, nan, inf]),
    }
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value.reshape(-1).to(dtype), equal_nan=True, rtol=1e-6, atol=0, msg=name
        )


PATTERNS = np.arange(0, 2**32, 1009, dtype=np.uint64).astype(np.uint32).view(np.float32)
"""Every 1009th of all float32 numbers: of both signs and every size, infinities and NaN."""

IN_FLOAT64 = {
    "exp": np.exp,
    "log": np.log,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "exprel": scipy.special.exprel,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "erf": scipy.special.erf,
    "sigmoid": lambda x: np.where(x < 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x))),
    "tanh": np.tanh,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}


def check_float32(found: np.ndarray, truth: np.ndarray, arguments: np.ndarray, what: str) -> None:
    """Finite values by their distance; the others, and the signs of zeros, to the bit."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = truth.astype(np.float32)
        least = np.finfo(np.float32).tiny
        unit = np.spacing(np.maximum(np.abs(rounded), least)).astype(np.float64)
        errors = np.abs(found.astype(np.float64) - truth) / unit
    assert np.array_equal(np.isnan(found), np.isnan(rounded)), what
    both = np.isfinite(found) & np.isfinite(rounded)
    worst = int(np.argmax(np.where(both, errors, 0)))
    print(f"\n{what}, float32, {truth.size} numbers: {errors[worst]:.2f} ulp")  # shown by -s
    assert errors[worst] <= ULPS, (
        f"{what}{arguments[worst]} = {found[worst]!r}: {errors[worst]} ulp"
    )
    # one of two may round the largest number up to infinity
    largest = float(np.finfo(np.float32).max)
    odd = ~both & ~np.isnan(rounded) & (np.minimum(np.abs(found), np.abs(rounded)) < largest)
    assert not odd.any(), f"{what}{arguments[odd][:5]} = {found[odd][:5]}"
    zero = rounded == 0
    assert np.array_equal(np.signbit(found[zero]), np.signbit(rounded[zero])), f"{what}: sign of 0"


@pytest.fixture(scope="module")
def every_1009th(functions: ModuleType) -> dict[str, np.ndarray]:
    node = functions.Functions(backend="fused")
    outputs = node(torch.from_numpy(PATTERNS).reshape(1, 1, -1))
    return {name: y.reshape(-1).numpy() for name, y in zip(FUNCTIONS, outputs, strict=True)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_1009th_float32(name: str, every_1009th: dict[str, np.ndarray]) -> None:
    with np.errstate(all="ignore"):
        x = PATTERNS.astype(np.float64)
        truth = IN_FLOAT64[name](x)
    check_float32(every_1009th[name], truth, PATTERNS, name)


POWER = "neuron Power:\n    input x, y\n    output z\n    charge:\n        z = x ^ y\n"


def power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    node = neurodsl.load(POWER).Power(backend="fused")
    z: torch.Tensor = node(*(torch.from_numpy(a).reshape(1, 1, -1) for a in (x, y)))
    return z.reshape(-1).numpy()


EDGES = (0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 1e-30, 1e30, float("inf"))
SIGNED = np.array([s * x for x in EDGES for s in (1, -1)] + [float("nan")])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_powers_of_special_values(dtype: type[np.floating]) -> None:
    x, y = (a.ravel().astype(dtype) for a in np.meshgrid(SIGNED, SIGNED))
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64)).astype(dtype)
    np.testing.assert_allclose(power(x, y), expected, rtol=4 * np.finfo(dtype).eps, atol=0)


def test_powers_in_float32() -> None:
    random = np.random.default_rng(0)
    y = random.permutation(PATTERNS)[: PATTERNS.size // 4]
    y = np.where(random.random(y.size) < 0.8, random.uniform(-40, 40, y.size), y)
    y = np.where(random.random(y.size) < 0.3, np.rint(y), y).astype(np.float32)
    x = random.permutation(PATTERNS)[: y.size]
    with np.errstate(all="ignore"):
        truth = np.power(x.astype(np.float64), y.astype(np.float64))
    check_float32(power(x, y), truth, np.stack([x, y], axis=1), "pow")


def test_powers_in_float64() -> None:
    random = np.random.default_rng(0)
    size = 1 + random.uniform(-1e-3, 1e-3, 300)
    x = np.concatenate([10.0 ** random.uniform(-200, 200, 300), size, random.uniform(0.3, 3, 300)])
    y = np.concatenate([random.uniform(-1.5, 1.5, 300), random.uniform(-7e5, 7e5, 300)])
    y = np.concatenate([y, random.uniform(-500, 500, 300)])
    with mpmath.workdps(60):
        errors = [
            ulps(float(z), mpmath.power(mpmath.mpf(float(a)), mpmath.mpf(float(b))), np.float64)
            for a, b, z in zip(x, y, power(x, y), strict=True)
        ]
    worst = int(np.argmax(errors))
    print(f"\npow, float64, {x.size} numbers: {errors[worst]:.2f} ulp")  # shown by -s
    assert errors[worst] <= ULPS, f"{x[worst]!r} ^ {y[worst]!r}: {errors[worst]} ulp"


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_close_to_multiples_of_a_right_angle(name: str, functions: ModuleType) -> None:
    """Where a quarter of a turn and the argument cancel, and where an argument has many turns."""
    random = np.random.default_rng(0)
    quarters = np.arange(1, 400) * (np.pi / 2)
    far = np.ldexp(random.uniform(1, 2, 400), random.integers(30, 1023, 400))
    # the float64 number that comes closest to a multiple of pi / 2
    x = np.concatenate([quarters, -quarters, far, [5.319372648326541e255, 1.7e308]])
    node = functions.Functions(backend="fused")
    outputs = node(torch.from_numpy(x).reshape(1, 1, -1))
    found = outputs[list(FUNCTIONS).index(name)].reshape(-1).numpy()
    with mpmath.workdps(400):
        errors = [
            ulps(float(y), TRUTH[name](mpmath.mpf(float(a))), np.float64)
            for a, y in zip(x, found, strict=True)
        ]
    worst = int(np.argmax(errors))
    assert errors[worst] <= ULPS, f"{name}({x[worst]!r}) = {found[worst]!r}: {errors[worst]} ulp"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_function_brings_those_that_it_calls(name: str) -> None:
    text = "\n".join(vector_texts([name]))
    called = set(re.findall(r"\bfn_\w+", text))
    assert called <= set(re.findall(r"\breal (fn_\w+)\(", text))
