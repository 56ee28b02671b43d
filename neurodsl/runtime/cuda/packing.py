"""The arguments of a launch in memory, as cuLaunchKernel reads them: a value each, and the address of each value."""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Sequence
from typing import Any

_CODES = {
    "float": "f",
    "double": "d",
    "int32_t": "i",
    "int64_t": "q",
    "uint8_t": "B",
    "uint16_t": "H",
    "uint32_t": "I",
}


class Packing(threading.local):
    """The memory of a kernel's arguments, which each thread has its own of; the driver copies it in the call."""

    def __init__(self, types: Sequence[str]) -> None:
        """`types` are those of a manifest, in order."""
        codes = ["P" if name.endswith("*") else _CODES[name] for name in types]
        self._struct = struct.Struct("@" + "".join(codes))
        self._buffer = ctypes.create_string_buffer(max(self._struct.size, 1))
        start = ctypes.addressof(self._buffer)
        ends = [struct.calcsize("@" + "".join(codes[: k + 1])) for k in range(len(codes))]
        offsets = [end - struct.calcsize(code) for end, code in zip(ends, codes, strict=True)]
        self._addresses = (ctypes.c_void_p * max(len(codes), 1))(*(start + o for o in offsets))

    def addresses(self, values: Sequence[Any]) -> Any:
        """An array with the address of each value, good until this thread's next call; floats beyond range are inf."""
        self._struct.pack_into(self._buffer, 0, *values)
        return self._addresses
