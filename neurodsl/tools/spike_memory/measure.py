"""One training step in a process of its own: bytes kept, the peak of its memory, its time."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

import neurodsl
from neurodsl.tools.spike_memory.contestants import Contestant, contestants
from neurodsl.tools.spike_memory.networks import Network, spikes

REPEATS = 5
MODULE = "neurodsl.tools.spike_memory"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contestant took: bytes kept for backward, bytes at the peak, seconds a step; a checksum of gradients.

    `returned`: whether `malloc` gave back at once what was freed.
    """

    network: str
    contestant: str
    steps: int
    saved: int
    peak: int
    seconds: float
    gradient: float
    returned: bool = False


def in_a_process(network: str, contestant: str, steps: int, returned: bool = False) -> Figure:
    """Measure in a fresh process.

    Args:
        network: which.
        contestant: its short name.
        steps: time steps.
        returned: have glibc give freed blocks of 64 KiB and more back to the system at once, not keep them for later;
            the peak is then what the step needs, without what the heap has not given back.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    command = [sys.executable, "-m", MODULE, "--child", network, contestant, str(steps)]
    environment = os.environ | {"NEURODSL_NATIVE": os.environ.get("NEURODSL_NATIVE", "1")}
    if returned:
        environment["MALLOC_MMAP_THRESHOLD_"] = str(1 << 16)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} failed with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return Figure(**json.loads(done.stdout.splitlines()[-1]), returned=returned)


def child(network: str, contestant: str, steps: int) -> None:
    """Measure here and print the figure as JSON."""
    figure = asdict(measure(network, contestant, steps))
    del figure["returned"]
    print(json.dumps(figure))


def measure(network: str, name: str, steps: int, repeats: int = REPEATS) -> Figure:
    """A small step first, so that code is loaded and gradients exist; then the peak of one step, then the time."""
    contestant = contestants()[name]
    model = contestant.make(network)
    _step(model, contestant, spikes(network, 4, 2))
    x = spikes(network, steps)
    gc.collect()
    neurodsl.empty_cache()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM begins anew
    _step(model, contestant, x)
    peak = max(_status("VmHWM") - before, 0)
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        _step(model, contestant, x)
        seconds.append(time.perf_counter() - begun)
    gradient = sum(float(p.grad.double().norm()) for p in model.parameters() if p.grad is not None)
    report = neurodsl.memory_report(model, x)
    saved = report.compressed if contestant.compresses else report.plain
    return Figure(network, name, steps, saved, peak, min(seconds), gradient)


def _step(model: Network, contestant: Contestant, x: Tensor) -> None:
    contestant.forget(model)
    model.zero_grad(set_to_none=True)
    with contestant.block():
        scores = model(x)
        loss = scores.logsumexp(1).mean() - scores[:, 0].mean()
    loss.backward()


def _status(field: str) -> int:
    """A field of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status says nothing of {field}")


def threads() -> int:
    """As many as a step runs on."""
    return torch.get_num_threads()
