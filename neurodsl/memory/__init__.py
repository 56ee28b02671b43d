"""What training keeps in memory: spikes as bits, checkpoints, and a report of the bytes of each layer."""

from __future__ import annotations

from neurodsl.memory.bits import PackedSpikes
from neurodsl.memory.checkpoint import checkpoint
from neurodsl.memory.compress import compress_spikes
from neurodsl.memory.report import MemoryReport, memory_report

__all__ = ["MemoryReport", "PackedSpikes", "checkpoint", "compress_spikes", "memory_report"]
