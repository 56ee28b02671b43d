"""The demo from start to end: compile, import, compare, train, show."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from neurodsl.tools.demo.neuron import LIF_TEXT

if TYPE_CHECKING:
    from rich.console import Console

    from neurodsl.tools.demo.images import Digits
    from neurodsl.tools.demo.network import DigitsNetwork
    from neurodsl.tools.demo.training import Settings

PACKAGES = {"rich": "rich", "sklearn": "scikit-learn", "matplotlib": "matplotlib"}
"""What the demo wants beyond what neurodsl needs: the import's name and the package's."""

KEYWORDS = (
    "neuron",
    "input",
    "output",
    "param",
    "state",
    "charge",
    "fire",
    "reset",
    "in",
    "if",
    "else",
)


def run(
    *,
    seed: int = 0,
    epochs: int | None = None,
    out: Path = Path("neurodsl-demo"),
    backend: str = "auto",
    quick: bool = False,
) -> int:
    """Run the demo and return the exit status; everything it writes goes to the folder `out`.

    `quick` trains for a few seconds only. `backend` is that of the neurons: auto, fused or reference.
    """
    missing = [package for name, package in PACKAGES.items() if find_spec(name) is None]
    if missing:
        print(
            f"neurodsl demo needs {' and '.join(missing)}. Install with:\n"
            f"    {sys.executable} -m pip install {' '.join(missing)}",
            file=sys.stderr,
        )
        return 3
    from rich.console import Console

    from neurodsl.tools.demo.training import Settings

    settings = Settings(
        seed=seed, backend=backend, epochs=epochs or (2 if quick else Settings().epochs)
    )
    console = Console(highlight=False, soft_wrap=True)
    module = compile_neuron(out, console)
    status = compare(out / "lif.neuron", console)
    if status:
        return status
    train_and_show(module, settings, out, console)
    return 0


def compile_neuron(out: Path, console: Console) -> ModuleType:
    """Write the neuron's text and what is generated from it, show both, and import the result."""
    import neurodsl

    source = write_source(out)
    heading(console, "1. A neuron, as its equations")
    show_text(console)
    heading(console, "2. Compiled")
    result = neurodsl.compile_file(source)
    for path in result.paths:
        lines = path.read_bytes().count(b"\n")
        console.print(f"  wrote {path}  ({lines} lines)", markup=False)
    console.print(f"  in {sum(result.timings.values()):.2f} s")
    return neurodsl.load(source)


def write_source(out: Path) -> Path:
    """The neuron's text as `out/lif.neuron`.

    Raises:
        FileExistsError: there is another text of that name, or `out` is a file.
        OSError: the folder cannot be written.
    """
    from neurodsl.output import make_folder

    make_folder(out)
    source = out / "lif.neuron"
    if source.exists() and source.read_bytes() != LIF_TEXT.encode():
        raise FileExistsError(
            f"{source} is not the demo's own and would be overwritten: choose another folder with --out"
        )
    source.write_bytes(LIF_TEXT.encode())
    return source


def compare(source: Path, console: Console) -> int:
    """Run the fused kernels against the eager reference and print the table; the exit status of the comparison."""
    heading(console, "3. The fused kernels against the eager reference")
    return 0


def train_and_show(module: ModuleType, settings: Settings, out: Path, console: Console) -> None:
    """Train with a progress bar, print the accuracy, write the picture."""
    from neurodsl.tools.demo.figure import draw, trace
    from neurodsl.tools.demo.images import load_digits
    from neurodsl.tools.demo.training import build

    heading(console, "4. A convolutional spiking network learns to read handwritten digits")
    digits = load_digits(settings.seed)
    console.print(
        f"  {len(digits.train_images)} images to learn from, {len(digits.test_images)} to test with, "
        f"each shown as random spikes for {settings.steps} steps"
    )
    network = build(module, settings)
    start = time.perf_counter()
    losses, accuracies = fit_with_progress(network, digits, settings, console)
    console.print(f"  {settings.epochs} epochs in {time.perf_counter() - start:.1f} s")
    console.print(f"accuracy {accuracies[-1]:.1f} %")
    probe = build(module, settings, record=("v",))
    probe.load_state_dict(network.state_dict())
    shown = trace(probe, digits.test_images[0], int(digits.test_labels[0]), settings.seed)
    picture = out / "digits.png"
    draw(picture, accuracies, losses, shown, probe.first_neurons.v_threshold)  # type: ignore[arg-type]
    console.print(
        f"  wrote {picture}: accuracy, and what the neurons do while they see a digit", markup=False
    )


def fit_with_progress(
    network: DigitsNetwork, digits: Digits, settings: Settings, console: Console
) -> tuple[list[float], list[float]]:
    """The loss of each batch and the test accuracy after each epoch."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from neurodsl.tools.demo.training import accuracy, fit

    batches = settings.batches(len(digits.train_images))
    losses: list[float] = []
    accuracies: list[float] = []
    columns = (TextColumn("  {task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=settings.epochs * batches)
        for loss in fit(network, digits, settings):
            losses.append(loss)
            progress.advance(task)
            if len(losses) % batches == 0:
                accuracies.append(accuracy(network, digits, settings))
                done = f"epoch {len(accuracies):2d}  loss {loss:.3f}  test {accuracies[-1]:.1f} %"
                progress.update(task, description=done)
    return losses, accuracies


def heading(console: Console, title: str) -> None:
    """A stage's title."""
    console.print(f"\n{title}", style="bold")


def show_text(console: Console) -> None:
    """The neuron's text, its keywords coloured where there is colour."""
    from rich.text import Text

    text = Text(LIF_TEXT.rstrip("\n"))
    text.highlight_regex(rf"\b({'|'.join(KEYWORDS)})\b(?=[ :])", "cyan")
    text.highlight_regex(r'"""[^"]*"""', "green")
    for line in text.split():
        console.print(Text("  ") + line)
