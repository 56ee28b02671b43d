"""Shared libraries, cubins and generated modules, from the cache or newly made."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from neurodsl.build import cache, ninja
from neurodsl.build.errors import BuildError, ToolchainError
from neurodsl.build.ninja import Edge
from neurodsl.build.toolchain import (
    CXX_REMEDY,
    NVCC_REMEDY,
    Compiler,
    cpu_features,
    cpu_fingerprint,
    cxx_compiler,
    nvcc_compiler,
)

CXX_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-w")
"""For every CPU library. The caller adds what strict results need (the manifest's `flags`)."""

NVCC_FLAGS = ("-std=c++17", "-O3", "-w")

CXX_PROBE = '#include <cmath>\n#include <cstdint>\n#include <cstdlib>\nextern "C" int probe() { return 0; }\n'
CUDA_PROBE = 'extern "C" __global__ void probe() {}\n'


def cpu_library(source: str, flags: Sequence[str], *, stem: str, portable: bool = False) -> Path:
    """The shared library of a C++ text, compiled for this machine or taken from the cache.

    OpenMP's functions are left undefined: whoever loads the library provides the runtime that PyTorch already runs,
    so that there is one pool of threads.

    Args:
        source: the text of one C++ file.
        flags: added to the compiler's command line, after CXX_FLAGS.
        stem: the file is named `lib<stem>.so`.
        portable: for any machine of this architecture with the instruction sets of the last ten years, not for this
            very CPU.

    Raises:
        ToolchainError: no compiler or no ninja, or the compiler cannot compile anything.
        BuildError: the compiler refused the text.
    """
    compiler = cxx_compiler()
    safe = _safe(stem)
    tuning = _portable_tuning() if portable else _native_tuning(compiler)
    options = [*CXX_FLAGS, *tuning, *_openmp(compiler), *flags]
    name = f"lib{safe}.so"

    def make(folder: Path) -> None:
        compile_it = (*compiler.command, *options, "-c", f"{safe}.cpp", "-o", f"{safe}.o")
        link_it = (*compiler.command, "-shared", "-Wl,--as-needed", f"{safe}.o", "-o", name)
        edges = [
            Edge(f"{safe}.o", (f"{safe}.cpp",), compile_it),
            Edge(name, (f"{safe}.o",), link_it),
        ]
        _build(folder, f"{safe}.cpp", source, edges, compiler, (CXX_PROBE, CXX_REMEDY))
        (folder / f"{safe}.o").unlink()

    cpu = "portable" if portable else cpu_fingerprint()
    key = cache.digest("cpu", source, options, compiler.command, compiler.version, cpu, name)
    return cache.entry("cpu", key, make) / name


def cubin(source: str, flags: Sequence[str], arch: str, *, stem: str = "kernels") -> Path:
    """The machine code of a CUDA text for one architecture such as `sm_80`, from nvcc or from the cache.

    Raises:
        ToolchainError: no nvcc or no ninja, or nvcc cannot compile for this architecture.
        BuildError: nvcc refused the text.
    """
    compiler = nvcc_compiler()
    safe = _safe(stem)
    name = f"{safe}.{_safe(arch)}.cubin"
    options = [*NVCC_FLAGS, *flags, "-cubin", f"-arch={arch}"]

    def make(folder: Path) -> None:
        command = (*compiler.command, *options, f"{safe}.cu", "-o", name)
        edges = [Edge(name, (f"{safe}.cu",), command)]
        _build(folder, f"{safe}.cu", source, edges, compiler, (CUDA_PROBE, NVCC_REMEDY))

    key = cache.digest("cubin", source, options, compiler.command, compiler.version, name)
    return cache.entry("cubin", key, make) / name


def module_folder(fingerprint: str, generate: Callable[[], dict[str, str]]) -> Path:
    """A folder with the texts that `generate` returns by name; it is called only if the cache has none.

    Raises:
        CacheError: the folder has to be made, and the cache cannot be written.
    """

    def make(folder: Path) -> None:
        for name, text in generate().items():
            (folder / name).write_bytes(text.encode("utf-8"))

    return cache.entry("modules", cache.digest("module", fingerprint), make)


def _build(
    folder: Path,
    name: str,
    source: str,
    edges: Sequence[Edge],
    compiler: Compiler,
    probe: tuple[str, str],
) -> None:
    """Compile in `folder`. If it fails, find out whose fault it is by compiling next to nothing in the same way."""
    (folder / name).write_bytes(source.encode("utf-8"))
    output = ninja.run(folder, edges)
    if output is None:
        return
    probe_text, remedy = probe
    with tempfile.TemporaryDirectory(prefix="neurodsl-probe-") as scratch:
        (Path(scratch) / name).write_text(probe_text, encoding="utf-8")
        probe_output = ninja.run(Path(scratch), edges)
    if probe_output is not None:
        raise ToolchainError(
            f"{compiler.name} cannot compile even an empty program here; it says:\n{probe_output.strip()}",
            remedy,
        )
    kept = Path(tempfile.mkdtemp(prefix="neurodsl-kept-"))
    (folder / "output.txt").write_text(output, encoding="utf-8")
    shutil.copytree(folder, kept, dirs_exist_ok=True)
    raise BuildError(compiler.name, kept, output)


def _native_tuning(compiler: Compiler) -> list[str]:
    wide = ["-mprefer-vector-width=512"] if "avx512f" in cpu_features() else []
    return ["-march=native", *wide]


def _portable_tuning() -> list[str]:
    return ["-march=x86-64-v3"] if {"avx2", "fma", "bmi2"} <= cpu_features() else []


def _openmp(compiler: Compiler) -> list[str]:
    """PyTorch's own runtime on Linux is GNU's, which clang cannot call: with clang the kernels run on one thread."""
    return ["-fopenmp"] if compiler.kind == "g++" else ["-fopenmp-simd"]


def _safe(stem: str) -> str:
    """A file name without anything that a shell, ninja or a compiler could read as its own."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", stem).strip(".") or "kernels"
