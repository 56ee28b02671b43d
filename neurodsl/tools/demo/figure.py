"""The demo's picture: how accuracy grew, and what the neurons do while one image is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neurodsl.tools.demo.images import bernoulli_code, generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from neurodsl.tools.demo.network import DigitsNetwork

SHOWN_STEPS = 40
"""Time steps in the picture: more than in training, so that rates can be seen."""
TRACES = 4
RASTER = 60


@dataclass(frozen=True, slots=True)
class Trace:
    """One image's passage: the image `[H, W]`, membrane potentials and spikes `[T, N]` of the first layer."""

    image: Tensor
    label: int
    told: int
    membrane: Tensor
    spikes: Tensor


@torch.no_grad()
def trace(network: DigitsNetwork, image: Tensor, label: int, seed: int) -> Trace:
    """Show one image `[1, H, W]` to a network whose neurons record `v`."""
    network.eval()
    seen: list[Tensor] = []
    hook = network.first_neurons.register_forward_hook(lambda *call: seen.append(call[2]))
    weight = network.readout.weight
    code = bernoulli_code(image.unsqueeze(0), SHOWN_STEPS, generator(seed)).to(weight.dtype)
    told = int(network(code).argmax())
    hook.remove()
    membrane: Tensor = network.first_neurons.v_seq  # type: ignore[assignment]
    return Trace(image[0], label, told, membrane.flatten(1), seen[0].flatten(1))


def draw(
    path: Path, accuracies: Sequence[float], losses: Sequence[float], shown: Trace, threshold: float
) -> None:
    """Write the PNG. No display is needed, and pyplot's global state is not touched."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    axes = figure.subplot_mosaic(
        [["learning", "image"], ["membrane", "raster"]], width_ratios=[3, 2]
    )
    _draw_learning(axes["learning"], accuracies, losses)
    _draw_image(axes["image"], shown)
    _draw_membrane(axes["membrane"], shown, threshold)
    _draw_raster(axes["raster"], shown)
    figure.savefig(path, dpi=120)


def _draw_learning(axes: Axes, accuracies: Sequence[float], losses: Sequence[float]) -> None:
    epochs = range(1, len(accuracies) + 1)
    axes.plot(epochs, accuracies, marker="o", markersize=3, color="tab:blue")
    axes.set(title=f"test accuracy: {accuracies[-1]:.1f} %", xlabel="epoch", ylabel="accuracy (%)")
    axes.grid(alpha=0.3)
    loss_axes = axes.twinx()
    each_batch = [len(accuracies) * (batch + 1) / len(losses) for batch in range(len(losses))]
    loss_axes.plot(each_batch, losses, color="tab:gray", linewidth=0.7, alpha=0.7)
    loss_axes.set(ylabel="training loss", ylim=(0, None))


def _draw_image(axes: Axes, shown: Trace) -> None:
    axes.imshow(shown.image.numpy(), cmap="gray_r")
    axes.set(title=f"test image: a {shown.label}, read as a {shown.told}", xticks=[], yticks=[])


def _draw_membrane(axes: Axes, shown: Trace, threshold: float) -> None:
    busiest = shown.spikes.sum(0).argsort(descending=True, stable=True)
    # Neurons that fire at each step show no membrane worth seeing: take some from the middle of those that fire.
    firing = busiest[: max(TRACES, int((shown.spikes.sum(0) > 0).sum()))]
    chosen = firing[:: max(1, len(firing) // TRACES)][:TRACES]
    steps = range(len(shown.membrane))
    for place, neuron in enumerate(chosen.tolist()):
        axes.plot(steps, shown.membrane[:, neuron].numpy(), linewidth=1.2, color=f"C{place}")
        fired = shown.spikes[:, neuron].nonzero().flatten()
        axes.plot(fired, [threshold] * len(fired), "|", color=f"C{place}", markersize=9)
    axes.axhline(threshold, color="black", linewidth=0.8, linestyle="--")
    axes.set(
        title="membrane potential v after each step (marks: spikes)", xlabel="time step", ylabel="v"
    )


def _draw_raster(axes: Axes, shown: Trace) -> None:
    busiest = shown.spikes.sum(0).argsort(descending=True, stable=True)[: RASTER * 4 : 4]
    when, which = shown.spikes[:, busiest].nonzero(as_tuple=True)
    axes.scatter(when, which, s=5, marker="|", color="black", linewidths=1)
    axes.set(title="spikes of the first layer", xlabel="time step", ylabel="neuron")
