"""Who takes part: our neurons in four ways, and SpikingJelly's in two, where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from torch import nn

import neurodsl
from neurodsl.tools.spike_memory.networks import LIF, Block, Network, build, directly, spikes


@dataclass(frozen=True, slots=True)
class Contestant:
    """`make(network)` builds it; a forward pass runs in `block()`; `forget(model)` resets its states."""

    label: str
    make: Callable[[str], Network]
    forget: Callable[[nn.Module], None]
    block: Callable[[], AbstractContextManager[Any]] = nullcontext
    peer: bool = False

    @property
    def compresses(self) -> bool:
        """Whether it runs in `compress_spikes()`."""
        return self.block is not nullcontext


def contestants() -> dict[str, Contestant]:
    """By short name, in the table's order, peers that are not installed among them."""
    return {
        "reference": Contestant("eager reference", _reference, _reset),
        "jelly": Contestant(f"SpikingJelly {_version()}", _jelly, _reset_jelly, peer=True),
        "memopt": Contestant("SpikingJelly, memopt level 1", _memopt, _reset_jelly, peer=True),
        "plain": Contestant("neurodsl", _plain, _reset),
        "bits": Contestant("neurodsl, compress_spikes()", _plain, _reset, neurodsl.compress_spikes),
        "checkpoint": Contestant(
            "neurodsl, compress_spikes() and checkpoint()",
            _checkpointed,
            _reset,
            neurodsl.compress_spikes,
        ),
    }


def is_installed(contestant: Contestant) -> bool:
    """Whether it can take part here."""
    return not contestant.peer or importlib.util.find_spec("spikingjelly") is not None


def _version() -> str:
    return version("spikingjelly") if importlib.util.find_spec("spikingjelly") else "(not found)"


def _plain(name: str) -> Network:
    return build(name, partial(neurodsl.library.LIF, **LIF, backend="fused"), directly)


def _reference(name: str) -> Network:
    return build(name, partial(neurodsl.library.LIF, **LIF, backend="reference"), directly)


def _checkpointed(name: str) -> Network:
    neuron = partial(neurodsl.library.LIF, **LIF, backend="fused")
    return build(name, neuron, neurodsl.checkpoint)


def _jelly(name: str) -> Network:
    from spikingjelly.activation_based import neuron, surrogate

    made = partial(neuron.LIFNode, **LIF, surrogate_function=surrogate.ATan(), step_mode="m")
    return build(name, made, directly)


def _memopt(name: str) -> Network:
    """Level 1: every block checkpointed, its input as bits. Levels 2 to 4 measure on CUDA and do not run without it."""
    from spikingjelly.activation_based.memopt import optimize_memory

    network = _jelly(name)
    example = spikes(name, steps=4, batch=2)
    optimize_memory(network, (Block,), lambda model: model(example), level=1, compress=True)
    _reset_jelly(network)
    return network


def _reset(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "detach_states"):
            module.reset()  # type: ignore[operator]


def _reset_jelly(model: nn.Module) -> None:
    from spikingjelly.activation_based import functional

    functional.reset_net(model)
