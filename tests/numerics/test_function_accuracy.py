"""Each elementary function alone, compiled to C++: within 4 units in the last place of the true value (mpmath)."""

from __future__ import annotations

from types import ModuleType

import mpmath
import numpy as np
import pytest
import torch

import neurodsl
from neurodsl.sema.builtins import BUILTINS, ELEMENTARY

ULPS = 4.0
POINTS = 400

FUNCTIONS: dict[str, tuple[str, float, float]] = {
    "exp": ("exp", -80.0, 80.0),
    "log": ("log", 1e-30, 1e30),
    "expm1": ("expm1", -30.0, 60.0),
    "log1p": ("log1p", -0.999, 1e20),
    "exprel": ("exprel", -60.0, 60.0),
    "sqrt": ("sqrt", 1e-30, 1e30),
    "rsqrt": ("rsqrt", 1e-30, 1e30),
    "sin": ("sin", -50.0, 50.0),
    "cos": ("cos", -50.0, 50.0),
    "tan": ("tan", -50.0, 50.0),
    "atan": ("atan", -1e5, 1e5),
    "erf": ("erf", -6.0, 6.0),
    "sigmoid": ("sigmoid", -80.0, 80.0),
    "tanh": ("tanh", -30.0, 30.0),
    "softplus": ("softplus", -80.0, 80.0),
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
    uniform = random.uniform(low, high, POINTS // 2)
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
def test_within_four_ulps(name: str, dtype: type[np.floating], functions: ModuleType) -> None:
    _, low, high = FUNCTIONS[name]
    x = points(low, high, dtype)
    node = functions.Functions(backend="fused")
    outputs = node(torch.from_numpy(x).reshape(1, 1, -1))
    found = outputs[list(FUNCTIONS).index(name)].reshape(-1).numpy()
    with mpmath.workdps(60):
        errors = [
            ulps(float(y), TRUTH[name](mpmath.mpf(float(a))), dtype)
            for a, y in zip(x, found, strict=True)
        ]
    worst = int(np.argmax(errors))
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
