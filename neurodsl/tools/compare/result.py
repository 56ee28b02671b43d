"""What a comparison found: a row for each quantity and each back end, and whether all are within tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TOLERANCES = {
    "float32": {"value": 1e-5, "gradient": 1e-5, "scalar gradient": 1e-4},
    "float64": {"value": 1e-10, "gradient": 1e-10, "scalar gradient": 1e-10},
}
"""Allowed differences, relative to the norm of the reference. Spikes must be equal."""


LEVELS = 16
"""What counts as a spike: 0 and 1, -1, and the levels of integer-valued neurons."""


NEAR = 1e-5
"""How near the threshold a spike has to be to differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One quantity of one contestant against the reference.

    `error` is the largest absolute difference, `relative` the norm of the difference by the norm of the reference,
    `allowed` what `relative` may be. Spikes are counted, and none may differ: `spikes` of `of`.
    """

    contestant: str
    quantity: str
    error: float
    relative: float
    allowed: float
    spikes: int | None = None
    of: int | None = None
    tolerated: int = 0
    """Spikes that may differ: none where the forward step is the same to the bit everywhere, else 1 in 10^6."""
    margin: float = 0.0
    """How far from the threshold the spikes that differ were at the most, in the reference, relative to the scale of
    what is compared with it.
    """

    @property
    def passed(self) -> bool:
        """Whether the difference is within tolerance (NaN is not)."""
        if self.spikes:
            return self.spikes <= self.tolerated and self.margin <= NEAR
        return self.relative <= self.allowed


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """All differences of one neuron, the input they were found on, and what to know when reading them."""

    neuron: str
    steps: int
    neurons: int
    dtype: str
    seed: int
    firing_rate: float | None
    """Spikes a neuron-step in the reference; None if no output is spikes."""
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every difference is within tolerance."""
        return all(difference.passed for difference in self.differences)

    def of(self, contestant: str) -> tuple[Difference, ...]:
        """One contestant's rows."""
        return tuple(row for row in self.differences if row.contestant == contestant)

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        rows = [
            {
                "contestant": row.contestant,
                "quantity": row.quantity,
                "spikes_that_differ": row.spikes,
                "spikes_compared": row.of,
                "distance_from_threshold": row.margin if row.spikes else None,
                "largest_error": row.error,
                "relative_error": row.relative,
                "allowed": row.allowed,
                "passed": row.passed,
            }
            for row in self.differences
        ]
        return {
            "neuron": self.neuron,
            "steps": self.steps,
            "neurons": self.neurons,
            "dtype": self.dtype,
            "seed": self.seed,
            "firing_rate": self.firing_rate,
            "passed": self.passed,
            "differences": rows,
        }


def difference(
    contestant: str,
    quantity: str,
    kind: str,
    found: Tensor,
    reference: Tensor,
    *,
    inexact: bool = False,
    margins: Tensor | None = None,
) -> Difference:
    """Hold one tensor against its reference. NaN and infinities equal themselves.

    Args:
        contestant: whose the tensor is.
        quantity: what it is.
        kind: of tolerance.
        found: the tensor.
        reference: what it should be.
        inexact: whether the neuron calls functions that are not the same to the bit everywhere.
        margins: for each value of an output, how far from the threshold the reference was.
    """
    allowed = TOLERANCES[str(reference.dtype).removeprefix("torch.")][kind]
    found, reference = found.detach().cpu().double(), reference.detach().cpu().double()
    if found.shape != reference.shape:
        return Difference(contestant, quantity, float("inf"), float("inf"), allowed)
    same = (found == reference) | (found.isnan() & reference.isnan())
    apart = torch.where(same, 0.0, found - reference)
    size = torch.where(reference.isfinite(), reference, 0.0).norm().item()
    error = apart.abs().max().item() if apart.numel() else 0.0
    relative = apart.norm().item() / size if size else (0.0 if not error else float("inf"))
    counts: tuple[int, int] | tuple[None, None] = (None, None)
    if is_spikes(reference):
        counts = (int((~same).sum()), reference.numel())
    if kind != "value":
        counts = (None, None)
    tolerated = -(-reference.numel() // 10**6) if inexact else 0
    return Difference(
        contestant,
        quantity,
        error,
        relative,
        allowed,
        counts[0],
        counts[1],
        tolerated,
        _largest(margins, same),
    )


def _largest(margins: Tensor | None, same: Tensor) -> float:
    """Of the values that differ; infinite where nothing is known of them."""
    if bool(same.all()):
        return 0.0
    return float("inf") if margins is None else margins[~same].max().item()


def is_spikes(output: Tensor) -> bool:
    """Whether all values are small whole numbers, and some are not 0."""
    whole = (output == output.round()) & (output.abs() <= LEVELS)
    return bool(whole.all()) and bool((output != 0).any())
