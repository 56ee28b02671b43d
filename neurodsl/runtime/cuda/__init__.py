"""Kernels on a GPU, from image to launch, through the CUDA driver; on PyTorch's stream and in its memory.

driver.py calls the driver, context.py holds what is loaded on a device, loading.py finds the image, kernel.py picks
and launches, packing.py lays out the arguments, reductions.py has the one choice a user has.
"""

from __future__ import annotations

from neurodsl.runtime.cuda.errors import CudaError
from neurodsl.runtime.cuda.kernel import CudaKernel
from neurodsl.runtime.cuda.loading import CudaLibrary, cuda_library
from neurodsl.runtime.cuda.reductions import use_atomic_gradients

__all__ = ["CudaError", "CudaKernel", "CudaLibrary", "cuda_library", "use_atomic_gradients"]
