"""The image of a module for a device: beside the module, or made by NVRTC or nvcc and kept in the cache."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from neurodsl.build.errors import ToolchainError
from neurodsl.runtime.cuda.context import Context, context
from neurodsl.runtime.cuda.errors import OF_ANOTHER_GPU, CudaError
from neurodsl.runtime.cuda.kernel import CudaKernel, Entry
from neurodsl.runtime.manifest import Manifest

SUFFIXES = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}
"""What the kernels of a dtype end in; `-DNEURODSL_ONLY=f32` compiles those alone."""

PARTS = ("main", "detached", "bits")
"""What of a dtype's kernels is compiled alone by `-DNEURODSL_PART=main`."""

Wanted = tuple[str, str]
"""A dtype and a part."""


def part_of(symbol: str) -> str:
    """The part that a kernel belongs to."""
    if "_backward_detached_" in symbol:
        return "detached"
    return "bits" if "_forward_bits_" in symbol else "main"


@dataclass(frozen=True, slots=True)
class Image:
    """What could be loaded: what it is, how to get its content, and whether it is for all dtypes."""

    name: str
    content: Callable[[], bytes]
    whole: bool


class CudaLibrary:
    """The kernels of a module on one device, loaded at first use: all that stand beside it, or those of one dtype."""

    def __init__(self, manifest: Manifest, context: Context, device: torch.device) -> None:
        self._manifest, self._context, self.device = manifest, context, device
        self._modules: dict[Wanted, Any] = {}
        self._lock = threading.Lock()

    def kernel(self, entries: Sequence[Entry], reduces: Sequence[Entry] = ()) -> CudaKernel:
        """A pass, from its entries in the manifest, and those of what adds up its partial sums."""
        return CudaKernel(self, entries, reduces)

    def load(self, dtype: str = "float32", part: str = "main") -> Any:
        """The driver's module with the kernels of a dtype and part.

        Raises:
            ToolchainError: there is no image for this device and none can be made.
            CudaError: the driver refused what should run there.
        """
        with self._lock:
            wanted = (dtype, part)
            if wanted not in self._modules:
                module, whole = _module(self._manifest, self._context, wanted)
                every = [(name, each) for name in SUFFIXES for each in PARTS]
                self._modules |= dict.fromkeys(every if whole else [wanted], module)
            return self._modules[wanted]

    def function(self, symbol: str, dtype: str) -> int:
        """A kernel.

        Raises:
            CudaError: the image has none of this name.
        """
        return self._context.function(self.load(dtype, part_of(symbol)), symbol)

    def launch(
        self, function: int, grid: int, block: int, shared_bytes: int, arguments: Any
    ) -> None:
        """Put a kernel on PyTorch's current stream of the device."""
        stream = int(torch.cuda.current_stream(self.device).cuda_stream)
        self._context.launch(function, grid, block, shared_bytes, stream, arguments)


_libraries: dict[tuple[str, str, torch.device], CudaLibrary] = {}
_LOCK = threading.Lock()


def cuda_library(manifest: Manifest, device: torch.device) -> CudaLibrary:
    """The kernels of a module on a device.

    Raises:
        CudaError: there is no driver, or no such device.
    """
    ordinal = torch.cuda.current_device() if device.index is None else device.index
    device = torch.device("cuda", ordinal)
    key = (str(manifest.module_file), manifest.fingerprint, device)
    with _LOCK:
        if key not in _libraries:
            _libraries[key] = CudaLibrary(manifest, context(ordinal), device)
        return _libraries[key]


def _module(manifest: Manifest, where: Context, wanted: Wanted) -> tuple[Any, bool]:
    """The first image that the driver takes for this device, and whether it has the kernels of all dtypes."""
    capability, problems = where.capability, []
    remedy = ""
    for image in images(manifest, capability, wanted):
        try:
            return where.module(image.content()), image.whole
        except ToolchainError as error:
            problems.append(f"{image.name}: {error.message}")
            remedy = remedy or error.remedy
        except CudaError as error:
            if error.status not in OF_ANOTHER_GPU:
                raise CudaError(f"{image.name} was not loaded: {error}", error.status) from None
            problems.append(f"{image.name}: {error}")
    listed = "".join(f"\n    {problem}" for problem in problems)
    name = f"sm_{capability[0]}{capability[1]}"
    raise ToolchainError(
        f"there are no kernels of {manifest.stem} for cuda:{where.ordinal} ({name}):{listed}",
        remedy or f"neurodsl compile {manifest.stem} --build --cuda-arch {name}",
    )


def images(manifest: Manifest, capability: tuple[int, int], wanted: Wanted) -> Iterator[Image]:
    """What could run on a device, in the order in which it is tried."""
    beside = manifest.sibling(".fatbin")
    if beside.exists():
        yield Image(str(beside), beside.read_bytes, True)
    cubin = cubin_beside(manifest, capability)
    if cubin is not None:
        yield Image(str(cubin), cubin.read_bytes, True)
    for name, make in (("NVRTC", _by_nvrtc), ("nvcc", _by_nvcc)):
        yield Image(name, partial(_made, make, manifest, capability, wanted), False)


Maker = Callable[[Manifest, tuple[int, int], Wanted], Path]


def _made(make: Maker, manifest: Manifest, capability: tuple[int, int], wanted: Wanted) -> bytes:
    return make(manifest, capability, wanted).read_bytes()


def cubin_beside(manifest: Manifest, capability: tuple[int, int]) -> Path | None:
    """The cubin beside the module for a compute capability or an earlier minor version of it."""
    major, minor = capability
    for lower in range(minor, -1, -1):
        beside = manifest.sibling(f".sm_{major}{lower}.cubin")
        if beside.exists():
            return beside
    return None


def _by_nvrtc(manifest: Manifest, capability: tuple[int, int], wanted: Wanted) -> Path:
    from neurodsl.build.gpu_images import image_by_nvrtc, suitable
    from neurodsl.build.nvrtc import find_nvrtc
    from neurodsl.build.toolchain import NVRTC_REMEDY

    nvrtc = find_nvrtc()
    if nvrtc is None:
        raise ToolchainError("not found", NVRTC_REMEDY)
    arch = suitable(capability, nvrtc.architectures)
    if arch is None:
        oldest = min(nvrtc.architectures)
        raise ToolchainError(
            f"version {nvrtc.version_text} makes nothing for GPUs before sm_{oldest}",
            "install an older CUDA toolkit",
        )
    source, flags, stem = _text(manifest, wanted)
    return image_by_nvrtc(nvrtc, source, flags, arch, stem=stem)


def _by_nvcc(manifest: Manifest, capability: tuple[int, int], wanted: Wanted) -> Path:
    from neurodsl.build import cubin

    source, flags, stem = _text(manifest, wanted)
    return cubin(source, flags, f"sm_{capability[0]}{capability[1]}", stem=stem)


def _text(manifest: Manifest, wanted: Wanted) -> tuple[str, list[str], str]:
    source = manifest.sibling(".cu").read_text(encoding="utf-8")
    dtype, part = wanted
    only = [f"-DNEURODSL_ONLY={SUFFIXES[dtype]}", f"-DNEURODSL_PART={part}"]
    flags = [*manifest["flags"]["nvcc"], *only]
    return source, flags, re.sub(r"\W", "_", manifest.stem)
