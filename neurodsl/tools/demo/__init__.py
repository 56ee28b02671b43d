"""`neurodsl demo`: a neuron goes the whole way, from its equations to a network that reads handwritten digits.

`run` is the command; `train` gives the losses of the same training, for tests. Nothing heavy is imported before it is
known that all packages are there.
"""

from __future__ import annotations

from typing import Any

__all__ = ["run", "train"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from neurodsl.tools.demo.command import run

        return run
    if name == "train":
        from neurodsl.tools.demo.training import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
