"""What training keeps in memory: spikes as bits, and a report of the bytes of each layer."""

from __future__ import annotations

from neurodsl.memory.bits import PackedSpikes
from neurodsl.memory.compress import compress_spikes
from neurodsl.memory.report import MemoryReport, memory_report

__all__ = ["MemoryReport", "PackedSpikes", "compress_spikes", "memory_report"]
