"""Property: eager PyTorch and the compiled C++ give the same bits for whatever the language promises it for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from numerics.random_programs import programs
from torch import Tensor

import neurodsl

SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, float("inf"), float("-inf"), float("nan"), 1e-40, 3e38)
STEPS, NEURONS = 3, 130 + len(SPECIAL)


def profile(examples: int) -> settings:
    """The same programs in every run."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )


def values(dtype: torch.dtype, seed: int) -> Tensor:
    """Normal numbers of several sizes, and special ones in every step, shifted so that they meet each other."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(STEPS, 1, NEURONS, generator=generator, dtype=torch.float64)
    x *= 10.0 ** torch.randint(-3, 3, x.shape, generator=generator)
    for step in range(STEPS):
        x[step, 0, : len(SPECIAL)] = torch.tensor(SPECIAL).double().roll((seed + 1) * step)
    return x.to(dtype)


def same_bits(found: Tensor, expected: Tensor) -> bool:
    both_nan = found.isnan() & expected.isnan()
    bits = torch.int32 if found.dtype is torch.float32 else torch.int64
    return bool(((found.view(bits) == expected.view(bits)) | both_nan).all())


def check(text: str, learnable: tuple[str, ...], dtype: torch.dtype) -> None:
    module = neurodsl.load(text)
    inputs = (values(dtype, 1), values(dtype, 2))
    initial = (values(dtype, 3)[0], values(dtype, 4)[0])
    found, expected = (
        module.Random(backend=backend, learnable=learnable).to(dtype).functional(inputs, initial)
        for backend in ("fused", "reference")
    )
    names = [f"o{place}" for place in range(len(found[0]))] + ["v", "w"]
    for name, a, b in zip(names, (*found[0], *found[1]), (*expected[0], *expected[1]), strict=True):
        assert same_bits(a.detach(), b.detach()), (
            f"{name} differs ({dtype}, {learnable}) in\n{text}"
        )


def run(text: str) -> None:
    for dtype in (torch.float32, torch.float64):
        check(text, (), dtype)
    check(text, ("p", "q"), torch.float32)


@profile(12)
@given(programs())
def test_same_bits(text: str) -> None:
    run(text)


@pytest.mark.full
@profile(400)
@given(programs())
def test_same_bits_of_many(text: str) -> None:
    run(text)
