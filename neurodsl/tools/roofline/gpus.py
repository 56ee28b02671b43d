"""The GPUs that an estimate can be made for, with the figures of their data sheets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """Figures of a GPU, from the vendor's data sheet, save the latency.

    The clock of H100 and H200 is what 67 TFLOPS of float32 on 132 multiprocessors make; those of B200 and RTX 5090 were
    not checked against a document.

    Lanes are results a clock and multiprocessor, from the table of arithmetic throughput in the CUDA C++ Programming
    Guide. The clock is the boost clock, which is what the data sheet's peak of float32 follows from.
    """

    title: str
    compute_capability: str
    multiprocessors: int
    clock_ghz: float
    bandwidth_gb_s: float
    """Of DRAM."""
    threads: int
    """Resident threads a multiprocessor, at most."""
    float32_lanes: int
    float64_lanes: int
    assumed_latency_ns: float
    """Of a load from DRAM. No vendor documents it: an assumption."""
    integer_lanes: int = 64
    function_lanes: int = 16
    """Of the special function unit: reciprocals, ex2, lg2, sin, conversions of float64."""
    registers: int = 65536
    """A multiprocessor."""

    @property
    def arch(self) -> str:
        """Its architecture, as nvcc calls it: `sm_90`."""
        return f"sm_{self.compute_capability.replace('.', '')}"

    @property
    def bytes_a_clock(self) -> float:
        """What DRAM gives a multiprocessor in a clock."""
        return self.bandwidth_gb_s / (self.multiprocessors * self.clock_ghz)

    @property
    def bytes_in_flight_needed(self) -> float:
        """Bytes a multiprocessor must have asked for at any time to keep DRAM busy (Little's law)."""
        return self.assumed_latency_ns * self.bandwidth_gb_s / self.multiprocessors


GPUS = {
    "t4": Gpu("T4", "7.5", 40, 1.59, 320, 1024, 64, 2, 500),
    "a100": Gpu("A100 80 GB SXM", "8.0", 108, 1.41, 2039, 2048, 64, 32, 550),
    "rtx4090": Gpu("GeForce RTX 4090", "8.9", 128, 2.52, 1008, 1536, 128, 2, 550),
    "h100": Gpu("H100 SXM", "9.0", 132, 1.98, 3350, 2048, 128, 64, 650),
    "h200": Gpu("H200", "9.0", 132, 1.98, 4800, 2048, 128, 64, 650),
    "b200": Gpu("B200", "10.0", 148, 1.965, 8000, 2048, 128, 64, 800),
    "rtx5090": Gpu("GeForce RTX 5090", "12.0", 170, 2.41, 1792, 1536, 128, 2, 600),
}
"""By the name that the command line takes."""
