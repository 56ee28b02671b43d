"""`checkpoint`: a part of a network keeps its inputs alone; backward runs it again, from the states it began with."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint as pytorch_checkpoint

from neurodsl.memory.aside import BuffersAside, put_states, states_of


def checkpoint(module: nn.Module, *inputs: Any, **keywords: Any) -> Any:
    """`module(*inputs, **keywords)`, without keeping what its layers want for backward.

    `torch.utils.checkpoint` alone would run neurons again from the states that they ended with, and batch norms
    would count the batch twice. Here neurons begin again where they began, and states and buffers are left alone.
    Under `compress_spikes()`, inputs that are spikes are kept as bits.

    Args:
        module: a part of a network: anything between the whole and a layer; the neurons in it are ours.
        inputs: what it is called with.
        keywords: the same, by name.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"checkpoint takes a module, whose states it can see; not {type(module)!r}")
    begun = states_of(module)

    def contexts() -> tuple[Any, Any]:
        return nullcontext(), _Again(module, begun)

    return pytorch_checkpoint(module, *inputs, use_reentrant=False, context_fn=contexts, **keywords)


class _Again:
    """The block in which backward runs a module again."""

    def __init__(self, module: nn.Module, begun: Any) -> None:
        self._module, self._begun = module, begun
        self._stack = ExitStack()

    def __enter__(self) -> None:
        self._stack.callback(put_states, states_of(self._module))
        self._stack.enter_context(BuffersAside(self._module))
        put_states(self._begun)

    def __exit__(self, *_error: object) -> None:
        self._stack.close()
