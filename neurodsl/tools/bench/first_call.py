"""What compiling takes: of our own texts from nothing, and of those contestants that compile in their first call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neurodsl.build.errors import ToolchainError
from neurodsl.build.toolchain import cxx_compiler
from neurodsl.tools.bench.contestants import Contestant
from neurodsl.tools.bench.inputs import Given

_PROGRAM = """
import json, sys, time
import torch
import neurodsl
from neurodsl.loading import class_of
from neurodsl.runtime.kernels import Kernels
start = time.perf_counter()
module = neurodsl.load(sys.argv[1] if sys.argv[2] == "name" else __import__("pathlib").Path(sys.argv[1]))
loaded = time.perf_counter()
for neuron in module.__manifest__["neurons"]:
    definition = class_of(module, neuron).definition
    Kernels(definition.manifest, definition.name).load(torch.device("cpu"))
print(json.dumps([loaded - start, time.perf_counter() - loaded]))
"""


@dataclass(frozen=True, slots=True)
class CompileTime:
    """Seconds from a text to an imported module (SymPy's import included), and of the C++ compiler after that."""

    text: float
    library: float

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def compile_time(source: str | Path) -> CompileTime | None:
    """What a file takes from nothing, in a fresh process with an empty cache; None where there is no compiler.

    The call path in C++ is not in it: it is built once for all neurons.
    """
    if not _has_compiler():
        return None
    kind = "path" if isinstance(source, Path) else "name"
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NEURODSL_CACHE_DIR": cache, "NEURODSL_NATIVE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(source), kind],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    text, library = json.loads(done.stdout.splitlines()[-1])
    return CompileTime(text, library)


def _has_compiler() -> bool:
    try:
        cxx_compiler()
    except ToolchainError:
        return False
    return True


def seconds_of_first_call(one: Contestant, given: Given) -> float:
    """What a forward and a backward pass take where nothing is compiled yet, and no cache of Inductor's is read."""
    from torch._inductor import config

    start = time.perf_counter()
    with config.patch(force_disable_caches=True):
        one.forward_backward(given)
        seconds = time.perf_counter() - start
        one.forward(given)
    return seconds
