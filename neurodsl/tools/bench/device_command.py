"""`neurodsl bench --device cuda`: the run on a GPU, with the tables, the JSON and the picture of the CPU's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

import neurodsl
from neurodsl.tools.bench.command import Run, Settings, running
from neurodsl.tools.bench.cuda_device import cuda_device
from neurodsl.tools.bench.device import Device
from neurodsl.tools.bench.device_figure import draw_shares
from neurodsl.tools.bench.device_measure import SHAPES, measure_on
from neurodsl.tools.bench.device_report import device_tables
from neurodsl.tools.bench.device_result import DeviceResult
from neurodsl.tools.bench.measure import Shapes

FACTS = ("gpu", "capability", "cuda", "multiprocessors", "l2_bytes")

MOST_BYTES = 160
"""A neuron-step: what all contestants hold at once, the eager loop's saved values, twice, above all."""


def open_device(text: str) -> Device:
    """The device that `--device` names.

    Raises:
        ToolchainError: it is not there.
    """
    return cuda_device(text)


def run_on_device(
    sources: Sequence[str | Path], settings: Settings, device_name: str, dtypes: Sequence[str]
) -> int:
    """Benchmark every neuron of the given files or library names on a GPU, in each dtype; returns the exit status."""
    device = open_device(device_name)
    with running(settings, device.facts() | {"clocks": device.clocks()}) as run:
        run.note(", ".join(f"{name} {run.facts[name]}" for name in FACTS if name in run.facts))
        results: list[DeviceResult] = []
        for source in sources:
            for result in _measured(run, device, source, dtypes):
                found = result.as_json()
                run.found.setdefault("rows", []).extend(found.pop("rows"))
                run.add("shapes", [found], device_tables(result))
                results.append(result)
        if settings.plot is not None and results:
            draw_shares(results, settings.plot)
            run.note(f"wrote {settings.plot}")
    return 0


def _measured(
    run: Run, device: Device, source: str | Path, dtypes: Sequence[str]
) -> Iterator[DeviceResult]:
    """The results of a file's neurons, those in one dtype together."""
    settings = run.settings
    module: Any = neurodsl.load(source)
    for neuron in module.__manifest__["neurons"]:
        for dtype in dtypes:
            yield from measure_on(
                device,
                module,
                neuron,
                shapes=_that_fit(run, device, settings.shapes or SHAPES),
                rounds=settings.rounds,
                choice=settings.choice,
                dtype=getattr(torch, dtype),
                tell=run.tell,
            )


def _that_fit(run: Run, device: Device, shapes: Shapes) -> Shapes:
    """The shapes for which there is memory; the others are named."""
    there = device.memory_bytes()
    for steps, neurons in shapes:
        if steps * neurons * MOST_BYTES > there:
            run.note(
                f"{steps} x {neurons} is left out: {there / 1e9:.1f} GB are free on the device"
            )
    return tuple((t, n) for t, n in shapes if t * n * MOST_BYTES <= there)
