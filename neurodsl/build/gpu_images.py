"""What a GPU's driver loads, made from a CUDA text by nvcc or NVRTC, or taken from the cache: cubins, PTX, fatbins."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from neurodsl.build import cache, toolchain
from neurodsl.build.errors import BuildError, ToolchainError
from neurodsl.build.libraries import compile_in, safe_name
from neurodsl.build.ninja import Edge
from neurodsl.build.nvrtc import Nvrtc, NvrtcError, find_nvrtc
from neurodsl.build.toolchain import NVCC_REMEDY, Compiler, nvcc_compiler

NVCC_FLAGS = ("-std=c++17", "-O3", "-w")
NVRTC_FLAGS = ("--std=c++17", "--disable-warnings")
CUDA_PROBE = 'extern "C" __global__ void probe() {}\n'


def cubin(source: str, flags: Sequence[str], arch: str, *, stem: str = "kernels") -> Path:
    """The machine code of a CUDA text for one architecture such as `sm_80`, from nvcc or from the cache.

    Raises:
        ToolchainError: no nvcc or no ninja, or nvcc cannot compile for this architecture.
        BuildError: nvcc refused the text.
    """
    options = [*NVCC_FLAGS, *flags, "-cubin", f"-arch={arch}"]
    return _by_nvcc("cubin", source, options, stem, f".{safe_name(arch)}.cubin")


def fatbin(source: str, flags: Sequence[str], archs: Sequence[str], *, stem: str) -> Path:
    """One file with the machine code for each architecture, and the PTX of the newest for those still to come.

    Raises:
        ToolchainError: no nvcc or no ninja, or nvcc cannot compile for one of the architectures.
        BuildError: nvcc refused the text.
    """
    nvcc = nvcc_compiler()
    numbers = [arch.removeprefix("sm_") for arch in archs]
    wanted = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in numbers]
    newest = max(numbers, key=number_of)
    wanted.append(f"-gencode=arch=compute_{newest},code=compute_{newest}")
    small = ["--compress-mode=size"] if _can_compress(nvcc) else []
    options = [*NVCC_FLAGS, *flags, "-fatbin", "--threads=0", *small, *wanted]
    return _by_nvcc("fatbin", source, options, stem, ".fatbin")


def image_by_nvrtc(
    nvrtc: Nvrtc, source: str, flags: Sequence[str], arch: str, *, stem: str = "kernels"
) -> Path:
    """The machine code for an architecture such as `sm_80`, or the PTX for `compute_80`, from NVRTC or the cache.

    Raises:
        ToolchainError: NVRTC itself failed.
        BuildError: NVRTC refused the text.
    """
    safe = safe_name(stem)
    suffix = "ptx" if arch.startswith("compute_") else "cubin"
    name = f"{safe}.{safe_name(arch)}.{suffix}"
    options = [*NVRTC_FLAGS, *nvrtc_flags(flags)]

    def make(folder: Path) -> None:
        try:
            content = nvrtc.compile(source, options, f"{safe}.cu", arch)
        except NvrtcError as refusal:
            kept = Path(tempfile.mkdtemp(prefix="neurodsl-kept-"))
            (kept / f"{safe}.cu").write_text(source, encoding="utf-8")
            (kept / "output.txt").write_text(str(refusal), encoding="utf-8")
            raise BuildError(f"NVRTC {nvrtc.version_text}", kept, str(refusal)) from None
        (folder / name).write_bytes(content)

    size = Path(nvrtc.path).stat().st_size if Path(nvrtc.path).exists() else 0
    key = cache.digest("nvrtc", source, options, arch, nvrtc.version, size, name)
    return cache.entry("cubin", key, make) / name


def images_of(
    source: str, flags: Sequence[str], archs: Sequence[str], *, stem: str, exactly: bool
) -> dict[str, Path]:
    """Suffix -> image, for a folder that shall run elsewhere: one fatbin by nvcc, else a cubin each by NVRTC.

    Args:
        source: the CUDA text.
        flags: nvcc's, from the manifest.
        archs: such as `sm_80`.
        stem: of the files.
        exactly: whether one that the compiler does not know is an error; if not, it is left out.

    Raises:
        ToolchainError: the compiler does not know an architecture.
        BuildError: it refused the text.
    """
    nvcc = toolchain.find_nvcc()
    nvrtc = None if nvcc else find_nvrtc()
    if nvcc is not None:
        known = toolchain.known_architectures(nvcc)
    elif nvrtc is not None:
        known = frozenset(f"sm_{number}" for number in nvrtc.architectures)
    else:
        return {}
    unknown = [arch for arch in archs if known and re.sub("[af]$", "", arch) not in known]
    if unknown and exactly:
        name = nvcc.version if nvcc else f"NVRTC {nvrtc.version_text}" if nvrtc else ""
        raise ToolchainError(
            f"{name} does not know {', '.join(unknown)}; it knows {', '.join(sorted(known, key=number_of))}",
            "leave it out of --cuda-arch, or install a newer CUDA toolkit",
        )
    chosen = [arch for arch in archs if arch not in unknown]
    if nvrtc is None:
        return {".fatbin": fatbin(source, flags, chosen, stem=stem)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda a: image_by_nvrtc(nvrtc, source, flags, a, stem=stem), chosen)
        return {f".{arch}.cubin": path for arch, path in zip(chosen, made, strict=True)}


def nvrtc_flags(flags: Iterable[str]) -> list[str]:
    """The manifest's flags for nvcc as NVRTC spells them: `-fmad=false` is `--fmad=false`."""
    return [f"-{flag}" if re.match(r"-[a-z]", flag) else flag for flag in flags]


def number_of(arch: str) -> int:
    """The 90 of `sm_90` or `90a`."""
    found = re.search(r"\d+", arch)
    return int(found.group()) if found else 0


def suitable(capability: tuple[int, int], known: Sequence[int]) -> str | None:
    """What to compile for a device with a compiler that knows some architectures; None if nothing runs there.

    That is the device's own, else one of the same generation, whose machine code runs too, else the PTX of the newest
    one before it, which the driver compiles.
    """
    own = 10 * capability[0] + capability[1]
    earlier = [arch for arch in known if arch <= own]
    if not known or own in known:
        return f"sm_{own}"
    if not earlier:
        return None
    best = max(earlier)
    return f"sm_{best}" if best // 10 == capability[0] else f"compute_{best}"


def _by_nvcc(kind: str, source: str, options: Sequence[str], stem: str, suffix: str) -> Path:
    compiler = nvcc_compiler()
    safe = safe_name(stem)
    name = f"{safe}{suffix}"

    def make(folder: Path) -> None:
        command = (*compiler.command, *options, f"{safe}.cu", "-o", name)
        edges = [Edge(name, (f"{safe}.cu",), command)]
        compile_in(folder, {f"{safe}.cu": source}, edges, compiler, (CUDA_PROBE, NVCC_REMEDY))

    key = cache.digest(kind, source, list(options), compiler.command, compiler.version, name)
    return cache.entry(kind, key, make) / name


@lru_cache
def _can_compress(nvcc: Compiler) -> bool:
    """Whether an nvcc knows `--compress-mode`, as those from 12.8 on do."""
    if shutil.which(nvcc.command[0]) is None:
        return False
    said = subprocess.run([*nvcc.command, "--help"], capture_output=True, text=True, check=False)
    return "--compress-mode" in said.stdout
