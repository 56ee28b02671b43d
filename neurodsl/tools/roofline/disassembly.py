"""Gets the machine code of a cubin as text, with NVIDIA's `cuobjdump` and `nvdisasm`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REMEDY = "pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm"


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
        FileNotFoundError: if a tool is missing; the message says how to get it.
        subprocess.CalledProcessError: if the file is none that the tool can read.
    """
    tools = {name: find_tool(name) for name in ("cuobjdump", "nvdisasm")}
    missing = [name for name, path in tools.items() if path is None]
    if missing:
        raise FileNotFoundError(f"no {' and no '.join(missing)}; {REMEDY}")
    folders = [str(path.parent) for path in tools.values() if path is not None]
    # cuobjdump calls nvdisasm, from the PATH.
    path = os.pathsep.join([*folders, os.environ.get("PATH", "")])
    command = [str(tools["cuobjdump"]), "-sass", str(cubin)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    return done.stdout
