"""Data-parallel training of a spiking network, with DDP or FSDP2, on several GPUs or on the cores of one machine.

    torchrun --standalone --nproc-per-node 2 examples/ddp.py            # two processes: NCCL on GPUs, gloo on a CPU
    torchrun --standalone --nproc-per-node 2 examples/ddp.py --fsdp     # the same with sharded parameters
    torchrun --standalone --nproc-per-node 2 examples/ddp.py --compare  # ten steps, then the same ones in one process
    python examples/ddp.py --quick                                      # one process, a few seconds

Scikit-learn's digits, each shown as a constant current for T steps, pass through a layer of LIF and a layer of PLIF
neurons with learnable time constants. Every process takes its share of each batch and has the states of its own
neurons; parameters and gradients are common. There is no batch normalisation, which would see the shares only, so the
losses are those of one process with the whole batches: --compare shows it in float64.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import track
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from neurodsl import replicate_scalars
from neurodsl.library import LIF, PLIF

PIXELS, DIGITS, TRAIN, CURRENT = 64, 10, 1500, 8.0
TOLERANCE = 1e-9
"""Of --compare: how far a loss may be from that of one process, in float64."""

Images = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Ranks:
    """This process among all: its number, how many there are, and its device."""

    rank: int
    count: int
    device: torch.device

    def share(self, rows: Tensor) -> Tensor:
        """The rows of a batch, or of the test images, that this process works on."""
        return rows[self.rank :: self.count]

    def mean(self, value: Tensor) -> float:
        """The mean over all processes."""
        total = value.detach().clone()
        dist.all_reduce(total)
        return total.item() / self.count


class Network(nn.Module):
    """Linear - LIF - linear - PLIF - linear: currents `[T, B, 64]` in, scores `[B, 10]` out."""

    def __init__(self, hidden: int, backend: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(PIXELS, hidden),
            LIF(learnable=("tau",), backend=backend),
            nn.Linear(hidden, hidden),
            PLIF(v_threshold=0.25, backend=backend),
            nn.Linear(hidden, DIGITS),
        )

    def forward(self, currents: Tensor) -> Tensor:
        """The readout's mean over time; every batch starts from rest, whatever this process had before."""
        for layer in self.layers:
            if hasattr(layer, "reset"):
                layer.reset()
        scores: Tensor = self.layers(currents).mean(0)
        return scores


def start_ranks(device: str) -> Ranks:
    """Join the processes that torchrun has started; without torchrun, be the only one."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    backend = "gloo"
    place = torch.device(device)
    if device == "cuda":
        backend, place = "nccl", torch.device("cuda", local)
        torch.cuda.set_device(place)
    if "RANK" in os.environ:
        dist.init_process_group(backend)
    else:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    return Ranks(dist.get_rank(), dist.get_world_size(), place)


def new_network(options: argparse.Namespace, ranks: Ranks) -> Network:
    """A network whose first weights depend on the seed alone."""
    torch.manual_seed(options.seed)
    network = Network(options.hidden, options.backend)
    return network.to(ranks.device, torch.float64 if options.double else torch.float32)


def distributed(network: Network, options: argparse.Namespace, ranks: Ranks) -> nn.Module:
    """The network with parameters that are common to all processes: whole in each (DDP), or a part in each (FSDP2)."""
    if not options.fsdp:
        ids = [ranks.device] if ranks.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids)
    mesh = init_device_mesh(ranks.device.type, (ranks.count,))
    # A time constant has no dimension to be sharded along: it stays whole, and its gradient is averaged.
    whole = replicate_scalars(network)
    return fully_shard(network, mesh=mesh, ignored_params=whole)


def load_images(options: argparse.Namespace, ranks: Ranks) -> tuple[Images, Images]:
    """1,500 images to train on and 297 to test on, brightness from 0 to 1."""
    pixels, digits = load_digits(return_X_y=True)
    dtype = torch.float64 if options.double else torch.float32
    images = torch.from_numpy(pixels).to(ranks.device, dtype) / 16
    labels = torch.from_numpy(digits).to(ranks.device, torch.int64)
    return (images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:])


def batches(options: argparse.Namespace) -> Iterator[Tensor]:
    """The rows of each batch of the whole training, the same in every process; what fills no batch is left out."""
    random = torch.Generator().manual_seed(options.seed)
    for _ in range(options.epochs):
        order = torch.randperm(TRAIN, generator=random)
        yield from order[: TRAIN - TRAIN % options.batch].split(options.batch)


def currents(images: Tensor, options: argparse.Namespace) -> Tensor:
    """Each image at every time step, `[T, B, 64]`, strong enough for the first layers to fire from the start."""
    return (CURRENT * images).expand(options.steps, *images.shape)


def train_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Images, options: argparse.Namespace
) -> Tensor:
    """One step of the optimizer; the loss of these images."""
    loss = cross_entropy(model(currents(images[0], options)), images[1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def train(
    model: nn.Module, images: Images, options: argparse.Namespace, ranks: Ranks, console: Console
) -> list[float]:
    """Train on this process's share of each batch; the losses, each the mean over all processes."""
    optimizer, losses = torch.optim.Adam(model.parameters(), options.rate), []
    todo = list(batches(options))[: options.limit]
    for rows in track(
        todo,
        description="training",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ):
        mine = ranks.share(rows).to(ranks.device)
        loss = train_step(model, optimizer, (images[0][mine], images[1][mine]), options)
        losses.append(ranks.mean(loss))
        if len(losses) % options.every == 0:
            console.print(f"step {len(losses)}  loss {losses[-1]:.4f}")
    return losses


def losses_of_one(images: Images, options: argparse.Namespace, ranks: Ranks) -> list[float]:
    """The losses of the same training in this process alone, with whole batches."""
    network = new_network(options, ranks)
    optimizer = torch.optim.Adam(network.parameters(), options.rate)
    todo = [rows.to(ranks.device) for rows in list(batches(options))[: options.limit]]
    return [
        train_step(network, optimizer, (images[0][rows], images[1][rows]), options).item()
        for rows in todo
    ]


@torch.no_grad()
def test_accuracy(
    model: nn.Module, images: Images, options: argparse.Namespace, ranks: Ranks
) -> float:
    """Percent right of all test images, of which each process sees its share."""
    rows = ranks.share(torch.arange(len(images[1]), device=ranks.device))
    scores = model(currents(images[0][rows], options))
    right = (scores.argmax(1) == images[1][rows]).sum().double()
    return 100 * ranks.mean(right) * ranks.count / len(images[1])


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fsdp", action="store_true", help="FSDP2 instead of DDP")
    parser.add_argument("--epochs", type=int, help="passes over the images (10; quick: 2)")
    parser.add_argument("--batch", type=int, default=60, help="images in a batch, all shares (60)")
    parser.add_argument("--steps", type=int, default=8, help="time steps an image is shown for (8)")
    parser.add_argument("--hidden", type=int, help="neurons in a layer (256; quick: 64)")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate (0.002)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (0)")
    parser.add_argument(
        "--every", type=int, default=25, help="show the loss of every nth step (25)"
    )
    parser.add_argument("--double", action="store_true", help="float64")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--backend", choices=("auto", "fused", "reference"), default="auto")
    parser.add_argument("--quick", action="store_true", help="2 epochs, 64 neurons in a layer")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="ten steps in float64, then in one process; fails if a loss differs by more than 1e-9",
    )
    options = parser.parse_args(arguments)
    options.epochs = options.epochs or (2 if options.quick else 10)
    options.hidden = options.hidden or (64 if options.quick else 256)
    options.double = options.double or options.compare
    options.limit = 10 if options.compare else None
    return options


def run(options: argparse.Namespace, ranks: Ranks) -> dict[str, Any]:
    """Train; the losses, the accuracy and, with --compare, the largest difference from one process."""
    if options.batch % ranks.count:
        raise SystemExit(f"--batch {options.batch} cannot be shared by {ranks.count} processes")
    console = Console(highlight=False, quiet=ranks.rank > 0)
    kind = "FSDP2" if options.fsdp else "DDP"
    console.print(f"{kind}, {dist.get_backend()}: processes {ranks.count}, {ranks.device.type}")
    training, testing = load_images(options, ranks)
    model = distributed(new_network(options, ranks), options, ranks)
    losses = train(model, training, options, ranks, console)
    found: dict[str, Any] = {"losses": losses}
    found["accuracy"] = test_accuracy(model, testing, options, ranks)
    console.print(f"loss {losses[-1]:.4f}  test {found['accuracy']:.1f} %")
    if options.compare and ranks.rank == 0:
        pairs = zip(losses, losses_of_one(training, options, ranks), strict=True)
        found["difference"] = max(abs(one - other) for one, other in pairs)
        console.print(f"largest difference of {len(losses)} losses: {found['difference']:.2e}")
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Train as one of the processes; returns what `run` found."""
    options = parse_options(arguments)
    ranks = start_ranks(options.device)
    try:
        found = run(options, ranks)
        dist.barrier()
    finally:
        dist.destroy_process_group()
    if found.get("difference", 0.0) > TOLERANCE:
        raise SystemExit(f"the losses differ by {found['difference']:.2e}, more than {TOLERANCE}")
    return found


if __name__ == "__main__":
    main()
