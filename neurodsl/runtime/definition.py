"""What a generated class says of its neuron: names, params, and where its manifest is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neurodsl.runtime.manifest import Manifest
from neurodsl.runtime.params import Param


@dataclass(frozen=True, slots=True)
class Definition:
    """What a generated class says of its neuron."""

    manifest: Manifest
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]
    params: tuple[Param, ...]
    recordable: tuple[str, ...]
    initial: Callable[..., tuple[Any, ...]]
    uniforms: Callable[..., tuple[Any, ...]]
    timed: bool = False
    """Whether its equations read the time: only then are steps counted, which `torch.compile` compiles anew for."""
