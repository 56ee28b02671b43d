"""`neurodsl bench`: fused kernels against the eager loop, other implementations, a ReLU and a copy, as ratios."""

from __future__ import annotations

from typing import Any

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from neurodsl.tools.bench.command import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
