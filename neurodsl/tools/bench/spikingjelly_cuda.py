"""SpikingJelly's implementations on a GPU: which of its native, Triton and PyTorch kernels a call takes.

SpikingJelly 2.0.0 has no `backend` argument: each of its operators chooses once a process and device, by an environment
variable that it read when it was imported. For all of them in one process the choice is made here, in the attribute
that holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from neurodsl.tools.bench.contestants import PEERS, SPIKINGJELLY, Contestant, of_module

OPERATORS = {"LIF": "lif", "IF": "if_", "PLIF": "plif"}
"""Library neurons and the operators that SpikingJelly runs for the class of the same name."""

IMPLEMENTATIONS = {
    "cuda": f"{SPIKINGJELLY} native",
    "triton": f"{SPIKINGJELLY} Triton",
    "torch": f"{SPIKINGJELLY} PyTorch",
}
"""SpikingJelly's word, and ours."""

Left = Callable[[str], object]
"""Is told who is left out, and why."""


def on_cuda(neuron: str, device: torch.device, dtype: torch.dtype, left: Left) -> list[Contestant]:
    """A contestant for each implementation that runs here; the reasons why others do not go to `left`."""
    if neuron not in PEERS:
        return []
    if find_spec("spikingjelly") is None:
        left(f"{SPIKINGJELLY} is left out: pip install spikingjelly==2.0.0")
        return []
    try:
        operator = import_module(f"spikingjelly._ops.{OPERATORS[neuron]}")
        selection = operator._selection
    except (ImportError, AttributeError) as problem:
        left(f"{SPIKINGJELLY} is left out, it is not as in 2.0.0: {problem}")
        return []
    return list(_each(neuron, selection, device, dtype, left))


def _each(
    neuron: str, selection: Any, device: torch.device, dtype: torch.dtype, left: Left
) -> Iterator[Contestant]:
    index = device.index or 0
    for word, name in IMPLEMENTATIONS.items():
        try:
            chosen = select(selection, word, index)
        except (RuntimeError, ImportError, OSError) as problem:
            left(f"{name} is left out: {first_line(problem)}")
            continue
        node = _node(neuron, device, dtype)
        yield of_choice(name, node, selection, index, chosen)


def select(selection: Any, word: str, index: int) -> Any:
    """What SpikingJelly's own choice comes to where one implementation is asked for.

    Raises:
        RuntimeError: it is not there; the text says why.
    """
    before = selection._requested
    selection._requested = word
    try:
        return selection._select(index)
    finally:
        selection._requested = before


def of_choice(name: str, node: Any, selection: Any, index: int, chosen: Any) -> Contestant:
    """A contestant that puts its choice in place whenever it starts."""
    plain = of_module(name, node)

    def start() -> None:
        selection._selections[index] = chosen
        plain.start()

    return Contestant(name, start, plain.run)


def first_line(problem: Exception) -> str:
    """What an exception says, in a line."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def _node(neuron: str, device: torch.device, dtype: torch.dtype) -> Any:
    from spikingjelly.activation_based import neuron as theirs
    from spikingjelly.activation_based import surrogate

    made = getattr(theirs, PEERS[neuron])(
        step_mode="m", surrogate_function=surrogate.ATan(alpha=2.0)
    )
    return made.to(device=device, dtype=dtype)
