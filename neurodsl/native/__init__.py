"""The call path in C++: one node of PyTorch's graph for any kernel, and a pool of large outputs. Optional.

`extension()` is asked before every call. The first time, it starts to build the extension in another process (15 to 25
seconds, once for a version of PyTorch) and answers None until that is done: kernels are called from Python
meanwhile, with the same results. `NEURODSL_NATIVE=0` turns it off, `NEURODSL_NATIVE=1` waits for the build.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import operator
import os
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from neurodsl.build.errors import BuildError, ToolchainError
from neurodsl.build.extension import Extension

POLL_SECONDS = 2.0
MEBIBYTE = 1 << 20
DEFAULT_POOL = 1 << 30

_lock = threading.Lock()


class _State:
    module: Any = None
    over = False
    """Whether it will never be there in this process."""
    next_look = 0.0
    started = False


def extension() -> Any:
    """The extension module, or None while there is none."""
    if _State.module is not None or _State.over:
        return _State.module
    now = time.monotonic()
    if now < _State.next_look:
        return None
    with _lock:
        _State.next_look = now + POLL_SECONDS
        if _State.module is None and not _State.over:
            _look()
    return _State.module


def build_native() -> Path:
    """Build the C++ call path now, if it is not built yet, and use it; the path of the extension.

    Raises:
        ToolchainError: no compiler, or no headers of Python.
        BuildError: the compiler refused it.
    """
    path = described().build()
    with _lock:
        _load(path)
    return path


def empty_cache() -> int:
    """Give the memory that is kept for outputs to come back to the system; how many bytes that were."""
    return int(_State.module.empty_pool()) if _State.module is not None else 0


def set_pool_limit(limit: int) -> None:
    """Keep at most `limit` bytes of freed outputs to be handed out again; 0 turns the pool off.

    Without the extension there is no pool, and nothing is to be done. The default is 1 GiB, or `NEURODSL_POOL_MB`.
    """
    try:
        limit = operator.index(limit)
    except TypeError:
        text = f"limit is {limit!r}; it is a whole number of bytes, 0 to turn the pool off"
        raise TypeError(text) from None
    if limit < 0:
        raise ValueError(f"limit is {limit}; it is a number of bytes, 0 to turn the pool off")
    _State.limit = limit  # type: ignore[attr-defined]
    if _State.module is not None:
        _State.module.pool_limit(limit)


@cache
def described() -> Extension:
    """What there is to build."""
    return Extension(
        Path(__file__).parent,
        Path(torch.__file__).parent,
        torch.__version__,
        int(torch._C._GLIBCXX_USE_CXX11_ABI),
    )


def _look() -> None:
    wanted = os.environ.get("NEURODSL_NATIVE", "")
    if wanted == "0" or not sys.platform.startswith("linux"):
        _State.over = True
        return
    try:
        path = described().build() if wanted == "1" else described().built()
        if path is not None:
            _load(path)
        elif described().failed():
            _State.over = True
        elif not _State.started:
            _State.started = True
            _start()
    except (ToolchainError, BuildError, OSError, ImportError):
        _State.over = True
        if wanted == "1":
            raise


def _load(path: Path) -> None:
    loader = importlib.machinery.ExtensionFileLoader("neurodsl_native", str(path))
    spec = importlib.util.spec_from_file_location("neurodsl_native", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    module.pool_limit(getattr(_State, "limit", _default_limit()))
    _State.module = module


def _default_limit() -> int:
    given = os.environ.get("NEURODSL_POOL_MB", "")
    return int(given) * MEBIBYTE if given.isdecimal() else DEFAULT_POOL


def _start() -> None:
    """Build in a process of its own, which goes on if this one ends."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.Popen(
        [sys.executable, "-m", "neurodsl.build.extension", *described().as_arguments()],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
