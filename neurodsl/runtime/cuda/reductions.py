"""How the gradients of params are added up: in a fixed order, or by atomic additions, as the user chooses."""

from __future__ import annotations

import os

import torch

VARIABLE = "NEURODSL_ATOMIC_GRADIENTS"


class _Choice:
    atomic: bool | None = None
    """None: as the environment says."""


def use_atomic_gradients(wanted: bool = True) -> None:
    """Let CUDA kernels add to the gradients of params by atomic additions instead of in two stages.

    That saves a second, small kernel a backward pass; the sums' last bits then differ from run to run. It holds for
    params without a shape, and not under `torch.use_deterministic_algorithms(True)`.

    Args:
        wanted: False goes back to sums in a fixed order, the default. NEURODSL_ATOMIC_GRADIENTS=1 sets it too.
    """
    _Choice.atomic = wanted


def atomic_gradients() -> bool:
    """Whether atomic additions are asked for and allowed."""
    chosen = _Choice.atomic
    if chosen is None:
        chosen = os.environ.get(VARIABLE, "") not in ("", "0")
    return chosen and not torch.are_deterministic_algorithms_enabled()
