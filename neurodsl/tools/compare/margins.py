"""What the spikes of a reference compare with 0, overheard while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from neurodsl.runtime import functions


@contextmanager
def spike_arguments() -> Iterator[list[Tensor]]:
    """The argument of each spike of each step that a reference runs meanwhile, in order."""
    heard: list[Tensor] = []
    spike = functions.spike

    def listening(u: Tensor, *more: Any) -> Any:
        heard.append(u.detach())
        return spike(u, *more)

    functions.spike = listening  # type: ignore[assignment]
    try:
        yield heard
    finally:
        functions.spike = spike
