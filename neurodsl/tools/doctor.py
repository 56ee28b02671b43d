"""Examines this machine: what fused kernels need, what is there, and the command that mends what is not."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neurodsl.build import BuildError, ToolchainError, cache, cpu_library
from neurodsl.build.cache import CACHE_REMEDY
from neurodsl.build.nvrtc import find_nvrtc
from neurodsl.build.toolchain import (
    NVCC_REMEDY,
    NVRTC_REMEDY,
    cpu_features,
    cuda_driver,
    cxx_compiler,
    find_nvcc,
    ninja_program,
)
from neurodsl.build.variants import levels_here
from neurodsl.version import __version__

PROBE = """
#include <omp.h>
extern "C" int probe_threads() {
    int threads = 0;
    #pragma omp parallel
    {
        #pragma omp atomic
        ++threads;
    }
    return threads;
}
"""


class State(StrEnum):
    """How a finding stands."""

    OK = "ok"
    MISSING = "missing"
    """The fused kernels of this machine cannot run without it."""
    OPTIONAL = "optional"
    """Not there, and not needed unless you want what it gives."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for: what was found, and how to mend it if it was not."""

    name: str
    state: State
    detail: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look for everything that matters, in the order in which it is needed."""
    return [
        Finding("neurodsl", State.OK, f"{__version__}, Python {platform.python_version()}"),
        _package("torch", "pip install torch"),
        _package("sympy", "pip install sympy"),
        _package("lark", "pip install lark"),
        _tool("C++ compiler", lambda: cxx_compiler().version),
        _tool("ninja", ninja_program),
        _cache(),
        _processor(),
        *_trial_build(),
        _nvcc(),
        _nvrtc(),
        _gpu(),
    ]


def _package(name: str, remedy: str) -> Finding:
    try:
        return Finding(name, State.OK, version(name))
    except PackageNotFoundError:
        return Finding(name, State.MISSING, "not installed", remedy)


def _tool(name: str, find: Callable[[], str]) -> Finding:
    try:
        return Finding(name, State.OK, find())
    except ToolchainError as error:
        return Finding(name, State.MISSING, error.message, error.remedy)


def _cache() -> Finding:
    folder = cache.root()
    try:
        cache.check_writable()
    except OSError as error:
        detail = f"{folder} cannot be written: {error.strerror}"
        chosen = "NEURODSL_CACHE_DIR" in os.environ
        state = (
            State.MISSING if chosen else State.OPTIONAL
        )  # else a folder for each process will do
        return Finding("cache", state, detail, CACHE_REMEDY)
    return Finding("cache", State.OK, f"{folder} ({_megabytes(folder)})")


def _megabytes(folder: Path) -> str:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 1e6:.1f} MB"


def _processor() -> Finding:
    shown = [name for name in ("avx2", "fma", "avx512f", "asimd", "sve") if name in cpu_features()]
    detail = " ".join([platform.machine(), *shown])
    level = next((one for one in levels_here() if one.runs_with(cpu_features())), None)
    if level is not None:
        detail += f"; libraries of --build run their kernels for {level.name}"
    return Finding("processor", State.OK, detail)


def _trial_build() -> Iterator[Finding]:
    """Build a few lines, load them, and count the threads that run them: the whole way of a kernel."""
    try:
        path = cpu_library(PROBE, (), stem="probe")
    except ToolchainError as error:
        yield Finding("trial build", State.MISSING, error.message, error.remedy)
        return
    except BuildError as error:
        yield Finding("trial build", State.MISSING, str(error))
        return
    try:
        import torch
    except ImportError:
        return
    from neurodsl.runtime.kernels import promote_openmp

    promote_openmp()
    threads = ctypes.CDLL(str(path)).probe_threads()
    wanted = torch.get_num_threads()
    detail = f"built, loaded, run by {threads} of PyTorch's {wanted} threads"
    yield Finding("trial build", State.OK, detail)


def _nvcc() -> Finding:
    nvcc = find_nvcc()
    if nvcc is None:
        return Finding("nvcc", State.OPTIONAL, "not found: --build makes no fatbin", NVCC_REMEDY)
    return Finding("nvcc", State.OK, nvcc.version)


def _nvrtc() -> Finding:
    nvrtc = find_nvrtc()
    if nvrtc is None:
        detail = "not found: on a GPU, kernels are compiled by nvcc, or come from --build"
        return Finding("NVRTC", State.OPTIONAL, detail, NVRTC_REMEDY)
    newest = f", up to sm_{max(nvrtc.architectures)}" if nvrtc.architectures else ""
    return Finding("NVRTC", State.OK, f"{nvrtc.version_text}{newest}, {nvrtc.path}")


def _gpu() -> Finding:
    try:
        driver = ctypes.CDLL(cuda_driver())
    except OSError:
        return Finding("GPU", State.OPTIONAL, "no CUDA driver on this machine")
    count, version = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return Finding("GPU", State.OPTIONAL, "a CUDA driver, but it does not start")
    if not count.value:
        return Finding("GPU", State.OPTIONAL, "a CUDA driver, but no device")
    driver.cuDriverGetVersion(ctypes.byref(version))
    known = f"driver for CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    found = _gpu_of_torch(count.value)
    return replace(found, detail=f"{found.detail}; {known}")


def _gpu_of_torch(count: int) -> Finding:
    try:
        import torch
    except ImportError:
        return Finding("GPU", State.OPTIONAL, f"{count} devices, but no PyTorch")
    if not torch.cuda.is_available():
        detail = f"{count} devices, but this PyTorch ({torch.__version__}) cannot use them"
        return Finding("GPU", State.OPTIONAL, detail, "install a CUDA build of PyTorch")
    return Finding("GPU", State.OK, f"{count} x {torch.cuda.get_device_name()}")
