"""Every instruction of every CUDA kernel of the library is one that the simulator knows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find, names
from neurodsl.options import Options
from ptxsim import Machine, load_ptx

EVERY_RUN = ("LI",)
"""The others by the marker `full`: nvcc takes seconds for each, and the proof runs them."""


@pytest.mark.parametrize(
    "neuron",
    [n if n in EVERY_RUN else pytest.param(n, marks=pytest.mark.full) for n in names()],
)
def test_supported(neuron: str, nvcc: str, tmp_path: Path) -> None:
    found = find(neuron)
    assert found is not None
    files = compile_text(found[1], found[0], Options(), disk_loader).files
    (source,) = (file.text for file in files if file.suffix == ".cu")
    path, out = tmp_path / "kernels.cu", tmp_path / "kernels.ptx"
    path.write_text(source, encoding="utf-8")
    command = [nvcc, "-ptx", "-w", "-arch=compute_80", "-fmad=false", str(path), "-o", str(out)]
    subprocess.run(command, check=True)
    module = load_ptx(out.read_text())
    entries = [name for name, kernel in module.kernels.items() if kernel.is_entry]
    machine = Machine(module)
    assert entries
    assert {name: unknown for name in entries if (unknown := machine.unsupported(name))} == {}
