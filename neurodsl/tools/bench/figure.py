"""The benchmark's picture: forward and backward as multiples of a ReLU's, by shape, with the counted limit."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from neurodsl.build.errors import ToolchainError
from neurodsl.tools.bench.contestants import RELU
from neurodsl.tools.bench.limits import BOTH
from neurodsl.tools.bench.measure import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def need_matplotlib(what: str) -> None:
    """Stop early where there is nothing to draw with.

    Raises:
        ToolchainError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ToolchainError(f"{what} draws with matplotlib", "pip install matplotlib")


def draw(results: Sequence[Result], path: Path) -> None:
    """Write one panel a neuron as a PNG."""
    from matplotlib.figure import Figure

    neurons = list(dict.fromkeys(result.neuron for result in results))
    figure = Figure(figsize=(7, 3.4 * len(neurons)), layout="constrained")
    panels = figure.subplots(len(neurons), 1, squeeze=False)
    for panel, neuron in zip(panels[:, 0], neurons, strict=True):
        _panel(panel, neuron, [result for result in results if result.neuron == neuron])
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, neuron: str, results: Sequence[Result]) -> None:
    names = [row.contestant for row in results[0].rows if row.contestant != RELU]
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        heights = [
            result.row(name).forward_backward.median / result.relu.forward_backward.median
            for result in results
        ]
        at = [shape + place * width for shape in range(len(results))]
        axes.bar(at, heights, width, label=name)
    for shape, result in enumerate(results):
        limit = next(limit for limit in result.limits if limit.what == BOTH)
        height = limit.limit / result.relu.forward_backward.median
        ends = (shape - width / 2, shape + 0.8 - width / 2)
        label = "counted limit of fused" if shape == 0 else "_"
        axes.hlines(height, *ends, colors="black", linestyles="dotted", label=label)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylabel("times a ReLU (1 = line)")
    middle = 0.4 - width / 2
    axes.set_xticks(
        [shape + middle for shape in range(len(results))],
        [f"{result.steps} x {result.neurons}" for result in results],
    )
    axes.set_title(f"{neuron}: forward + backward, {results[0].dtype}")
    axes.legend(fontsize="small", ncols=3)
