"""PTX by nvcc, kept in a folder by what it was made of: a neuron, dtype and architecture are compiled once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest
from ptxsim import Module, load_ptx

from cuda_proof.neurons import SUFFIXES, subject

ARCHITECTURES = (75, 80, 90, 100, 120)


@lru_cache(maxsize=1)
def _nvcc() -> tuple[str, str]:
    """Its path, and its version."""
    path = shutil.which("nvcc")
    if path is None:
        pytest.fail("the proof needs nvcc, of the CUDA toolkit, in PATH")
    shown = subprocess.run([path, "--version"], check=True, capture_output=True, text=True)
    return path, shown.stdout


@lru_cache(maxsize=1)
def _folder() -> Path:
    """NEURODSL_PROOF_CACHE, else a folder of this session."""
    chosen = os.environ.get("NEURODSL_PROOF_CACHE")
    folder = Path(chosen or tempfile.mkdtemp(prefix="cuda_proof_ptx_"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ptx_of(source: str, dtype: str, architecture: int, part: str = "main") -> str:
    """What nvcc makes of the kernels of a part of a CUDA text for a dtype.

    Raises:
        subprocess.CalledProcessError: nvcc refused the text.
    """
    nvcc, version = _nvcc()
    flags = ["-ptx", "-lineinfo", "-w", "-std=c++17", "-fmad=false"]
    flags += [f"-arch=compute_{architecture}", f"-DNEURODSL_ONLY={SUFFIXES[dtype]}"]
    flags.append(f"-DNEURODSL_PART={part}")
    key = hashlib.sha256("\0".join([source, version, *flags]).encode()).hexdigest()[:32]
    kept = _folder() / f"{key}.ptx"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            path, out = Path(folder, "kernels.cu"), Path(folder, "kernels.ptx")
            path.write_text(source, encoding="utf-8")
            command = [nvcc, *flags, str(path), "-o", str(out)]
            subprocess.run(command, check=True, capture_output=True)
            shutil.copy(out, kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    return kept.read_text()


@lru_cache(maxsize=3)
def module_of(neuron: str, dtype: str, architecture: int, part: str = "main") -> Module:
    """The kernels of a library neuron, read by the simulator."""
    return load_ptx(ptx_of(subject(neuron).source, dtype, architecture, part))
