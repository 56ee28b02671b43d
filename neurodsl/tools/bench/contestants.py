"""What is measured against what: the fused kernels, the eager loop, peers, and two yardsticks on the same tensor."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from neurodsl.tools.making import filled_in

PEERS = {"LIF": "LIFNode", "IF": "IFNode", "PLIF": "ParametricLIFNode"}
"""Library neurons and the SpikingJelly classes that they are named after."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name and a fresh computation: `start` forgets states, `run` maps the inputs `[T, N]` to one output."""

    name: str
    start: Callable[[], object]
    run: Callable[..., Tensor]

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """A forward pass without gradients."""
        self.start()
        with torch.no_grad():
            return self.run(*inputs)

    def output(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """What is made of the inputs."""
        return self.run(*inputs)

    def forward_backward(self, inputs: tuple[Tensor, ...], upstream: Tensor) -> object:
        """A forward and a backward pass to the inputs."""
        self.start()
        return torch.autograd.grad(self.run(*inputs), inputs, upstream, allow_unused=True)


def contestants(
    module: Any, neuron: str, *, compiled: bool, steps: int, neurons: int
) -> list[Contestant]:
    """All that this machine has, for inputs `[steps, 1, neurons]`.

    `compiled` adds torch.compile of the eager loop, which takes minutes to compile.
    """
    manifest = module.__manifest__["neurons"][neuron]

    def made(backend: str) -> Any:
        return getattr(module, neuron)(backend=backend, **filled_in(manifest, steps, neurons))

    found = [of_module("fused", made("fused")), of_module("reference", made("reference"))]
    if compiled:
        found.append(torch_compiled(made("reference")))
    if neuron in PEERS and find_spec("spikingjelly"):
        found += spikingjelly(PEERS[neuron])
    return [*found, Yardstick("relu", _nothing, torch.relu), Copy("copy", _nothing, torch.clone)]


class Yardstick(Contestant):
    """One operation on the first input."""

    def output(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """What is made of the first input."""
        return self.run(inputs[0])

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """A forward pass without gradients."""
        with torch.no_grad():
            return self.run(inputs[0])

    def forward_backward(self, inputs: tuple[Tensor, ...], upstream: Tensor) -> object:
        """A forward and a backward pass to the input."""
        return torch.autograd.grad(self.run(inputs[0]), inputs[0], upstream)


class Copy(Yardstick):
    """A plain copy of the input; going forward and backward is two of them."""

    def forward_backward(self, inputs: tuple[Tensor, ...], upstream: Tensor) -> object:
        """One copy of the input, one of the gradient."""
        with torch.no_grad():
            return torch.clone(inputs[0]), torch.clone(upstream)


def of_module(name: str, node: Any) -> Contestant:
    """A multi-step module with a `reset()`; its first output counts."""
    return Contestant(name, node.reset, lambda *inputs: _first(node(*inputs)))


def torch_compiled(reference: Any) -> Contestant:
    """The eager loop through torch.compile."""
    step = torch.compile(lambda *inputs: reference.functional(inputs)[0][0])
    return Contestant("torch.compile", _nothing, step)


def spikingjelly(name: str) -> list[Contestant]:
    """A neuron of SpikingJelly, multi-step, with our surrogate and its defaults for the rest; none if it is broken."""
    try:
        from spikingjelly.activation_based import neuron, surrogate
    except ImportError as problem:  # installed without what it imports, such as loguru
        print(f"SpikingJelly is left out: {problem}", file=sys.stderr)
        return []
    node = getattr(neuron, name)(step_mode="m", surrogate_function=surrogate.ATan(alpha=2.0))
    return [of_module("SpikingJelly", node)]


def _first(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _nothing() -> None:
    pass
