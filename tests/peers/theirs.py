"""The peers' classes as functions of an input `[T, B, C]`, with surrogates that are ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

STEPS = 32

Run = Callable[[Tensor], tuple[Tensor, list[Tensor]]]
"""Input `[T, B, C]` -> output, and the parameters whose gradients are compared."""

# --- SpikingJelly 2.0.0 ---


def spikingjelly(
    name: str, *, params: bool = False, loop: bool = False, rect: bool = False, **given: Any
) -> Callable[[], Run]:
    """A class of theirs with its surrogate set to ours; `loop` for those that run single steps alone."""

    def make() -> Run:
        from spikingjelly.activation_based import neuron, surrogate

        if "surrogate_function" not in given and name != "STBIFNode":
            given["surrogate_function"] = surrogate.Rect() if rect else surrogate.ATan(alpha=2.0)
        mode = {} if name == "CUBALIFNode" else {"step_mode": "s" if loop else "m"}
        node = getattr(neuron, name)(**given, **mode)
        if name == "CUBALIFNode":
            node.step_mode = "m"
        state: dict[str, Any] = {"node": node}

        def run(x: Tensor) -> tuple[Tensor, list[Tensor]]:
            node = state["node"].to(x.dtype)
            x = x.detach() if name == "STBIFNode" else x  # theirs refuses autograd
            node.train()
            y = torch.stack([_first(node(row)) for row in x]) if loop else _first(node(x))
            return y, list(node.parameters()) if params else []

        return run

    return make


def _first(y: Any) -> Tensor:
    found: Tensor = y if isinstance(y, Tensor) else y[0]
    return found


def gated() -> Run:
    """Theirs takes images; its gates begin at random, ours at 0."""
    from spikingjelly.activation_based import neuron, surrogate

    node = neuron.GatedLIFNode(T=STEPS, inplane=1, surrogate_function=surrogate.ATan(alpha=2.0))
    for gate in (node.alpha, node.beta, node.gamma):
        nn.init.zeros_(gate)

    def run(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        node.to(x.dtype)
        y = node(x[:, :, None, :, None])[:, :, 0, :, 0]
        names = (
            "alpha",
            "beta",
            "gamma",
            "tau",
            "v_threshold",
            "linear_decay",
            "v_subreset",
            "conduct",
        )
        return y, [getattr(node, name) for name in names]

    return run


def integers() -> Run:
    """ILIFNode, its surrogate its own."""
    from spikingjelly.activation_based import neuron

    node = neuron.ILIFNode(step_mode="m")
    return lambda x: (node.to(x.dtype)(x), [])


# --- snnTorch 1.0.0 ---


def snntorch(name: str, **given: Any) -> Callable[[], Run]:
    """A class of theirs, a step at a time."""

    def make() -> Run:
        import snntorch
        from snntorch import surrogate

        node = getattr(snntorch, name)(
            **given, spike_grad=surrogate.atan(alpha=2.0), init_hidden=True
        )

        def run(x: Tensor) -> tuple[Tensor, list[Tensor]]:
            node.to(x.dtype)
            for buffer, value in list(node.named_buffers()):
                if value.dtype != x.dtype:
                    setattr(node, buffer, value.to(x.dtype))
            return torch.stack([node(row) for row in x]), []

        return run

    return make


# --- norse 1.1.0 ---


def norse_lsnn() -> Run:
    """lsnn_feed_forward_step in a loop."""
    from norse.torch.functional import lsnn

    def run(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        values = {k: torch.tensor(v, dtype=x.dtype) for k, v in _LSNN.items()}
        p = lsnn.LSNNParameters(**values, method="super", alpha=100.0)
        zero = torch.zeros_like(x[0])
        state = lsnn.LSNNFeedForwardState(v=zero, i=zero, b=zero + p.v_th)
        rows = []
        for row in x:
            z, state = lsnn.lsnn_feed_forward_step(row, state, p, dt=0.001)
            rows.append(z)
        return torch.stack(rows), []

    return run


def norse_li() -> Run:
    """li_box_feed_forward_step in a loop."""
    from norse.torch.functional import leaky_integrator_box as box

    def run(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        p = box.LIBoxParameters(
            torch.tensor(100.0, dtype=x.dtype), torch.tensor(0.0, dtype=x.dtype)
        )
        state = box.LIBoxState(torch.zeros_like(x[0]))
        rows = []
        for row in x:
            v, state = box.li_box_feed_forward_step(row, state, p, dt=0.001)
            rows.append(v)
        return torch.stack(rows), []

    return run


_LSNN = {
    "tau_syn_inv": 200.0,
    "tau_mem_inv": 100.0,
    "tau_adapt_inv": 1 / 800,
    "v_leak": 0.0,
    "v_th": 1.0,
    "v_reset": 0.0,
    "beta": 1.8,
}

# --- sinabs 3.1.3 ---


def sinabs(name: str, **given: Any) -> Callable[[], Run]:
    """A layer of theirs, `[B, T, …]`."""

    def make() -> Run:
        from sinabs import layers
        from sinabs.activation import MultiGaussian, SingleSpike

        def run(x: Tensor) -> tuple[Tensor, list[Tensor]]:
            more: dict[str, Any] = (
                {} if name == "ExpLeak" else {"surrogate_grad_fn": MultiGaussian()}
            )
            if given.get("spike_fn") == "SingleSpike":
                more["spike_fn"] = SingleSpike
            node = getattr(layers, name)(**{**given, **more}).to(x.dtype)
            return node(x.transpose(0, 1)).transpose(0, 1), []

        return run

    return make
