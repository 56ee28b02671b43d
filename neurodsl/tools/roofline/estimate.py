"""What limits a loop on a GPU, from its machine code alone: a model, not a measurement.

Three limits, each as a share of what DRAM could move:

- compute: the instructions over what the schedulers issue (128 lanes a clock) and over what each unit takes;
- memory: the bytes an element needs over what DRAM gives;
- latency: the bytes in flight against latency times bandwidth (Little's law). A warp alone waits for DRAM as often as
  its loop has to, and issues its instructions in between; only while it waits are its loads in flight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from neurodsl.tools.roofline.gpus import Gpu
from neurodsl.tools.roofline.sass import LOADS, STORES, Loop

ISSUE_LANES = 128
"""Four schedulers, 32 lanes each: so many instructions of threads a clock and multiprocessor."""
CLOCKS_AN_INSTRUCTION = 2.0
"""Assumed, of a warp alone: float32 units take a warp in two clocks or one, a result is there after four."""
_REGISTER_UNIT = 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """Limits of a loop on a GPU. An element is one (neuron, step)."""

    instructions: float
    """An element."""
    compute: float
    """Clocks an element, as the busiest unit takes them."""
    busiest: str
    """The unit: `issue`, or a kind of instruction."""
    memory: float
    """Clocks an element, as DRAM takes them."""
    resident_threads: float
    """A multiprocessor."""
    in_flight: float
    """Bytes of loads that a thread has under way, over time."""
    bytes_needed: float
    """Of loads in flight, of a multiprocessor, to keep DRAM busy."""
    threads_needed: float
    """On the whole GPU, until memory or computing is the limit; infinite if that never happens."""

    @property
    def bytes_in_flight(self) -> float:
        """Loads of a multiprocessor that are under way, over time."""
        return self.resident_threads * self.in_flight

    @property
    def headroom(self) -> float:
        """How many times longer memory takes than computing; below 1 the kernel computes more than it loads."""
        return self.memory / self.compute

    @property
    def share(self) -> float:
        """The share of DRAM's bandwidth that can be reached, at most."""
        waiting = self.bytes_in_flight / self.bytes_needed if self.bytes_needed else 1.0
        return min(1.0, self.headroom, waiting)

    @property
    def limit(self) -> str:
        """What keeps it from being faster: `DRAM`, `latency`, or the busiest unit."""
        if self.share == 1.0:
            return "DRAM"
        return self.busiest if self.share == self.headroom else "latency"

    @property
    def clocks(self) -> float:
        """Clocks a multiprocessor takes for an element."""
        return self.memory / self.share


def resident_threads(
    gpu: Gpu, registers: int, block: int, shared: int = 0, shared_size: int = 0
) -> int:
    """Threads that a multiprocessor holds.

    Args:
        gpu: the GPU.
        registers: a thread, as ptxas reports them.
        block: threads a block.
        shared: bytes of shared memory a block.
        shared_size: bytes of shared memory a multiprocessor has; 0: no limit.
    """
    allocated = -(-registers // _REGISTER_UNIT) * _REGISTER_UNIT
    blocks = min(gpu.threads // block, gpu.registers // (max(1, allocated) * block))
    if shared and shared_size:
        blocks = min(blocks, shared_size // shared)
    return blocks * block


def estimate(
    loop: Loop,
    bytes_per_element: float,
    gpu: Gpu,
    *,
    registers: int = 32,
    block: int = 128,
    threads: int | None = None,
    elements: float | None = None,
) -> Estimate:
    """The limits of a loop.

    Args:
        loop: the main loop of a kernel.
        bytes_per_element: bytes of DRAM that an element needs.
        gpu: the GPU.
        registers: a thread, as ptxas reports them.
        block: threads a block.
        threads: of the whole grid, if it may be too small to fill the GPU.
        elements: that a pass of the loop computes in a thread; by default as many as its bytes are enough for.
    """
    if elements is None:
        elements = loop.bytes(LOADS, STORES) / bytes_per_element
    busiest, compute = _compute(loop, gpu)
    loaded, moved = loop.bytes(LOADS), loop.bytes(LOADS, STORES)
    in_flight = _in_flight(loop, gpu)
    needed = gpu.bytes_in_flight_needed * loaded / moved
    held: float = resident_threads(gpu, registers, block)
    memory = bytes_per_element / gpu.bytes_a_clock
    enough = needed / in_flight * min(1.0, memory * elements / compute) if loaded else 0.0
    return Estimate(
        instructions=len(loop.body) / elements,
        compute=compute / elements,
        busiest=busiest,
        memory=memory,
        resident_threads=held if threads is None else min(held, threads / gpu.multiprocessors),
        in_flight=in_flight,
        bytes_needed=needed,
        threads_needed=enough * gpu.multiprocessors if enough <= held else math.inf,
    )


def _compute(loop: Loop, gpu: Gpu) -> tuple[str, float]:
    """The unit that takes longest for a pass of one thread, and its clocks."""
    counts = loop.counts
    clocks = {
        "issue": len(loop.body) / ISSUE_LANES,
        "fp32": counts["fp32"] / gpu.float32_lanes,
        "fp64": counts["fp64"] / gpu.float64_lanes,
        "integer": counts["integer"] / gpu.integer_lanes,
        "MUFU": counts["MUFU"] / gpu.function_lanes,
    }
    busiest = max(clocks, key=clocks.__getitem__)
    return busiest, clocks[busiest]


def _in_flight(loop: Loop, gpu: Gpu) -> float:
    """Bytes of loads that a thread has under way, over the time of a pass of its warp alone."""
    loaded, most = loop.bytes(LOADS), loop.loads_in_flight
    if not most:
        return 0.0
    waiting = loaded / most * gpu.assumed_latency_ns * gpu.clock_ghz
    return most * waiting / (waiting + CLOCKS_AN_INSTRUCTION * len(loop.body))
