"""The pictures: time and memory of LIF, time a neuron-step of the whole library, each beside proportional growth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurodsl.tools.growth.sweep import BASE, NEURONS, STEPS, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = list[tuple[int, float]]
DPI = 90


def draw_lif(points: Sequence[Point], folder: Path) -> list[Path]:
    """Time, and memory, along steps and along neurons."""
    return [
        _draw(points, folder / "growth-time.png", _time_panel),
        _draw(points, folder / "growth-memory.png", _memory_panel),
    ]


def draw_library(points: Sequence[Point], folder: Path) -> list[Path]:
    """Time a neuron-step of every neuron."""
    return [_draw(points, folder / "growth-library.png", _library_panel)]


def series(points: Sequence[Point], along: str, neuron: str, threads: int) -> list[Point]:
    """One line's points, smallest first."""
    found = [p for p in points if (p.along, p.neuron, p.threads) == (along, neuron, threads)]
    return sorted(found, key=lambda point: point.size)


def _draw(
    points: Sequence[Point], path: Path, panel: Callable[[Axes, Sequence[Point], str], None]
) -> Path:
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    for axes, along in zip(figure.subplots(1, 2), (STEPS, NEURONS), strict=True):
        chosen = [point for point in points if point.along == along]
        panel(axes, chosen, along)
        fixed = {(p.neurons if along == STEPS else p.steps) for p in chosen}
        other = NEURONS if along == STEPS else "steps"
        axes.set_xlabel(f"{'time steps' if along == STEPS else NEURONS} (at {min(fixed)} {other})")
        axes.set_xscale("log", base=2 if along == STEPS else 10)
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return path


def _time_panel(axes: Axes, points: Sequence[Point], along: str) -> None:
    for threads in sorted({point.threads for point in points}):
        line = [(p.size, 1e3 * p.seconds) for p in series(points, along, BASE, threads)]
        label = f"{threads} thread" + ("s" if threads > 1 else "")
        (drawn,) = axes.plot(*zip(*line, strict=True), marker="o", markersize=3, label=label)
        _proportional(axes, line, drawn.get_color())
    axes.set_ylabel("forward + backward, ms")
    axes.legend(fontsize="small", title="dotted: proportional", title_fontsize="small")


def _memory_panel(axes: Axes, points: Sequence[Point], along: str) -> None:
    threads = max(point.threads for point in points)
    chosen = series(points, along, BASE, threads)
    saved = [(p.size, p.saved / 1e6) for p in chosen]
    peak = [(p.size, p.peak / 1e6) for p in chosen if p.peak]
    (drawn,) = axes.plot(*zip(*saved, strict=True), marker="o", markersize=3, label="kept (x)")
    _proportional(axes, saved, drawn.get_color())
    if peak:
        label = "peak: output, gradient, scratch"
        axes.plot(*zip(*peak, strict=True), marker="s", markersize=3, label=label)
    axes.set_ylabel("MB")
    axes.legend(fontsize="small", title="dotted: proportional", title_fontsize="small")


def _library_panel(axes: Axes, points: Sequence[Point], along: str) -> None:
    threads = max(point.threads for point in points)
    names = list(dict.fromkeys(point.neuron for point in points))
    ends: list[tuple[float, str, int]] = []
    for name in names:
        chosen = series(points, along, name, threads)
        line = [(p.size, 1e9 * p.per_neuron_step) for p in chosen]
        bold = name == BASE
        color, width = ("C0", 2.0) if bold else ("0.7", 0.7)
        axes.plot(*zip(*line, strict=True), color=color, linewidth=width, zorder=3 if bold else 2)
        ends.append((line[-1][1], name, line[-1][0]))
    ends.sort()
    shown = {ends[-1], ends[-2], next(end for end in ends if end[1] == BASE)}
    for height, name, at in sorted(shown):
        axes.annotate(name, (at, height), fontsize="x-small", ha="right", va="bottom")
    axes.set_ylabel("ns a neuron-step (flat: proportional)")


def _proportional(axes: Axes, line: Line, color: object) -> None:
    """Through the last point, a straight line of slope 1."""
    last, height = line[-1]
    sizes = [line[0][0], last]
    axes.plot(sizes, [height * size / last for size in sizes], color=color, linestyle="dotted")
