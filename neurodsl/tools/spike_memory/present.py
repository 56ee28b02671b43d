"""The figures as tables in Markdown, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodsl.tools.spike_memory.contestants import contestants
from neurodsl.tools.spike_memory.measure import Figure

TITLES = {"conv": "six conv blocks", "mlp": "three linear layers"}
MEASURES = (
    ("saved", False, "MB kept for backward", 1e6),
    ("peak", True, "MB at the peak of a step", 1e6),
    ("peak", False, "MB at the peak, with what the heap keeps", 1e6),
    ("seconds", False, "ms a step", 1e-3),
)
STYLES = {
    "reference": ("0.6", ":"),
    "jelly": ("tab:red", "-"),
    "memopt": ("tab:red", "--"),
    "plain": ("tab:blue", "-"),
    "bits": ("tab:green", "-"),
    "checkpoint": ("tab:green", "--"),
}


def tables(figures: Sequence[Figure]) -> str:
    """A table for each network and measure: a row for each contestant, a column for each number of steps."""
    parts = []
    for network, title in TITLES.items():
        for field, returned, what, unit in MEASURES:
            chosen = [f for f in figures if f.network == network and f.returned == returned]
            found = {(f.contestant, f.steps): f for f in chosen}
            steps = sorted({count for _, count in found})
            if not found:
                continue
            lines = [f"| {title}: {what} | " + " | ".join(f"T={count}" for count in steps) + " |"]
            lines.append("| --- |" + " ---: |" * len(steps))
            for name, contestant in contestants().items():
                cells = [
                    _rounded(getattr(found[name, count], field) / unit)
                    if (name, count) in found
                    else "–"
                    for count in steps
                ]
                if any(cell != "–" for cell in cells):
                    lines.append(f"| {contestant.label} | " + " | ".join(cells) + " |")
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def draw(figures: Sequence[Figure], path: Path) -> None:
    """Write a picture of the peaks; the ending of the path says in which format."""
    from matplotlib.figure import Figure as Picture

    networks = [network for network in TITLES if any(f.network == network for f in figures)]
    picture = Picture(figsize=(4.6 * len(networks), 4.0), layout="constrained")
    axes: Any = picture.subplots(1, len(networks), squeeze=False)[0]
    for network, place in zip(networks, axes, strict=True):
        for name, contestant in contestants().items():
            chosen = sorted(
                (f.steps, f.peak / 1e6)
                for f in figures
                if f.network == network and f.contestant == name and f.returned
            )
            if chosen:
                color, style = STYLES[name]
                xs, ys = zip(*chosen, strict=True)
                place.plot(
                    xs, ys, style, color=color, marker="o", markersize=3, label=contestant.label
                )
        place.set_xscale("log", base=2)
        place.set_yscale("log", base=2)
        place.yaxis.set_major_formatter("{x:.0f}")
        place.set_xticks(steps := sorted({f.steps for f in figures}), [str(s) for s in steps])
        place.set_title(TITLES[network], fontsize=10)
        place.set_xlabel("time steps")
        place.grid(alpha=0.3, which="both", linewidth=0.4)
    axes[0].set_ylabel("MB at the peak of a step")
    lines, labels = axes[0].get_legend_handles_labels()
    picture.legend(lines, labels, fontsize=8, frameon=False, ncols=2, loc="outside lower center")
    picture.savefig(path, dpi=90)


def _rounded(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
