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
    feedbacks: tuple[tuple[str, str], ...] = ()
    """(what a step reads, what the last step gives a module to make it of)."""
    noises: tuple[tuple[str, str], ...] = ()
    """(name, kind) of what is drawn for each neuron and step."""
    timed: bool = False
    """Whether its equations read the time: only then are steps counted, which `torch.compile` compiles anew for."""
    attributes: tuple[str, ...] = ()
    """What the states are called on the module, if not all by their own names: those may be taken there."""

    @property
    def state_attributes(self) -> tuple[str, ...]:
        """The module's attributes that hold the states."""
        return self.attributes or self.states

    @property
    def read(self) -> tuple[str, ...]:
        """What a step is given: the inputs, then what is fed back."""
        return (*self.inputs, *(name for name, _ in self.feedbacks))

    @property
    def written(self) -> tuple[str, ...]:
        """What a step gives: the outputs, then what is fed back and is none."""
        sources = dict.fromkeys(source for _, source in self.feedbacks)
        return (*self.outputs, *(name for name in sources if name not in self.outputs))
