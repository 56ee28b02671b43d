"""From kernel plans to source text: readable Python, C++, CUDA, the manifest."""

from __future__ import annotations

from neurodsl.csrc_gen.backend import Backend


def backends() -> tuple[Backend, ...]:
    """Every back end, in the order in which files are written."""
    from neurodsl.csrc_gen.cpp import CppBackend
    from neurodsl.csrc_gen.cuda import CudaBackend
    from neurodsl.csrc_gen.manifest import ManifestBackend
    from neurodsl.csrc_gen.python import PythonBackend

    return (PythonBackend(), CppBackend(), CudaBackend(), ManifestBackend())
