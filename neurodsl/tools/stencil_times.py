"""`python -m neurodsl.tools.stencil_times`: lateral coupling as a stencil, as a loop, and in eager PyTorch.

A hook on the convolution makes the runtime call it, which is the loop of single-step kernels. The three take turns; the
figures are medians of 5 calls after one to warm up.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch import Tensor, nn

from neurodsl.library import LISNN

SHAPES = ((20, 50, 32, 28, 28), (20, 50, 32, 14, 14), (8, 16, 64, 32, 32))
ROUNDS = 5


def _module(kind: str, channels: int) -> nn.Module:
    torch.manual_seed(0)
    coupling = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)
    if kind == "loop":
        coupling.register_forward_hook(lambda *_: None)
    node: nn.Module = LISNN(y=coupling, backend="reference" if kind == "eager" else "fused")
    return node


def _call(node: nn.Module, x: Tensor) -> tuple[float, float]:
    """Seconds of the forward pass, and of both."""
    node.reset()  # type: ignore[operator]
    x = x.detach().requires_grad_()
    start = time.perf_counter()
    spikes = node(x)
    middle = time.perf_counter()
    spikes.sum().backward()
    return middle - start, time.perf_counter() - start


def main() -> None:
    """Print one table."""
    lines = ["| [T, B, C, H, W] | | forward | forward + backward |", "| --- | --- | ---: | ---: |"]
    for shape in SHAPES:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.5
        nodes = {kind: _module(kind, shape[2]) for kind in ("stencil", "loop", "eager")}
        times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in nodes}
        for turn in range(ROUNDS + 1):
            for kind, node in nodes.items():
                taken = _call(node, x)
                if turn:
                    times[kind].append(taken)
        base = [statistics.median(t[k] for t in times["stencil"]) for k in (0, 1)]
        for kind, taken_all in times.items():
            middle = [statistics.median(t[k] for t in taken_all) for k in (0, 1)]
            shown = [f"{1000 * m:.0f} ms, {m / b:.1f}" for m, b in zip(middle, base, strict=True)]
            label = " × ".join(map(str, shape)) if kind == "stencil" else ""
            lines.append(f"| {label} | {kind} | {shown[0]} | {shown[1]} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
