"""The picture: kernels as points below the roofs of DRAM and of instructions, a panel a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurodsl.tools.roofline.estimate import ISSUE_LANES
from neurodsl.tools.roofline.report import NO_GPU, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = {"forward": "o", "forward_train": "s", "backward": "^"}
_COLORS = {"forward": "tab:blue", "forward_train": "tab:green", "backward": "tab:red"}
MOST_NAMED = 6
"""Neurons and dtypes of a panel that are named beside their last points."""


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture as a PNG."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys((row.gpu_name, row.kernel.arch) for row in rows))
    figure = Figure(figsize=(5.2 * len(panels), 4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)
    for panel, key in zip(axes[0], panels, strict=True):
        _panel(panel, [row for row in rows if (row.gpu_name, row.kernel.arch) == key])
    kinds = list(dict.fromkeys(f"{row.neuron}, {row.dtype}" for row in rows))
    subject = kinds[0] if len(kinds) == 1 else f"{len(kinds)} neurons and dtypes"
    figure.suptitle(f"{subject}\n{NO_GPU}", fontsize=9)
    figure.savefig(path, dpi=110)


def intensity(row: Row) -> float:
    """Instructions a byte moved."""
    return row.limits.instructions / (row.limits.memory * row.gpu.bytes_a_clock)


def rate(row: Row) -> float:
    """Expected instructions of threads a second, in 10^9."""
    return row.limits.instructions / row.picoseconds * 1e3


def _panel(panel: Axes, rows: Sequence[Row]) -> None:
    gpu = rows[0].gpu
    issue = ISSUE_LANES * gpu.multiprocessors * gpu.clock_ghz
    ridge = issue / gpu.bandwidth_gb_s
    left = min(0.2, *(intensity(row) / 2 for row in rows))
    right = max(4 * ridge, *(2 * intensity(row) for row in rows))
    places = np.array([left, ridge, right])
    roof = np.minimum(places * gpu.bandwidth_gb_s, issue)
    panel.loglog(places, roof, color="black", linewidth=1.2)
    panel.text(left, left * 5 * gpu.bandwidth_gb_s, f"DRAM {gpu.bandwidth_gb_s:g} GB/s", fontsize=8)
    panel.text(ridge * 1.1, issue * 1.15, "issue", fontsize=8)
    panel.set_ylim(top=2.2 * issue)
    for which, mark in _MARKS.items():
        shown = [row for row in rows if row.which == which]
        x, y = [intensity(row) for row in shown], [rate(row) for row in shown]
        panel.plot(x, y, mark, color=_COLORS[which], markersize=5, label=which)
    named = {(row.neuron, row.dtype): row for row in rows}
    if 1 < len(named) <= MOST_NAMED:
        for (neuron, dtype), row in named.items():
            place = intensity(row), rate(row)
            panel.annotate(f"  {neuron} {dtype}", place, fontsize=7, va="top")
    panel.set(xlabel="instructions a byte", ylabel="10⁹ instructions of threads a second")
    panel.set_title(f"{gpu.title} ({rows[0].kernel.arch})")
    panel.legend(loc="lower right", fontsize=8)
