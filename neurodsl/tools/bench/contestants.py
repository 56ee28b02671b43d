"""What is measured against what: the fused kernels, the eager loop, rivals, and two yardsticks on the same tensor."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from neurodsl.loading import class_of
from neurodsl.tools.bench.inputs import Given
from neurodsl.tools.bench.split import split_form
from neurodsl.tools.making import filled_in

PEERS = {"LIF": "LIFNode", "IF": "IFNode", "PLIF": "ParametricLIFNode"}
"""Library neurons and the SpikingJelly classes that they are named after."""

FUSED, REFERENCE, COMPILED, SPLIT = "fused", "reference", "torch.compile", "torch.compile, split"
SPIKINGJELLY, RELU, COPY = "SpikingJelly", "relu", "copy"


@dataclass(frozen=True, slots=True)
class Choice:
    """Who takes part besides the fused kernels and the yardsticks.

    `compiled` is torch.compile of the eager loop, which takes minutes to compile; `split` the form of
    `neurodsl.tools.bench.split`, for LIF only.
    """

    reference: bool = True
    peers: bool = True
    compiled: bool = False
    split: bool = False


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name and a fresh computation: `start` forgets states, `run` maps the inputs `[T, 1, N]` to one output."""

    name: str
    start: Callable[[], object]
    run: Callable[..., Tensor]
    compiles: bool = False
    """Whether the first call compiles."""

    def output(self, given: Given) -> Tensor:
        """What is made of the inputs that want a gradient."""
        return self.run(*given.wanting)

    def forward(self, given: Given) -> Tensor:
        """A forward pass without gradients."""
        self.start()
        with torch.no_grad():
            return self.run(*given.plain)

    def forward_backward(self, given: Given) -> object:
        """A forward and a backward pass to the inputs; the gradients are the caller's to drop."""
        self.start()
        output = self.run(*given.wanting)
        return torch.autograd.grad(output, given.wanting, given.upstream, allow_unused=True)


class Yardstick(Contestant):
    """One operation on the first input."""

    def output(self, given: Given) -> Tensor:
        """What is made of the first input."""
        return self.run(given.wanting[0])

    def forward(self, given: Given) -> Tensor:
        """A forward pass without gradients."""
        with torch.no_grad():
            return self.run(given.plain[0])

    def forward_backward(self, given: Given) -> object:
        """A forward and a backward pass to the first input."""
        output = self.run(given.wanting[0])
        return torch.autograd.grad(output, given.wanting[:1], given.upstream)


class Copy(Yardstick):
    """A plain copy of the input; going forward and backward is two of them."""

    def forward_backward(self, given: Given) -> object:
        """One copy of the input, one of the gradient."""
        with torch.no_grad():
            return torch.clone(given.plain[0]), torch.clone(given.upstream)


def contestants(
    module: Any, neuron: str, *, choice: Choice, steps: int, neurons: int, dtype: torch.dtype
) -> list[Contestant]:
    """All that this machine has, for inputs `[steps, 1, neurons]`; the fused kernels come first."""
    found = [fused(module, neuron, steps, neurons)]
    if choice.reference:
        found.append(of_module(REFERENCE, made(module, neuron, "reference", steps, neurons)))
    if choice.compiled:
        found.append(torch_compiled(made(module, neuron, "reference", steps, neurons)))
    if neuron == "LIF" and choice.split:
        found.append(Contestant(SPLIT, _nothing, split_form(), compiles=True))
    if choice.peers and neuron in PEERS and find_spec("spikingjelly"):
        found += spikingjelly(PEERS[neuron], dtype)
    return [*found, *yardsticks()]


def fused(module: Any, neuron: str, steps: int, neurons: int) -> Contestant:
    """Our kernels."""
    return of_module(FUSED, made(module, neuron, "fused", steps, neurons))


def yardsticks() -> list[Contestant]:
    """A ReLU and a copy."""
    return [Yardstick(RELU, _nothing, torch.relu), Copy(COPY, _nothing, torch.clone)]


def made(module: Any, neuron: str, backend: str, steps: int, neurons: int) -> Any:
    """A node with its defaults."""
    manifest = module.__manifest__["neurons"][neuron]
    return class_of(module, neuron)(backend=backend, **filled_in(manifest, steps, neurons))


def of_module(name: str, node: Any) -> Contestant:
    """A multi-step module with a `reset()`; its first output counts."""
    return Contestant(name, node.reset, lambda *inputs: _first(node(*inputs)))


def torch_compiled(reference: Any) -> Contestant:
    """The eager loop through torch.compile, backward by its own autograd; the surrogates break its graph."""
    step = torch.compile(lambda *inputs: reference.functional(inputs)[0][0], dynamic=False)
    return Contestant(COMPILED, _nothing, step, compiles=True)


def spikingjelly(name: str, dtype: torch.dtype = torch.float32) -> list[Contestant]:
    """A neuron of SpikingJelly, multi-step, with our surrogate and its defaults for the rest; none if it is broken."""
    try:
        from spikingjelly.activation_based import neuron, surrogate
    except ImportError as problem:  # installed without what it imports, such as loguru
        print(f"SpikingJelly is left out: {problem}", file=sys.stderr)
        return []
    node = getattr(neuron, name)(step_mode="m", surrogate_function=surrogate.ATan(alpha=2.0))
    return [of_module(SPIKINGJELLY, node.to(dtype))]


def _first(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _nothing() -> None:
    pass
