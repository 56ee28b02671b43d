"""NVRTC, NVIDIA's CUDA compiler as a library: found in PyTorch's own libraries or elsewhere, called through ctypes."""

from __future__ import annotations

import ctypes
import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from neurodsl.build.errors import ToolchainError

VARIABLE = "NEURODSL_NVRTC"
"""Environment variable: the NVRTC library to take, as a path; empty for none."""

_OUT_OF_MEMORY, _INVALID_OPTION, _COMPILATION = 1, 5, 6


class NvrtcError(Exception):
    """NVRTC has found something wrong with a text; the argument is its log."""


@dataclass(frozen=True, slots=True)
class Nvrtc:
    """An NVRTC library."""

    path: str
    version: tuple[int, int]
    architectures: tuple[int, ...]
    """The compute capabilities that it makes code for, as 90 for 9.0; empty if it does not say."""
    library: Any

    @property
    def version_text(self) -> str:
        """As `13.0`."""
        return ".".join(map(str, self.version))

    def compile(self, source: str, options: Sequence[str], name: str, arch: str) -> bytes:
        """The machine code of a text for an architecture such as `sm_90`, or its PTX for one such as `compute_90`.

        Raises:
            NvrtcError: the text is wrong.
            ToolchainError: NVRTC itself failed.
        """
        library, program = self.library, ctypes.c_void_p()
        given = source.encode(), name.encode(), 0, None, None
        self._check(library.nvrtcCreateProgram(ctypes.byref(program), *given))
        try:
            words = [f"--gpu-architecture={arch}".encode(), *(o.encode() for o in options)]
            array = (ctypes.c_char_p * len(words))(*words)
            status = library.nvrtcCompileProgram(program, len(words), array)
            if status in (_INVALID_OPTION, _COMPILATION):
                raise NvrtcError(self._log(program))
            self._check(status, self._log(program))
            return self._result(program, "PTX" if arch.startswith("compute_") else "CUBIN")
        finally:
            library.nvrtcDestroyProgram(ctypes.byref(program))

    def _result(self, program: ctypes.c_void_p, kind: str) -> bytes:
        size = ctypes.c_size_t()
        get_size = getattr(self.library, f"nvrtcGet{kind}Size")
        self._check(get_size(program, ctypes.byref(size)))
        content = ctypes.create_string_buffer(size.value)
        self._check(getattr(self.library, f"nvrtcGet{kind}")(program, content))
        return content.raw

    def _log(self, program: ctypes.c_void_p) -> str:
        size = ctypes.c_size_t()
        if self.library.nvrtcGetProgramLogSize(program, ctypes.byref(size)) or not size.value:
            return ""
        text = ctypes.create_string_buffer(size.value)
        self.library.nvrtcGetProgramLog(program, text)
        return text.value.decode("utf-8", "replace").strip()

    def _check(self, status: int, log: str = "") -> None:
        if status:
            said: bytes = self.library.nvrtcGetErrorString(status) or b"unknown"
            detail = f"; it says:\n{log}" if log else ""
            remedy = (
                "free some memory"
                if status == _OUT_OF_MEMORY
                else "install its package again, or say "
                f"{VARIABLE}=/another/libnvrtc.so (empty: leave it to nvcc)"
            )
            raise ToolchainError(
                f"NVRTC {self.version_text} ({self.path}) failed: {said.decode()}{detail}", remedy
            )


def find_nvrtc() -> Nvrtc | None:
    """The library that NEURODSL_NVRTC names, else the first that loads: PyTorch's, a package's, the loader's."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return _opened(chosen) if chosen else None
    found = (_opened(path) for path in _candidates())
    return next((one for one in found if one is not None), None)


def _candidates() -> Iterator[str]:
    """Paths, those first whose version is most likely that of the CUDA that PyTorch runs on."""
    for package, folders in (("torch", ("lib",)), ("nvidia", ("cuda_nvrtc/lib", "cu*/lib"))):
        spec = find_spec(package)
        roots = spec.submodule_search_locations if spec else None
        for root in roots or ():
            for folder in folders:
                yield from _libraries(os.path.join(glob.escape(root), folder))
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            yield from _libraries(os.path.join(glob.escape(os.environ[variable]), "lib64"))
    yield from ("libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2")
    yield from _libraries("/usr/local/cuda/lib64")


def _libraries(folder: str) -> list[str]:
    """The NVRTC libraries in a folder, without those that belong to one: its built-ins and its other form."""
    found = glob.glob(os.path.join(folder, "libnvrtc*.so*"))
    return sorted(p for p in found if not re.search(r"builtins|\.alt\.", os.path.basename(p)))


def _open_builtins(folder: Path) -> None:
    """NVRTC looks for its built-ins by their name alone: what is loaded already is found."""
    for path in sorted(folder.glob("libnvrtc-builtins.so*")):
        with suppress(OSError):
            ctypes.CDLL(os.fspath(path))


@lru_cache
def _opened(path: str) -> Nvrtc | None:
    try:
        if os.sep in path:
            _open_builtins(Path(path).parent)
        library: Any = ctypes.CDLL(path)
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        if library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)):
            return None
        archs: list[int] = []
        if not library.nvrtcGetNumSupportedArchs(ctypes.byref(count)):
            array = (ctypes.c_int * count.value)()
            archs = [] if library.nvrtcGetSupportedArchs(array) else list(array)
    except (OSError, AttributeError):  # none, or one before CUDA 11.2
        return None
    where = str(Path(path).resolve()) if os.sep in path else path
    return Nvrtc(where, (major.value, minor.value), tuple(sorted(archs)), library)
