"""The picture of a run on a device: bytes over time as a share of a copy's, by shape, forward and backward apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurodsl.tools.bench.device_result import DeviceResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PASSES = (("forward", "forward"), ("forward_backward", "forward + backward"))


def draw_shares(results: Sequence[DeviceResult], path: Path) -> None:
    """Write a row of panels for each neuron and dtype as a PNG."""
    from matplotlib.figure import Figure

    groups: dict[tuple[str, str], list[DeviceResult]] = {}
    for result in results:
        groups.setdefault((result.neuron, result.dtype), []).append(result)
    figure = Figure(figsize=(11, 3.4 * len(groups)), layout="constrained")
    panels = figure.subplots(len(groups), 2, squeeze=False)
    for line, ((neuron, dtype), group) in zip(panels, groups.items(), strict=True):
        for panel, (name, words) in zip(line, PASSES, strict=True):
            _panel(panel, group, name)
            panel.set_title(f"{neuron}: {words}, {dtype}")
        line[1].legend(fontsize="small")
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, results: Sequence[DeviceResult], name: str) -> None:
    names = list(dict.fromkeys(row.contestant for result in results for row in result.rows))
    width = 0.8 / len(names)
    for place, contestant in enumerate(names):
        shares = [
            sum(result.share(row, name) for row in result.rows if row.contestant == contestant)
            for result in results
        ]
        axes.bar(
            [at + place * width for at in range(len(results))], shares, width, label=contestant
        )
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylabel("share of a copy's bytes a second")
    axes.set_xticks(
        [at + 0.4 - width / 2 for at in range(len(results))],
        [f"{result.steps} x {result.neurons}" for result in results],
        fontsize="small",
    )
