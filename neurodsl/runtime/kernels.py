"""The CPU library of a generated module, loaded through ctypes: a call is addresses and numbers, nothing else."""

from __future__ import annotations

import ctypes
import glob
import os
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from neurodsl.runtime.manifest import Manifest

_LOCK = threading.Lock()
_TYPES: dict[str, Any] = {
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "int32_t": ctypes.c_int32,
}
_TYPES |= {"int64_t": ctypes.c_int64}


@cache
def promote_openmp() -> str | None:
    """Make the OpenMP runtime that PyTorch has loaded visible to our libraries; its path, None if there is none.

    Our libraries leave OpenMP's functions undefined, so that there is one pool of threads.
    """
    import torch

    folder = Path(torch.__file__).parent
    loaded = _loaded_libraries()
    candidates = [path for path in loaded if "gomp" in Path(path).name or "iomp" in Path(path).name]
    candidates += sorted(glob.glob(str(folder / "lib" / "lib*omp*.so*")))
    candidates += sorted(glob.glob(str(folder.parent / "torch.libs" / "lib*omp*.so*")))
    for path in candidates:
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return path
    try:
        ctypes.CDLL("libgomp.so.1", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return None
    return "libgomp.so.1"


def _loaded_libraries() -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {
            line.split(maxsplit=5)[5].strip() for line in maps if line.count("/") and ".so" in line
        }
    return sorted(paths)


class Kernel:
    """One C function with the argument list of the manifest. Called with numbers and addresses (0 for null)."""

    def __init__(self, function: Any, entry: dict[str, Any]) -> None:
        self.arguments: list[dict[str, Any]] = entry["arguments"]
        self.symbol: str = entry["symbol"]
        function.restype = ctypes.c_int
        function.argtypes = [
            ctypes.c_void_p if a["type"].endswith("*") else _TYPES[a["type"]]
            for a in self.arguments
        ]
        self._function = function

    def __call__(self, values: list[Any]) -> None:
        """Run it; the interpreter's lock is released meanwhile.

        Raises:
            MemoryError: there was no memory for its scratch.
        """
        if self._function(*values):
            raise MemoryError(f"{self.symbol}: no memory for its scratch")


class Kernels:
    """The kernels of one neuron: (pass, dtype, detached) -> Kernel. The library is built or found at first use."""

    _libraries: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, manifest: Manifest, neuron: str) -> None:
        self._manifest, self._neuron = manifest, neuron
        self._found: dict[tuple[str, str, bool], Kernel | None] = {}

    def get(self, which: str, dtype: str, *, detached: bool = False) -> Kernel | None:
        """A kernel; None if there is none (`forward_train` where nothing is saved).

        Raises:
            ToolchainError: the library has to be built and there is no compiler.
        """
        key = (which, dtype, detached)
        if key not in self._found:
            self._found[key] = self._load(which, dtype, detached)
        return self._found[key]

    def _load(self, which: str, dtype: str, detached: bool) -> Kernel | None:
        neuron = self._manifest["neurons"][self._neuron]
        entries = neuron["kernels"]
        if detached and "variants" in neuron:
            entries = neuron["variants"][0]["kernels"]
        for entry in entries:
            if (entry["target"], entry["pass"], entry["dtype"]) == ("cpp", which, dtype):
                return Kernel(getattr(self.library(), entry["symbol"]), entry)
        return None

    def library(self) -> Any:
        """The CPU library of the module, from beside it or built in the cache."""
        with _LOCK:
            key = os.fspath(self._manifest.module_file) + self._manifest.fingerprint
            if key not in self._libraries:
                promote_openmp()
                self._libraries[key] = ctypes.CDLL(os.fspath(self._path()))
            return self._libraries[key]

    def _path(self) -> Path:
        beside = self._manifest.sibling(".so", "lib")
        if beside.exists():
            return beside
        from neurodsl.build import cpu_library

        source = self._manifest.sibling(".cpp").read_text(encoding="utf-8")
        return cpu_library(source, self._manifest["flags"]["cxx"], stem=self._manifest.stem)
