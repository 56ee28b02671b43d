"""What this machine can build with: the C++ compiler, nvcc, ninja, and the CPU that code is tuned for."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from neurodsl.build.errors import ToolchainError

CXX_REMEDY = (
    "apt install g++   (Fedora: dnf install gcc-c++; conda: conda install -c conda-forge gxx)"
)
NVCC_REMEDY = "conda install -c nvidia cuda-nvcc   (or install the CUDA toolkit and set CUDA_HOME)"
NVRTC_REMEDY = f"{sys.executable} -m pip install nvidia-cuda-nvrtc"
NINJA_REMEDY = f"{sys.executable} -m pip install ninja"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler: `command` is what starts it (`("ccache", "g++")`), `version` the first lines it says of itself."""

    kind: str
    """`g++`, `clang++` or `nvcc`."""
    command: tuple[str, ...]
    version: str

    @property
    def name(self) -> str:
        """The command as a person would type it."""
        return shlex.join(self.command)


def cxx_compiler() -> Compiler:
    """The C++ compiler: the environment's CXX, else g++, clang++ or c++ from PATH.

    Raises:
        ToolchainError: there is none, or CXX names none.
    """
    chosen = os.environ.get("CXX", "").strip()
    for candidate in [chosen] if chosen else ["g++", "clang++", "c++"]:
        found = _compiler(tuple(shlex.split(candidate)))
        if found is not None:
            return found
    if chosen:
        raise ToolchainError(f"CXX={chosen} is no C++ compiler that runs", "unset CXX")
    raise ToolchainError("no C++ compiler found (looked for g++, clang++ and c++)", CXX_REMEDY)


def nvcc_compiler() -> Compiler:
    """The CUDA compiler: under CUDA_HOME or CUDA_PATH, in PATH, or under /usr/local/cuda.

    Raises:
        ToolchainError: there is none.
    """
    found = find_nvcc()
    if found is not None:
        return found
    raise ToolchainError("no nvcc found (looked in CUDA_HOME, PATH, /usr/local/cuda)", NVCC_REMEDY)


def find_nvcc() -> Compiler | None:
    """As `nvcc_compiler`, and None where there is none."""
    found = (_compiler((candidate,)) for candidate in _nvcc_candidates())
    return next((compiler for compiler in found if compiler is not None), None)


def cuda_driver() -> str:
    """The library of the CUDA driver, as the loader finds it: NEURODSL_CUDA_DRIVER, else the system's."""
    system = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    return os.environ.get("NEURODSL_CUDA_DRIVER") or system


def known_architectures(nvcc: Compiler) -> frozenset[str]:
    """The architectures, such as `sm_80`, that an nvcc makes code for; empty if it does not say."""
    answer = subprocess.run(
        [*nvcc.command, "--list-gpu-code"], capture_output=True, text=True, check=False
    )
    return frozenset(answer.stdout.split()) if answer.returncode == 0 else frozenset()


def _nvcc_candidates() -> Iterator[str]:
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            yield os.path.join(os.environ[variable], "bin", "nvcc")
    yield "nvcc"
    yield "/usr/local/cuda/bin/nvcc"


def _compiler(command: tuple[str, ...]) -> Compiler | None:
    program = shutil.which(command[0])
    if program is None:
        return None
    status = os.stat(program)
    return _asked((program, *command[1:]), status.st_mtime_ns, status.st_size)


@lru_cache
def _asked(command: tuple[str, ...], mtime: int, size: int) -> Compiler | None:
    """Ask a program for its version, once for each state of its file."""
    try:
        answer = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode != 0:
        return None
    version = answer.stdout.strip()
    if "nvcc" in os.path.basename(command[-1]):
        return Compiler("nvcc", command, version.splitlines()[-1] if version else "")
    kind = "clang++" if "clang" in version.lower() else "g++"
    return Compiler(kind, command, version.splitlines()[0] if version else "")


def ninja_program() -> str:
    """The ninja of the package `ninja`, else the one in PATH.

    Raises:
        ToolchainError: there is none.
    """
    try:
        import ninja

        packaged = Path(ninja.BIN_DIR) / "ninja"
        if packaged.exists():
            return str(packaged)
    except ImportError:
        pass
    found = shutil.which("ninja")
    if found is None:
        raise ToolchainError("ninja is not installed", NINJA_REMEDY)
    return found


@lru_cache
def cpu_fingerprint() -> str:
    """A digest of what `-march=native` means here: architecture, model and instruction sets."""
    facts = [platform.machine(), platform.system()]
    wanted = (
        "flags",
        "Features",
        "model name",
        "cpu family",
        "model",
        "CPU part",
        "CPU implementer",
    )
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in wanted and (fact := f"{name.strip()}:{value.strip()}") not in facts:
                facts.append(fact)
    except OSError:
        facts.append(platform.processor())
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def cpu_features() -> frozenset[str]:
    """The instruction sets of this CPU, as Linux names them; empty where that is not known."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.partition(":")[0].strip() in ("flags", "Features"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
