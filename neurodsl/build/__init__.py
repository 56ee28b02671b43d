"""From generated texts to what the machine runs: compilers, ninja, and a cache of what was built.

`cpu_library`, `portable_library`, `cubin`, `fatbin` and `image_by_nvrtc` compile a text, `module_folder` keeps
generated modules. All answer from a content-addressed cache where they can. Neither torch nor the compiler's own
stages are imported here.
"""

from __future__ import annotations

from neurodsl.build.errors import BuildError, CacheError, ToolchainError
from neurodsl.build.gpu_images import cubin, fatbin, image_by_nvrtc
from neurodsl.build.libraries import cpu_library, module_folder, portable_library

__all__ = [
    "BuildError",
    "CacheError",
    "ToolchainError",
    "cpu_library",
    "cubin",
    "fatbin",
    "image_by_nvrtc",
    "module_folder",
    "portable_library",
]
