"""The CUDA back end: `.cu` with a C interface, one thread a neuron."""

from __future__ import annotations

from neurodsl.csrc_gen.cuda.unit import CudaBackend

__all__ = ["CudaBackend"]
