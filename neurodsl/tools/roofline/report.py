"""The estimate of each kernel on each GPU, and its tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from neurodsl.tools.bench.tables import Table
from neurodsl.tools.roofline.estimate import CLOCKS_AN_INSTRUCTION, Estimate, estimate
from neurodsl.tools.roofline.gpus import Gpu
from neurodsl.tools.roofline.kernels import KernelCode
from neurodsl.tools.roofline.sass import LOADS, STORES
from neurodsl.tools.roofline.traffic import STEPS, Count, counted, minimum_bytes

NEURONS = 2**20
"""Of the minimum, where nothing was executed: it is proportional to them."""

NO_GPU = "A model, from machine code and data sheets. No GPU has run this."


@dataclass(frozen=True, slots=True)
class Row:
    """One kernel on one GPU."""

    neuron: str
    kernel: KernelCode
    gpu_name: str
    gpu: Gpu
    minimum: float
    """Bytes a neuron-step that have to move once, at `STEPS` time steps."""
    count: Count | None
    limits: Estimate

    @property
    def which(self) -> str:
        """The pass."""
        return str(self.kernel.entry["pass"])

    @property
    def dtype(self) -> str:
        """Of the `[T, N]` arrays."""
        return str(self.kernel.entry["dtype"])

    @property
    def machine(self) -> str:
        """The GPU, and the architecture if the code is for another one."""
        name = self.gpu_name.upper()
        return name if self.kernel.arch == self.gpu.arch else f"{name} {self.kernel.arch}"

    @property
    def ratio(self) -> float | None:
        """Bytes moved over the minimum; None if the kernel was not executed."""
        return (
            self.count.moved / (self.count.neurons * STEPS * self.minimum) if self.count else None
        )

    @property
    def picoseconds(self) -> float:
        """Expected, a neuron-step; nanoseconds for a thousand, microseconds for a million."""
        return self.limits.clocks / (self.gpu.multiprocessors * self.gpu.clock_ghz) * 1e3

    @property
    def enough_neurons(self) -> float:
        """N from which DRAM (or computing) limits rather than latency."""
        return self.limits.threads_needed * int(self.kernel.entry["elements_per_thread"])

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        kernel, limits, count = self.kernel, self.limits, self.count
        enough = self.enough_neurons
        return {
            "neuron": self.neuron,
            "pass": self.which,
            "dtype": self.dtype,
            "gpu": self.gpu_name,
            "arch": kernel.arch,
            "symbol": kernel.entry["symbol"],
            "loops": [
                {"address": loop.start, "instructions": len(loop.body)} for loop in kernel.loops
            ],
            "elements_a_pass": kernel.elements,
            "instructions": limits.instructions,
            "instructions_any_params": len(kernel.loops[-1].body) / kernel.elements,
            "load_widths": sorted(set(kernel.widths(LOADS))),
            "store_widths": sorted(set(kernel.widths(STORES))),
            "bytes_in_flight_a_thread": kernel.loop.loads_in_flight,
            "bytes_in_flight_a_thread_over_time": limits.in_flight,
            "bytes_in_flight_a_multiprocessor": limits.bytes_in_flight,
            "bytes_in_flight_needed": limits.bytes_needed,
            "registers": kernel.registers,
            "stack_bytes": kernel.stack,
            "local_instructions": kernel.local,
            "local_instructions_in_loop": kernel.local_in_loop,
            "threads_a_multiprocessor": limits.resident_threads,
            "occupancy": limits.resident_threads / self.gpu.threads,
            "minimum_bytes": self.minimum,
            "asked_over_minimum": count and count.asked / count.least,
            "moved_over_minimum": self.ratio,
            "microseconds_a_million": self.picoseconds,
            "share_of_dram": limits.share,
            "limit": limits.limit,
            "neurons_needed": None if math.isinf(enough) else math.ceil(enough),
        }


def row_of(neuron: str, kernel: KernelCode, name: str, gpu: Gpu, *, is_library: bool) -> Row:
    """The estimate of a kernel on a GPU.

    Args:
        neuron: its name.
        kernel: its machine code.
        name: of the GPU, as the command line takes it.
        gpu: its figures.
        is_library: whether the neuron is the library's, whose kernels were executed.
    """
    count = counted(neuron, kernel.entry) if is_library else None
    if count:
        each = count.neurons * STEPS
        minimum, moved = count.least / each, count.moved / each
    else:
        minimum = moved = minimum_bytes(kernel.entry, STEPS, NEURONS) / (STEPS * NEURONS)
    limits = estimate(
        kernel.loop,
        moved,
        gpu,
        registers=kernel.registers,
        block=kernel.entry["block"],
        elements=kernel.elements,
    )
    return Row(neuron, kernel, name, gpu, minimum, count, limits)


def code_table(rows: Sequence[Row]) -> Table:
    """What the machine code has; a row a kernel and architecture."""
    first = list({(*_kernel_of(row), row.kernel.arch): row for row in reversed(rows)}.values())
    first.reverse()
    named = _columns(first, ("neuron", "pass", "dtype", "arch"))
    heads = [*named, "instructions", "any params", "loads", "stores", "B in flight"]
    heads += ["registers", "stack", "local", "B", "over minimum"]
    common = [_cell(first[0], key) for key in ("arch", "dtype") if key not in named]
    return Table(
        ", ".join(["Machine code of the loop over time", *common]),
        tuple(heads),
        tuple((*(_cell(row, key) for key in named), *_code(row)) for row in first),
        CODE_NOTES,
    )


def time_table(rows: Sequence[Row]) -> Table:
    """What may be expected; a row a kernel and machine."""
    named = _columns(rows, ("neuron", "pass", "dtype", "machine"))
    heads = [
        *named,
        "us",
        "of DRAM",
        "limit",
        "threads/SM",
        "kB in flight/SM",
        "of needed",
        "from N",
    ]
    lines = tuple((*(_cell(row, key) for key in named), *_expected(row)) for row in rows)
    return Table("Expected for a million neuron-steps", tuple(heads), lines, TIME_NOTES)


def share_table(rows: Sequence[Row]) -> Table:
    """For many neurons: the figures that matter most, a row a kernel."""
    groups, gpus = _groups(rows)
    named = _columns(rows, ("neuron", "pass", "dtype"))
    heads = [*named, "instructions", "B in flight", "registers", "stack", "B", "over minimum"]
    heads += [f"of DRAM, {name}" for name in gpus]
    lines = []
    for group in groups:
        first = next(iter(group.values()))
        kernel = first.kernel
        line = [*(_cell(first, key) for key in named), f"{first.limits.instructions:.1f}"]
        line += [str(kernel.loop.loads_in_flight), str(kernel.registers)]
        line += [_stacks(group.values())]
        line += [*_bytes(first), *(_share(group[name]) for name in gpus)]
        lines.append(tuple(line))
    notes = (
        f"Instructions to over minimum: machine code for {rows[0].kernel.arch}; shares: for each GPU's own, "
        "and what limits it where that is not DRAM.",
        "Stack: bytes of local memory a thread on each of these GPUs, in brackets the loop's accesses to it.",
        *CODE_NOTES[:4],
        NO_GPU,
    )
    return Table("The library", tuple(heads), tuple(lines), notes)


CODE_NOTES = (
    "Instructions a neuron-step, of the version for usual params; slow paths out of the loop are left out.",
    "B in flight: bytes that a thread asks for before it needs the first of them.",
    f"B: bytes a neuron-step at T={STEPS} that have to move once: inputs, outputs, states, gradients, checkpoints.",
    "Over minimum: bytes of 32-byte sectors that were moved when the kernel was executed in a simulator, "
    "as if L1 never hit; –: not executed, the minimum is from the argument list.",
    "Loads, stores: how many a pass of the loop, and bytes each. Local: instructions that reach local memory, "
    "in the loop of those in the kernel.",
)
TIME_NOTES = (
    NO_GPU,
    "us: microseconds at large N. Of DRAM: the share of its bandwidth, at most. In flight: loads, over time, and what "
    "keeps DRAM busy. From N: neurons from which latency is no longer the limit (never: too few threads fit).",
    "Assumed: the data sheet's bandwidth and boost clock, the latency of neurodsl/tools/roofline/gpus.py, "
    f"{CLOCKS_AN_INSTRUCTION:g} clocks an instruction of a warp alone, 4 instructions of warps a clock and SM, no "
    "launch overhead, no bank or L2 conflicts, stores that nothing waits for. Real kernels reach less.",
)


def _code(row: Row) -> list[str]:
    kernel = row.kernel
    others = len(kernel.loops[-1].body) / kernel.elements if len(kernel.loops) > 1 else None
    return [
        f"{row.limits.instructions:.1f}",
        "" if others is None else f"{others:.1f}",
        _widths(kernel.widths(LOADS)),
        _widths(kernel.widths(STORES)),
        str(kernel.loop.loads_in_flight),
        str(kernel.registers),
        str(kernel.stack),
        f"{kernel.local_in_loop} of {kernel.local}" if kernel.local else "0",
        *_bytes(row),
    ]


def _bytes(row: Row) -> list[str]:
    return [f"{row.minimum:.2f}", "–" if row.ratio is None else f"{row.ratio:.3f}"]


def _stacks(rows: Iterable[Row]) -> str:
    """Where there is local memory: the architecture, bytes, and instructions of the loop."""
    kernels = {row.kernel.arch: row.kernel for row in rows}
    used = [k for k in kernels.values() if k.stack or k.local]
    return ", ".join(f"{k.arch}: {k.stack} ({k.local_in_loop})" for k in used) or "0"


def _share(row: Row) -> str:
    shown = f"{row.limits.share:.0%}"
    return shown if shown == "100%" else f"{shown} {row.limits.limit}"


def _expected(row: Row) -> list[str]:
    limits, never = row.limits, math.isinf(row.enough_neurons)
    return [
        f"{row.picoseconds:.2f}",
        f"{limits.share:.0%}",
        limits.limit,
        f"{limits.resident_threads:.0f}",
        f"{limits.bytes_in_flight / 1e3:.1f}",
        f"{limits.bytes_needed / 1e3:.1f}",
        "never" if never else f"{row.enough_neurons:,.0f}",
    ]


def _widths(widths: Sequence[int]) -> str:
    """`16 x 16 B`, the widest first."""
    each = sorted(set(widths), reverse=True)
    return ", ".join(f"{widths.count(width)} x {width} B" for width in each) or "none"


def _kernel_of(row: Row) -> tuple[str, str, str]:
    return row.neuron, row.which, row.dtype


def _groups(rows: Sequence[Row]) -> tuple[list[dict[str, Row]], list[str]]:
    """Rows of the same kernel by machine, and the machines."""
    found: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        found.setdefault(_kernel_of(row), {})[row.machine] = row
    return list(found.values()), list(dict.fromkeys(row.machine for row in rows))


def _cell(row: Row, key: str) -> str:
    named = {"neuron": row.neuron, "pass": row.which, "dtype": row.dtype}
    return {**named, "arch": row.kernel.arch, "machine": row.machine}[key]


def _columns(rows: Sequence[Row], keys: Sequence[str]) -> list[str]:
    """The columns that say which kernel a row is of: the pass, and what differs between rows."""
    return [
        key
        for key in keys
        if key in ("pass", "machine") or len({_cell(row, key) for row in rows}) > 1
    ]
