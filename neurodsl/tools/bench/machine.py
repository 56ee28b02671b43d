"""What the figures depend on: the machine, the versions, the threads, the call path and the heap."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

import neurodsl
from neurodsl.build.errors import BuildError, ToolchainError

BUSY = 0.8
"""Processes that ran in the last minute, on average, from which on one cannot measure well."""

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1


def facts() -> dict[str, Any]:
    """Names and versions."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "neurodsl": neurodsl.__version__,
    }


def ready_call_path() -> str:
    """Wait until the call path in C++ is built, and load it: what runs is then what a process runs in the long run.

    Returns "C++", or "Python" and why.
    """
    if os.environ.get("NEURODSL_NATIVE") == "0":
        return "Python (NEURODSL_NATIVE=0)"
    if not sys.platform.startswith("linux"):
        return "Python (C++ on Linux only)"
    from neurodsl.native import build_native

    try:
        build_native()
    except (ToolchainError, BuildError, OSError, ImportError) as problem:
        return f"Python ({str(problem).splitlines()[0]})"
    return "C++"


def keep_heap() -> bool:
    """From now on memory that tensors gave back stays in this process (glibc only); whether that could be had.

    Without it a tensor of 32 MiB or more comes fresh from the system in every call, and its pages have to be cleared.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
