"""Modules of any neuron with its defaults, for tools that run what they are given: sizes and feedbacks filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Neighbours(nn.Module):
    """What stands in for the module of a feedback: each neuron hears its neighbours; always the same weights."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, s: Tensor) -> Tensor:
        """The last dimension is the line that they stand in."""
        y: Tensor = self.layer(s.reshape(-1, 1, s.shape[-1]))
        return y.reshape(s.shape)


def filled_in(manifest: Mapping[str, Any], steps: int, neurons: int) -> dict[str, Any]:
    """Keywords that a neuron's constructor wants besides its params, for inputs `[steps, B, neurons]`."""
    keywords: dict[str, Any] = {}
    if any(param["shape"] != "scalar" for param in manifest["params"]):
        keywords |= {"channels": neurons, "neurons": (neurons,), "steps": steps}
    for fed in manifest.get("feedback", ()):
        keywords[fed["name"]] = Neighbours()
    return keywords
