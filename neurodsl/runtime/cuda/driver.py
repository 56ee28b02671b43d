"""The library of the CUDA driver, called through ctypes: one a process."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from neurodsl.build.toolchain import cuda_driver
from neurodsl.runtime.cuda.errors import CudaError, remedy_for

_RELAXED = 2
"""The capture mode in which a thread may make calls that are unsafe for a capture, such as loading a module."""


class Driver:
    """The CUDA driver."""

    def __init__(self, path: str) -> None:
        """Load and start the driver.

        Raises:
            CudaError: there is none, or it does not start.
        """
        try:
            self.library: Any = ctypes.CDLL(path)
        except OSError as error:
            raise CudaError(
                f"the CUDA driver cannot be loaded: {error}\n  to mend it: install NVIDIA's driver, or say where it is:"
                " export NEURODSL_CUDA_DRIVER=/a/folder/libcuda.so.1"
            ) from error
        self._process = os.getpid()
        pointer, size = ctypes.c_void_p, ctypes.c_uint
        self.library.cuLaunchKernel.argtypes = (pointer, *[size] * 7, pointer, pointer, pointer)
        self.library.cuCtxPushCurrent_v2.argtypes = (pointer,)
        self.call("cuInit", 0)
        version = ctypes.c_int()
        self.call("cuDriverGetVersion", ctypes.byref(version))
        self.version = version.value // 1000, version.value % 1000 // 10
        """Of the newest CUDA that it runs."""

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver.

        Raises:
            CudaError: it says no, in its words.
        """
        self.check_process()
        status = getattr(self.library, name)(*arguments)
        if status:
            raise CudaError(f"{name}: {self.words(status)}", status)

    def has(self, name: str) -> bool:
        """Whether this driver has a function."""
        return hasattr(self.library, name)

    def check_process(self) -> None:
        """CUDA does not survive a fork.

        Raises:
            CudaError: this process was forked off the one that started the driver.
        """
        if os.getpid() != self._process:
            raise CudaError(
                f"this process was forked off process {self._process}, which had started CUDA, and CUDA cannot be used "
                "in both; start workers with torch.multiprocessing.set_start_method('spawn'), or use the GPU in the "
                "workers only"
            )

    def words(self, status: int) -> str:
        """What a status means, as the driver says it, and what to do about it."""
        name, text = ctypes.c_char_p(), ctypes.c_char_p()
        self.library.cuGetErrorName(status, ctypes.byref(name))
        self.library.cuGetErrorString(status, ctypes.byref(text))
        name_text = (name.value or b"unknown").decode("ascii", "replace")
        said = f"the CUDA driver says {name_text} ({status})"
        if text.value:
            said += f": {text.value.decode('ascii', 'replace')}"
        remedy = remedy_for(status)
        return f"{said}\n  to mend it: {remedy}" if remedy else said

    @contextmanager
    def relaxed(self) -> Iterator[None]:
        """Let this thread load modules although a stream is under capture; drivers before CUDA 12.3 refuse still."""
        mode = ctypes.c_int(_RELAXED)
        self.call("cuThreadExchangeStreamCaptureMode", ctypes.byref(mode))
        try:
            yield
        finally:
            self.call("cuThreadExchangeStreamCaptureMode", ctypes.byref(mode))


_LOCK = threading.Lock()


def driver() -> Driver:
    """The driver of this process, started at first use.

    Raises:
        CudaError: there is none, or it does not start.
    """
    with _LOCK:
        return _opened(cuda_driver())


_opened = lru_cache(Driver)
