"""The CUDA back end: `.cu` with a C interface, some neurons a thread through all time steps."""

from __future__ import annotations

from neurodsl.csrc_gen.cuda.unit import CudaBackend

__all__ = ["CudaBackend"]
