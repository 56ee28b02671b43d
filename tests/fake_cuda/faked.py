"""The fake CUDA driver as tests use it, and tensors that say they are on a GPU while they are in the CPU's memory."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from numerics.launching import cuda_kernels

SOURCE = Path(__file__).parent / "fake_cuda.cpp"
LETTERS = {"float": "f", "double": "d", "int32_t": "i", "int64_t": "q"}
FIRST_STREAM = 0x5000


def build(folder: Path) -> Path:
    """Compile the fake driver."""
    library = folder / "libcuda-fake.so"
    flags = ["-std=c++17", "-O1", "-fPIC", "-shared", "-w"]
    subprocess.run(["g++", *flags, str(SOURCE), "-o", str(library)], check=True)
    return library


class FakeCuda:
    """A driver with some devices of its own, all of one compute capability at first."""

    def __init__(self, built: Path, folder: Path, devices: int = 1, capability: int = 90) -> None:
        """A copy of the library is a driver of its own."""
        self.path = shutil.copy(built, folder / "libcuda-fake.so")
        self.library = ctypes.CDLL(str(self.path))
        self.library.fake_cuda_calls.restype = ctypes.c_char_p
        self.library.fake_cuda_reset(devices, capability)
        self.streams = {ordinal: FIRST_STREAM + ordinal for ordinal in range(devices)}
        for ordinal, stream in self.streams.items():
            self.know_stream(stream, ordinal)
        self.images = 0

    def calls(self, name: str | None = None) -> list[dict[str, Any]]:
        """What was called, in order."""
        found = json.loads(self.library.fake_cuda_calls())
        return [call for call in found if name in (None, call["call"])]

    def kernels(self) -> list[str]:
        """The kernels that were launched, in order."""
        return [call["kernel"] for call in self.calls("cuLaunchKernel")]

    def clear(self) -> None:
        """Forget the calls."""
        self.library.fake_cuda_clear()

    def fail(self, call: str, status: int) -> None:
        """Let the next call of a function fail."""
        self.library.fake_cuda_fail(call.encode(), status)

    def image(self, shim: Path | None, capability: int = 0) -> bytes:
        """An image that the driver knows, with the host's library of its kernels; None: they only are recorded."""
        self.images += 1
        content = f"image {self.images} of the fake driver".encode()
        self.register(content, shim, capability)
        return content

    def register(self, content: bytes, shim: Path | None, capability: int = 0) -> None:
        """Make an image known to the driver."""
        library = str(shim or "").encode()
        self.library.fake_cuda_image(content, ctypes.c_size_t(len(content)), library, capability)

    def know_stream(self, stream: int, ordinal: int) -> None:
        """Say which device a stream is on."""
        self.library.fake_cuda_stream(ctypes.c_void_p(stream), ordinal)

    def describe(self, manifest: dict[str, Any]) -> None:
        """Say the types of all kernels' arguments, so that their values are recorded."""
        for entry in cuda_kernels(manifest):
            types = [a["type"] for a in entry["arguments"]]
            letters = "".join("P" if t.endswith("*") else LETTERS[t] for t in types)
            self.library.fake_cuda_types(entry["symbol"].encode(), letters.encode())

    def current_stream(self, device: torch.device) -> Any:
        """In place of `torch.cuda.current_stream`."""
        return SimpleNamespace(cuda_stream=self.streams[device.index])

    @contextmanager
    def stream(self, handle: int, ordinal: int = 0) -> Iterator[None]:
        """In place of `torch.cuda.stream`."""
        before = self.streams[ordinal]
        self.know_stream(handle, ordinal)
        self.streams[ordinal] = handle
        yield
        self.streams[ordinal] = before

    @contextmanager
    def capture(self, ordinal: int = 0) -> Iterator[None]:
        """In place of `torch.cuda.graph`: the current stream is under capture."""
        stream = ctypes.c_void_p(self.streams[ordinal])
        self.library.fake_cuda_capture(stream, 1)
        yield
        self.library.fake_cuda_capture(stream, 0)


class GpuTensor(torch.Tensor):
    """A tensor of the CPU that says it is on a GPU; what is computed from it says so, too."""

    ordinal = 0

    @property
    def device(self) -> torch.device:
        return torch.device("cuda", self.ordinal)

    is_cpu = property(lambda self: False)
    is_cuda = property(lambda self: True)


@cache
def _class_of(ordinal: int) -> type[GpuTensor]:
    return type(f"Gpu{ordinal}Tensor", (GpuTensor,), {"ordinal": ordinal})


def on_gpu(tensor: torch.Tensor, ordinal: int = 0) -> torch.Tensor:
    """The same memory, said to be on a GPU."""
    return tensor.as_subclass(_class_of(ordinal))


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory on the CPU."""
    return tensor.as_subclass(torch.Tensor)


class Pretence:
    """Tensors that are asked for on a GPU are made on the CPU, by what is put in place of PyTorch's functions."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.allocations: list[tuple[tuple[int, ...], torch.device]] = []
        self.largest: int | None = None
        """Elements from which a tensor is made small: for launches that are recorded and not run."""
        for function in (torch.empty, torch.empty_strided, torch.tensor):
            patch.setattr(torch, function.__name__, self._instead_of(function))
        convert = torch.Tensor.to

        def to(tensor: torch.Tensor, *args: Any, **given: Any) -> torch.Tensor:
            gpus = [a for a in args if isinstance(a, torch.device) and a.type == "cuda"]
            if not gpus:
                return convert(tensor, *args, **given)
            rest = [a for a in args if a not in gpus]
            return on_gpu(convert(tensor, *rest, **given) if rest else tensor, gpus[0].index)

        patch.setattr(torch.Tensor, "to", to)

    def _instead_of(self, function: Any) -> Any:
        def made(*args: Any, device: Any = None, **given: Any) -> torch.Tensor:
            wanted = None if device is None else torch.device(device)
            if wanted is None or wanted.type != "cuda":
                return function(*args, device=device, **given)
            if function.__name__ != "tensor":
                self.allocations.append((tuple(args[0]), wanted))
                if self.largest is not None and torch.Size(args[0]).numel() > self.largest:
                    args = ((1,),)
            return on_gpu(function(*args, device="cpu", **given), wanted.index)

        return made
