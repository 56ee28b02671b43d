"""The test kernels, compiled to PTX once a session."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ptxsim import Module, load_ptx

KERNELS = Path(__file__).parent / "kernels"

Ptx = Callable[..., str]
Compiled = Callable[..., Module]


@pytest.fixture(scope="session")
def nvcc() -> str:
    return shutil.which("nvcc") or pytest.fail("nvcc, of the CUDA toolkit, is not in PATH")


@pytest.fixture(scope="session")
def ptx(nvcc: str, tmp_path_factory: pytest.TempPathFactory) -> Ptx:
    """`ptx(source, architecture, *flags)`: the text that nvcc makes of one of the files here."""
    folder = tmp_path_factory.mktemp("ptx")
    known: dict[tuple[str, ...], str] = {}

    def compile_kernels(source: str, architecture: str, *flags: str) -> str:
        key = (source, architecture, *flags)
        if key not in known:
            out = folder / f"{len(known)}.ptx"
            command = [nvcc, "-ptx", "-lineinfo", f"-arch=compute_{architecture}", *flags]
            subprocess.run([*command, str(KERNELS / f"{source}.cu"), "-o", str(out)], check=True)
            known[key] = out.read_text()
        return known[key]

    return compile_kernels


@pytest.fixture(scope="session")
def compiled(ptx: Ptx) -> Compiled:
    """`compiled(source, architecture, *flags)`: the same, read by the simulator."""
    known: dict[tuple[str, ...], Module] = {}

    def load(*key: str) -> Module:
        if key not in known:
            known[key] = load_ptx(ptx(*key))
        return known[key]

    return load


@pytest.fixture(
    params=["75", "90", *(pytest.param(a, marks=pytest.mark.full) for a in ("80", "100"))]
)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)
