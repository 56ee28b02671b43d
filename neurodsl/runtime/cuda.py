"""Cubins on a GPU: loaded and launched through the CUDA driver, on PyTorch's stream and in its memory."""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch

from neurodsl.runtime.arithmetic import evaluate
from neurodsl.runtime.manifest import Manifest

_LOCK = threading.Lock()
_TYPES: dict[str, Any] = {
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
}
_DTYPES = {"float*": torch.float32, "double*": torch.float64}


class CudaError(RuntimeError):
    """The CUDA driver refused a call."""


class AnyDriver(Protocol):
    """What launching needs of the CUDA driver."""

    def function(self, image: bytes, symbol: str) -> Any:
        """A kernel of a cubin."""

    def launch(
        self, function: Any, grid: int, block: int, shared_bytes: int, stream: int, arguments: Any
    ) -> None:
        """Put a kernel on a stream."""


class Driver:
    """The CUDA driver, in the primary context of one device, which is PyTorch's."""

    def __init__(self, ordinal: int) -> None:
        """Raises CudaError where there is no driver."""
        name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
        try:
            self._cuda: Any = ctypes.CDLL(name)
        except OSError as error:
            raise CudaError(f"the CUDA driver cannot be loaded: {error}") from error
        self._check(self._cuda.cuInit(0))
        device = ctypes.c_int()
        self._check(self._cuda.cuDeviceGet(ctypes.byref(device), ordinal))
        self._context = ctypes.c_void_p()
        self._check(self._cuda.cuDevicePrimaryCtxRetain(ctypes.byref(self._context), device))
        self._modules: dict[bytes, ctypes.c_void_p] = {}

    def function(self, image: bytes, symbol: str) -> ctypes.c_void_p:
        """A kernel of a cubin."""
        function = ctypes.c_void_p()
        with self:
            if image not in self._modules:
                module = ctypes.c_void_p()
                self._check(self._cuda.cuModuleLoadData(ctypes.byref(module), image))
                self._modules[image] = module
            found = self._cuda.cuModuleGetFunction(
                ctypes.byref(function), self._modules[image], symbol.encode("ascii")
            )
            self._check(found)
        return function

    def launch(
        self, function: Any, grid: int, block: int, shared_bytes: int, stream: int, arguments: Any
    ) -> None:
        """Put a kernel on a stream. `arguments` is an array with the address of each argument."""
        sizes = (ctypes.c_uint(size) for size in (grid, 1, 1, block, 1, 1, shared_bytes))
        with self:
            launched = self._cuda.cuLaunchKernel(
                function, *sizes, ctypes.c_void_p(stream), arguments, None
            )
            self._check(launched)

    def __enter__(self) -> None:
        self._check(self._cuda.cuCtxPushCurrent_v2(self._context))

    def __exit__(self, *_: object) -> None:
        self._check(self._cuda.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p())))

    def _check(self, status: int) -> None:
        if status:
            text = ctypes.c_char_p()
            self._cuda.cuGetErrorString(status, ctypes.byref(text))
            said = (text.value or b"unknown").decode("ascii", "replace")
            raise CudaError(f"the CUDA driver says: {said} (status {status})")


class CudaKernel:
    """One kernel with the argument list of the manifest; its workspaces are made for each launch.

    A kernel with `partials` leaves each block's part of the params' gradients there; `reduce` adds them up.
    """

    def __init__(
        self,
        library: CudaLibrary,
        entry: dict[str, Any],
        reduce: CudaKernel | None = None,
    ) -> None:
        self.arguments: list[dict[str, Any]] = entry["arguments"]
        self._entry, self._library, self._reduce = entry, library, reduce
        self._function = library.driver.function(library.image, entry["symbol"])
        self._names = [argument["name"] for argument in self.arguments]
        self._roles = [argument["role"] for argument in self.arguments]
        self._types = [
            ctypes.c_void_p if a["type"].endswith("*") else _TYPES[a["type"]]
            for a in self.arguments
        ]

    def __call__(self, values: list[Any]) -> None:
        """Launch with addresses and numbers (0 for null), workspaces left 0."""
        counts = {
            "T": values[self._roles.index("steps")] if "steps" in self._roles else 0,
            "N": values[self._roles.index("neurons")],
            "block": self._entry["block"],
            "elements_per_thread": self._entry["elements_per_thread"],
        }
        summing = any(
            value for value, role in zip(values, self._roles, strict=True) if role == "grad_param"
        )
        held: list[torch.Tensor] = []
        for place, argument in enumerate(self.arguments):
            if argument["role"] != "workspace" or values[place]:
                continue
            if argument.get("optional") and not summing:
                continue
            shape = [evaluate(size, counts) for size in argument["shape"]]
            dtype = _DTYPES[argument["type"]]
            held.append(torch.empty(shape, dtype=dtype, device=self._library.device))
            values[place] = held[-1].data_ptr()
        self._launch(values, counts)
        if summing and self._reduce is not None and self._entry["pass"] == "backward":
            given = dict(zip(self._names, values, strict=True))
            self._reduce([given[name] for name in self._reduce._names])

    def _launch(self, values: Sequence[Any], counts: dict[str, int]) -> None:
        made = [kind(value) for kind, value in zip(self._types, values, strict=True)]
        addresses = (ctypes.c_void_p * len(made))(*(ctypes.addressof(value) for value in made))
        grid = evaluate(self._entry["grid"], counts)
        shared = self._entry["shared_bytes"]
        library = self._library
        library.driver.launch(
            self._function, grid, counts["block"], shared, library.stream(), addresses
        )


class CudaLibrary:
    """The kernels of one cubin on one device."""

    def __init__(self, driver: AnyDriver, image: bytes, device: torch.device) -> None:
        self.driver, self.image, self.device = driver, image, device

    def kernel(self, entry: dict[str, Any], reduce: dict[str, Any] | None) -> CudaKernel:
        """A kernel from its entry in the manifest, and what adds up its partial sums."""
        second = None if reduce is None else CudaKernel(self, reduce)
        return CudaKernel(self, entry, second)

    def stream(self) -> int:
        """PyTorch's current stream."""
        if self.device.type != "cuda":
            return 0
        return int(torch.cuda.current_stream(self.device).cuda_stream)


_libraries: dict[tuple[str, str, torch.device], CudaLibrary] = {}


def cuda_library(manifest: Manifest, device: torch.device) -> CudaLibrary:
    """The kernels of a module for a device: the cubin beside the module, or one made by nvcc in the cache.

    Raises:
        ToolchainError: there is no cubin for this device and none can be made.
        CudaError: the driver refused it.
    """
    ordinal = torch.cuda.current_device() if device.index is None else device.index
    device = torch.device("cuda", ordinal)
    key = (str(manifest.module_file), manifest.fingerprint, device)
    with _LOCK:
        if key not in _libraries:
            capability = torch.cuda.get_device_capability(device)
            image = cubin_for(manifest, capability).read_bytes()
            _libraries[key] = CudaLibrary(_driver(ordinal), image, device)
        return _libraries[key]


def cubin_for(manifest: Manifest, capability: tuple[int, int]) -> Path:
    """The cubin for a compute capability: one beside the module for it or an earlier minor version, else a new one."""
    major, minor = capability
    folder = manifest.module_file.parent
    for lower in range(minor, -1, -1):
        beside = folder / f"{manifest.stem}.sm_{major}{lower}.cubin"
        if beside.exists():
            return beside
    from neurodsl.build import cubin

    source = manifest.sibling(".cu").read_text(encoding="utf-8")
    flags = manifest["flags"]["nvcc"]
    return cubin(source, flags, f"sm_{major}{minor}", stem=re.sub(r"\W", "_", manifest.stem))


@cache
def _driver(ordinal: int) -> Driver:
    return Driver(ordinal)
