"""A device: its primary context, which is PyTorch's too, and the modules that are loaded in it."""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from neurodsl.runtime.cuda.driver import Driver, driver
from neurodsl.runtime.cuda.errors import CudaError

_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…"""
_INFO_LOG, _INFO_SIZE, _ERROR_LOG, _ERROR_SIZE = 3, 4, 5, 6
"""CU_JIT_…_LOG_BUFFER and …_LOG_BUFFER_SIZE_BYTES"""
_LOG_BYTES = 8192


class Context:
    """The primary context of one device. It is kept for as long as the process lives, as PyTorch keeps it."""

    def __init__(self, driver: Driver, ordinal: int) -> None:
        """Raises CudaError where there is no such device."""
        self.driver, self.ordinal = driver, ordinal
        device, handle = ctypes.c_int(), ctypes.c_void_p()
        driver.call("cuDeviceGet", ctypes.byref(device), ordinal)
        parts = []
        for attribute in (_MAJOR, _MINOR):
            value = ctypes.c_int()
            driver.call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
            parts.append(value.value)
        self.capability = parts[0], parts[1]
        driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(handle), device)
        self._handle = handle.value
        self._modules: dict[bytes, ctypes.c_void_p] = {}
        self._lock = threading.Lock()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this context the thread's current one, whatever device that was on."""
        now = ctypes.c_void_p()
        self.driver.call("cuCtxGetCurrent", ctypes.byref(now))
        if now.value == self._handle:
            yield
            return
        self.driver.call("cuCtxPushCurrent_v2", self._handle)
        try:
            yield
        finally:
            self.driver.call("cuCtxPopCurrent_v2", ctypes.byref(now))

    def module(self, image: bytes) -> ctypes.c_void_p:
        """The module of a fatbin, a cubin or a PTX text, loaded once, by whichever thread comes first.

        Raises:
            CudaError: the driver refused it; its log is in the message.
        """
        key = hashlib.sha256(image).digest()
        with self._lock:
            if key not in self._modules:
                with self.current(), self.driver.relaxed():
                    self._modules[key] = self._loaded(image)
            return self._modules[key]

    def function(self, module: ctypes.c_void_p, symbol: str) -> int:
        """A kernel of a module, in the device's memory already, so that its first launch has to wait for nothing.

        Raises:
            CudaError: there is none of this name.
        """
        found = ctypes.c_void_p()
        with self.current(), self.driver.relaxed():
            name = symbol.encode("ascii")
            try:
                self.driver.call("cuModuleGetFunction", ctypes.byref(found), module, name)
                if self.driver.has("cuFuncLoad"):  # since CUDA 12.4; drivers load lazily
                    self.driver.call("cuFuncLoad", found)
            except CudaError as error:
                raise CudaError(f"the kernel {symbol}: {error}", error.status) from None
        assert found.value is not None
        return found.value

    def launch(
        self, function: int, grid: int, block: int, shared_bytes: int, stream: int, arguments: Any
    ) -> None:
        """Put a kernel on a stream. `arguments` is an array with the address of each argument."""
        self.driver.check_process()
        library = self.driver.library
        sizes = grid, 1, 1, block, 1, 1, shared_bytes
        now = ctypes.c_void_p()
        if not library.cuCtxGetCurrent(ctypes.byref(now)) and now.value == self._handle:
            status = library.cuLaunchKernel(function, *sizes, stream, arguments, None)
        else:
            with self.current():
                status = library.cuLaunchKernel(function, *sizes, stream, arguments, None)
        if status:
            raise CudaError(self.driver.words(status), status)

    def _loaded(self, image: bytes) -> ctypes.c_void_p:
        module = ctypes.c_void_p()
        logs = [ctypes.create_string_buffer(_LOG_BYTES) for _ in range(2)]
        options = (ctypes.c_int * 4)(_INFO_LOG, _INFO_SIZE, _ERROR_LOG, _ERROR_SIZE)
        size = ctypes.c_void_p(_LOG_BYTES)
        places = [ctypes.cast(log, ctypes.c_void_p) for log in logs]
        values = (ctypes.c_void_p * 4)(places[0], size, places[1], size)
        try:
            self.driver.call(
                "cuModuleLoadDataEx", ctypes.byref(module), image, len(options), options, values
            )
        except CudaError as error:
            raise CudaError(f"{error}{_shown(logs)}", error.status) from None
        return module


def _shown(logs: Sequence[Any]) -> str:
    said = [log.value.decode("utf-8", "replace").strip() for log in logs]
    text = "\n".join(part for part in said if part)
    return f"\n  its log:\n{text}" if text else ""


_LOCK = threading.Lock()


def context(ordinal: int) -> Context:
    """The context of a device, made at first use.

    Raises:
        CudaError: there is no driver, or no such device.
    """
    with _LOCK:
        return _of(driver(), ordinal)


_of = lru_cache(Context)
