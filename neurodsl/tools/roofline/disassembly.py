"""Gets the machine code of a cubin as text, with NVIDIA's `cuobjdump` and `nvdisasm`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from neurodsl.build.errors import ToolchainError

REMEDY = f"{sys.executable} -m pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm"

_USAGE = re.compile(r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a thread of a kernel takes, and a block of shared memory."""

    registers: int
    stack: int
    """Bytes of local memory: spilled registers, and arrays that are indexed."""
    shared: int


def find_tool(name: str) -> Path | None:
    """A tool of the CUDA toolkit: on the PATH, in `$CUDA_HOME/bin`, or among NVIDIA's wheels.

    Args:
        name: `cuobjdump` or `nvdisasm`.
    """
    if on_path := shutil.which(name):
        return Path(on_path)
    homes = [os.environ[v] for v in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(v)]
    candidates = [Path(home) / "bin" / name for home in [*homes, "/usr/local/cuda"]]
    for entry in sys.path:
        candidates += sorted(Path(entry or ".").glob(f"nvidia/cu*/bin/{name}"), reverse=True)
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def machine_code(cubin: Path) -> str:
    """The SASS listing of a cubin or fatbin.

    Raises:
        ToolchainError: a tool is missing; the message says how to get it.
        subprocess.CalledProcessError: the file is none that the tool can read.
    """
    return _dumped(cubin, "-sass")


def resources(cubin: Path) -> dict[str, Resources]:
    """What each function of a cubin takes.

    Raises:
        ToolchainError, subprocess.CalledProcessError: as `machine_code`.
    """
    found = {}
    for name, *numbers in _USAGE.findall(_dumped(cubin, "-res-usage")):
        registers, stack, shared, local = map(int, numbers)
        found[name] = Resources(registers, max(stack, local), shared)
    return found


def need_tools() -> dict[str, Path]:
    """The tools by name.

    Raises:
        ToolchainError: one is missing.
    """
    tools = {name: find_tool(name) for name in ("cuobjdump", "nvdisasm")}
    missing = [name for name, path in tools.items() if path is None]
    if missing:
        raise ToolchainError(f"machine code is read with NVIDIA's {' and '.join(missing)}", REMEDY)
    return {name: path for name, path in tools.items() if path is not None}


def _dumped(cubin: Path, what: str) -> str:
    tools = need_tools()
    folders = [str(path.parent) for path in tools.values()]
    # cuobjdump calls nvdisasm, from the PATH.
    path = os.pathsep.join([*folders, os.environ.get("PATH", "")])
    command = [str(tools["cuobjdump"]), what, str(cubin)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    return done.stdout
