"""What looking costs where there are no spikes, and what packing and unpacking cost where there are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

import neurodsl
from neurodsl.memory.bits import pack_bits, unpack_bits

SIZES = ((8, 64), (64, 512), (512, 2048))
LAYERS, ROUNDS = 4, 40
ELEMENTS = 8 << 20


def table() -> str:
    """Two tables in Markdown: medians of rounds in which the rows take turns."""
    lines = [f"| {LAYERS} x Linear and Tanh, forward + backward | plain | in the block | ratio |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for batch, width in SIZES:
        plain, block = _network(batch, width)
        cells = (f"{plain:.0f} µs", f"{block:.0f} µs", f"{block / plain:.3f}")
        lines.append(f"| {batch} samples, {width} wide | " + " | ".join(cells) + " |")
    spikes = (torch.rand(ELEMENTS) < 0.2).float()
    bits, into = pack_bits(spikes), torch.empty_like(spikes)
    assert bits is not None
    noise = torch.randn(ELEMENTS)
    rows: dict[str, Callable[[], object]] = {
        "a copy": lambda: into.copy_(spikes),
        "packing": lambda: pack_bits(spikes),
        "unpacking": lambda: unpack_bits(bits, 0, ELEMENTS, torch.float32),
        "giving up what is no spikes": lambda: pack_bits(noise),
    }
    lines += ["", f"| {ELEMENTS} floats | µs |", "| --- | ---: |"]
    for label, took in zip(rows, _medians(list(rows.values())), strict=True):
        lines.append(f"| {label} | {took:.3g} |")
    return "\n".join(lines)


def _network(batch: int, width: int) -> list[float]:
    torch.manual_seed(0)
    layers = [(nn.Linear(width, width), nn.Tanh()) for _ in range(LAYERS)]
    model, x = (
        nn.Sequential(*(layer for pair in layers for layer in pair)),
        torch.randn(batch, width),
    )

    def step(block: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with block():  # type: ignore[attr-defined]
                loss = model(x).sum()
            loss.backward()

        return run

    return _medians([step(nullcontext), step(neurodsl.compress_spikes)])


def _medians(contestants: list[Callable[[], object]]) -> list[float]:
    """Microseconds."""
    times: list[list[float]] = [[] for _ in contestants]
    for _ in range(ROUNDS):
        for run, took in zip(contestants, times, strict=True):
            begun = time.perf_counter()
            run()
            took.append(time.perf_counter() - begun)
    return [1e6 * statistics.median(took[2:]) for took in times]
