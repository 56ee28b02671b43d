"""NeuroDSL: write a spiking neuron's equations, get fused CPU and CUDA kernels and a PyTorch module.

    import neurodsl
    lif = neurodsl.load("lif.neuron")      # compile (cached) and import
    spikes = lif.LIF(tau=2.0)(x)           # x: [T, B, *]

Everything is imported at first use, so that `import neurodsl` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from neurodsl.version import __version__

if TYPE_CHECKING:
    from neurodsl import library as library
    from neurodsl.build import ToolchainError
    from neurodsl.diagnostics import CompileError
    from neurodsl.files import CompileResult, compile_file
    from neurodsl.loading import load
    from neurodsl.memory import PackedSpikes, checkpoint, compress_spikes, memory_report
    from neurodsl.native import build_native, empty_cache, set_pool_limit
    from neurodsl.runtime.cuda import use_atomic_gradients
    from neurodsl.runtime.distributed import replicate_scalars
    from neurodsl.tools.nir import from_nir, to_nir

__all__ = [
    "CompileError",
    "CompileResult",
    "PackedSpikes",
    "ToolchainError",
    "__version__",
    "build_native",
    "checkpoint",
    "compile_file",
    "compress_spikes",
    "empty_cache",
    "from_nir",
    "library",
    "load",
    "memory_report",
    "replicate_scalars",
    "set_pool_limit",
    "to_nir",
    "use_atomic_gradients",
]

_HOME = {
    "CompileError": "neurodsl.diagnostics",
    "CompileResult": "neurodsl.files",
    "PackedSpikes": "neurodsl.memory",
    "ToolchainError": "neurodsl.build",
    "build_native": "neurodsl.native",
    "checkpoint": "neurodsl.memory",
    "compile_file": "neurodsl.files",
    "compress_spikes": "neurodsl.memory",
    "empty_cache": "neurodsl.native",
    "from_nir": "neurodsl.tools.nir",
    "load": "neurodsl.loading",
    "memory_report": "neurodsl.memory",
    "replicate_scalars": "neurodsl.runtime.distributed",
    "set_pool_limit": "neurodsl.native",
    "to_nir": "neurodsl.tools.nir",
    "use_atomic_gradients": "neurodsl.runtime.cuda",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "library":
        return import_module("neurodsl.library")
    raise AttributeError(f"module 'neurodsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
