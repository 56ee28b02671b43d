"""The most memory that a call takes at once, from what Linux says of the process."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import neurodsl

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
LEAST = 4 << 20
"""Bytes of one array below which the pages of everything else drown what is looked for."""


def peak_bytes(call: Callable[[], object]) -> int | None:
    """Bytes resident at the peak of a call over those before it; None where the system cannot tell.

    Memory that was kept for outputs to come is given back first, so that it counts again.
    """
    gc.collect()
    neurodsl.empty_cache()
    _trim()
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
        before = _kibibytes("VmRSS")
        call()
        return max(0, _kibibytes("VmHWM") - before) * 1024
    except OSError:
        return None


def _kibibytes(name: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise OSError(f"{_STATUS} has no {name}")


def _trim() -> None:
    """Free heap goes back to the system, where that can be asked for."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
