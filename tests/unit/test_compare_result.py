"""When a comparison fails: spikes, values, what is tolerated, and how near the threshold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from neurodsl.tools.compare.margins import spike_arguments
from neurodsl.tools.compare.result import Difference, difference, is_spikes


def spikes(*fired: int, of: int = 100) -> Tensor:
    made = torch.zeros(of)
    made[list(fired)] = 1
    return made


def compared(
    found: Tensor, reference: Tensor, *, inexact: bool, margin: float | None
) -> Difference:
    margins = None if margin is None else torch.full(reference.shape, margin)
    return difference(
        "fused", "output 0", "value", found, reference, inexact=inexact, margins=margins
    )


@pytest.mark.parametrize(
    ("found", "inexact", "margin", "passes"),
    [
        (spikes(1, 2, 3), False, None, True),
        (spikes(1, 2), False, None, False),
        (spikes(1, 2), False, 0.0, False),
        (spikes(1, 2), True, 1e-6, True),
        (spikes(1, 2), True, 1e-4, False),
        (spikes(1, 2), True, None, False),
        (spikes(1), True, 1e-6, False),
        (spikes(1, 2, 3) * float("nan"), True, 1e-6, False),
    ],
)
def test_spikes(found: Tensor, inexact: bool, margin: float | None, passes: bool) -> None:
    """One in a million may differ where functions are inexact, and only near the threshold."""
    row = compared(found, spikes(1, 2, 3), inexact=inexact, margin=margin)
    assert row.passed is passes


def test_whole_numbers_are_spikes() -> None:
    assert is_spikes(torch.tensor([0.0, 1.0]))
    assert is_spikes(torch.tensor([-1.0, 3.0]))
    assert not is_spikes(torch.tensor([0.0, 0.5]))
    assert not is_spikes(torch.zeros(3))


def test_arguments_of_spikes_are_overheard() -> None:
    from neurodsl.library import TernaryIF

    x = torch.tensor([[[0.4, 1.5]], [[0.1, 0.2]]])
    with spike_arguments() as heard:
        TernaryIF(backend="reference")(x)
    expected = [[-0.6, 0.5], [-1.4, -2.5], [-0.5, -0.8], [-1.5, -1.2]]
    torch.testing.assert_close(torch.cat(heard), torch.tensor(expected))
    TernaryIF(backend="reference")(x)
    assert len(heard) == 4
