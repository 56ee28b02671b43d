"""The CPU library of a generated module, loaded through ctypes: a call is addresses and numbers, nothing else."""

from __future__ import annotations

import ctypes
import glob
import os
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import torch

from neurodsl.runtime.cuda import cuda_library
from neurodsl.runtime.launch import AnyKernel, Launch, Plan, Saved, Setup, make_plan, saved_of
from neurodsl.runtime.manifest import Manifest
from neurodsl.runtime.stencil import StencilPlan, make_stencil_plan

_LOCK = threading.Lock()
_TYPES: dict[str, Any] = {
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "int32_t": ctypes.c_int32,
}
_TYPES |= {"int64_t": ctypes.c_int64}


@cache
def promote_openmp() -> str | None:
    """Make the OpenMP runtime that PyTorch has loaded visible to our libraries; its path, None if there is none.

    Our libraries leave OpenMP's functions undefined, so that there is one pool of threads.
    """
    folder = Path(torch.__file__).parent
    loaded = _loaded_libraries()
    candidates = [path for path in loaded if "gomp" in Path(path).name or "iomp" in Path(path).name]
    candidates += sorted(glob.glob(str(folder / "lib" / "lib*omp*.so*")))
    candidates += sorted(glob.glob(str(folder.parent / "torch.libs" / "lib*omp*.so*")))
    for path in candidates:
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return path
    try:
        ctypes.CDLL("libgomp.so.1", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return None
    return "libgomp.so.1"


def _loaded_libraries() -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {
            line.split(maxsplit=5)[5].strip() for line in maps if line.count("/") and ".so" in line
        }
    return sorted(paths)


class Kernel:
    """One C function with the argument list of the manifest. Called with numbers and addresses (0 for null)."""

    def __init__(self, function: Any, entry: dict[str, Any], slots: Any = None) -> None:
        """`slots` is the same kernel's entry for `neurodsl.native`."""
        self.slots = 0 if slots is None else ctypes.cast(slots, ctypes.c_void_p).value
        self.arguments: list[dict[str, Any]] = entry["arguments"]
        self.symbol: str = entry["symbol"]
        function.restype = ctypes.c_int
        function.argtypes = [
            ctypes.c_void_p if a["type"].endswith("*") else _TYPES[a["type"]]
            for a in self.arguments
        ]
        self._function = function

    def __call__(self, values: list[Any]) -> None:
        """Run it; the interpreter's lock is released meanwhile.

        Raises:
            MemoryError: there was no memory for its scratch.
        """
        if self._function(*values):
            raise MemoryError(f"{self.symbol}: no memory for its scratch")


Key = tuple[Setup, torch.dtype, torch.device]
"""What a plan depends on."""


class Kernels:
    """The kernels of one neuron, built or found at first use, and the plans of its calls."""

    _libraries: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, manifest: Manifest, neuron: str) -> None:
        self._manifest, self._neuron = manifest, neuron
        self._plans: dict[Key, Plan] = {}
        self._bits: dict[Key, Launch] = {}
        self._loaded = False

    @property
    def name(self) -> str:
        """What sets these kernels apart from all others."""
        manifest = self._manifest
        return f"{self._neuron}:{manifest.fingerprint}:{manifest.module_file}"

    def load(self, device: torch.device) -> None:
        """Build or find what runs on this device.

        Raises:
            ToolchainError: it has to be built and something is missing for that.
        """
        if device.type == "cuda":
            cuda_library(self._manifest, device).load()
        elif not self._loaded:
            self.library()
            self._loaded = True

    def plan(self, setup: Setup, dtype: torch.dtype, device: torch.device) -> Plan:
        """The plan of a call.

        Raises:
            ToolchainError: the kernels have to be built and something is missing for that.
        """
        key = (setup, dtype, device)
        if key not in self._plans:
            forward, backward = self._kernel("forward", key), self._kernel("backward", key)
            assert forward is not None
            assert backward is not None
            train = self._kernel("forward_train", key) or forward
            self._plans[key] = make_plan(setup, forward, train, backward)
        return self._plans[key]

    def stencil(self, setup: Setup, dtype: torch.dtype) -> StencilPlan | None:
        """The plan of a feedback through a depthwise convolution; None for a neuron that has no such kernels."""
        entries = self._manifest["neurons"][self._neuron].get("stencil", ())
        name = "f32" if dtype == torch.float32 else "f64"
        found = {entry["symbol"]: entry for entry in entries}
        prefix = next((s.partition("_stencil_")[0] for s in found), None)
        if prefix is None:
            return None
        backward = found[f"{prefix}_stencil_backward_{name}"]
        if setup.detached:
            backward = found.get(f"{prefix}_stencil_backward_detached_{name}", backward)
        forward = found[f"{prefix}_stencil_forward_{name}"]
        library = self.library()
        kernels = [Kernel(getattr(library, e["symbol"]), e) for e in (forward, backward)]
        return make_stencil_plan(setup, *kernels)

    def _kernel(self, which: str, key: Key) -> AnyKernel | None:
        setup, dtype, device = key
        name = str(dtype).removeprefix("torch.")
        if device.type == "cuda":
            return self._cuda_kernel(which, name, device, detached=setup.detached)
        entry = self.entry("cpp", which, name, detached=setup.detached)
        if entry is None:
            return None
        library, symbol = self.library(), entry["symbol"]
        return Kernel(getattr(library, symbol), entry, getattr(library, f"{symbol}_slots"))

    def _cuda_kernel(
        self, which: str, dtype: str, device: torch.device, *, detached: bool
    ) -> AnyKernel | None:
        entries = self.entries("cuda", which, dtype, detached=detached)
        if not entries:
            return None
        reduces = self.entries("cuda", "reduce", dtype, detached=detached)
        library = cuda_library(self._manifest, device)
        return library.kernel(entries, reduces if which == "backward" else ())

    def saved(self, setup: Setup, dtype: torch.dtype, device: torch.device) -> tuple[Saved, ...]:
        """What the forward pass keeps for backward, besides what it is given."""
        name = str(dtype).removeprefix("torch.")
        target = "cuda" if device.type == "cuda" else "cpp"
        entry = self.entry(target, "forward_train", name, detached=setup.detached)
        return saved_of(entry["arguments"]) if entry else ()

    def entry(
        self, target: str, which: str, dtype: str, *, detached: bool
    ) -> dict[str, Any] | None:
        """A kernel's entry in the manifest; None if there is none (`forward_train` where nothing is saved)."""
        entries = self.entries(target, which, dtype, detached=detached)
        return next((entry for entry in entries if not entry.get("requires")), None)

    def entries(
        self, target: str, which: str, dtype: str, *, detached: bool
    ) -> list[dict[str, Any]]:
        """The entries of a pass: of each, a call takes the first whose `requires` holds."""
        neuron = self._manifest["neurons"][self._neuron]
        entries: list[dict[str, Any]] = neuron["kernels"]
        if detached and "variants" in neuron:
            entries = neuron["variants"][0]["kernels"]
        wanted = (target, which, dtype)
        found = [e for e in entries if (e["target"], e["pass"], e["dtype"]) == wanted]
        return [e for e in found if "spikes" not in e]

    def bits(self, setup: Setup, dtype: torch.dtype, device: torch.device) -> Launch | None:
        """The forward pass that gives bits, words of 32 spikes `[T, ceil(N / 32)]`; None if there is none."""
        name = str(dtype).removeprefix("torch.")
        entries: list[dict[str, Any]] = self._manifest["neurons"][self._neuron]["kernels"]
        found = [e for e in entries if e.get("spikes") == "bits" and e["dtype"] == name]
        if device.type != "cuda" or not found:
            return None
        key = (setup, dtype, device)
        if key not in self._bits:
            kernel = cuda_library(self._manifest, device).kernel(found)
            self._bits[key] = Launch(kernel, [*setup.given, *setup.results], setup.scalars)
        return self._bits[key]

    def library(self) -> Any:
        """The CPU library of the module, from beside it or built in the cache."""
        with _LOCK:
            key = os.fspath(self._manifest.module_file) + self._manifest.fingerprint
            if key not in self._libraries:
                promote_openmp()
                self._libraries[key] = ctypes.CDLL(os.fspath(self._path()))
            return self._libraries[key]

    def _path(self) -> Path:
        beside = self._manifest.sibling(".so", "lib")
        if beside.exists():
            return beside
        from neurodsl.build import cpu_library

        source = self._manifest.sibling(".cpp").read_text(encoding="utf-8")
        return cpu_library(source, self._manifest["flags"]["cxx"], stem=self._manifest.stem)
