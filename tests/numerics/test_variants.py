"""The library of an ahead-of-time build: every kernel for every instruction set, each as good as the reference."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from neurodsl.build import ToolchainError, cpu_library, libraries, portable_library
from neurodsl.build.toolchain import cpu_features
from neurodsl.build.variants import LEVELS, Level, level_named
from neurodsl.cli.sources import read
from neurodsl.driver import Compilation, compile_text
from neurodsl.files import disk_loader
from neurodsl.library import names
from neurodsl.options import Options
from neurodsl.output import build_files, cpu_symbols, write_files
from neurodsl.tools.compare import compare
from neurodsl.tools.making import filled_in

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="one variant alone on this architecture"
)

CHOSEN = ("LIF", "PLIF", "Izhikevich", "TernaryLIF", "EIF", "LISNN")
"""Neurons that are run not by the marker `full` alone: plain arithmetic, sigmoid, exp, a stencil."""

ALL = [n if n in CHOSEN else pytest.param(n, marks=pytest.mark.full) for n in names()]


def runs_here(level: Level) -> bool:
    return level.runs_with(cpu_features())


@pytest.fixture(params=LEVELS, ids=lambda level: level.name)
def level(request: pytest.FixtureRequest) -> Level:
    chosen: Level = request.param
    if not runs_here(chosen):
        pytest.skip(f"this CPU has no {chosen.name}")
    return chosen


@cache
def compiled(neuron: str) -> tuple[Compilation, Path]:
    """Its texts, and the library of all levels in the cache."""
    source = read(neuron)
    compilation = compile_text(source.text, source.name, Options(), disk_loader)
    texts = {file.suffix: file.text for file in compilation.files}
    symbols = cpu_symbols(manifest_of(compilation))
    flags = manifest_of(compilation)["flags"]["cxx"]
    return compilation, portable_library(texts[".cpp"], symbols, flags, stem=compilation.stem)


def manifest_of(compilation: Compilation) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(
        next(file.text for file in compilation.files if file.suffix == ".json")
    )
    return manifest


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Level], ModuleType]:
    """A built folder's module, whose kernels are forced to a level."""

    def build(neuron: str, level: Level) -> ModuleType:
        compilation, library = compiled(neuron)
        folder = tmp_path / level.suffix
        write_files(compilation, folder, force=False)
        beside = folder / f"lib{compilation.stem}.so"
        shutil.copy(library, beside)
        monkeypatch.setenv("NEURODSL_CPU", level.name)
        assert loaded(beside) == level.name
        return imported(folder, compilation.stem, monkeypatch)

    return build


def imported(folder: Path, stem: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The generated module of a folder, under a name that no other folder's has."""
    name = f"{stem}_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / f"{stem}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def loaded(library: Path) -> str:
    """The level that a library has taken."""
    from neurodsl.runtime.kernels import promote_openmp

    promote_openmp()
    ask = ctypes.CDLL(str(library)).neurodsl_cpu
    ask.restype = ctypes.c_char_p
    answer: bytes = ask()
    return answer.decode()


def results(module: ModuleType, neuron: str, dtype: torch.dtype) -> list[Tensor]:
    """Outputs, final states and gradients of one call with 129 neurons: a whole block and the rest."""
    manifest = module.__manifest__["neurons"][neuron]
    node = getattr(module, neuron)(**filled_in(manifest, 12, 129), backend="fused").to(dtype)
    random = torch.Generator().manual_seed(1)
    inputs = tuple(
        (2 * torch.randn(12, 1, 129, generator=random)).to(dtype).requires_grad_()
        for _ in manifest["inputs"]
    )
    outputs, states = node.functional(inputs)
    found = [t for t in (*outputs, *states) if t.requires_grad]
    up = [torch.randn(t.shape, generator=random).to(dtype) for t in found]
    gradients = torch.autograd.grad(found, inputs, up)
    return [t.detach() for t in (*outputs, *states, *gradients)]


@pytest.mark.parametrize("neuron", ALL)
def test_spikes_are_the_reference_s(
    neuron: str, level: Level, built: Callable[[str, Level], ModuleType]
) -> None:
    module = built(neuron, level)
    result = compare(module, neuron, steps=48, neurons=600, dtype="float32")
    assert result.passed, [str(row) for row in result.differences if not row.passed]
    if not module.__manifest__["neurons"][neuron]["functions"]:
        assert all(row.error == 0 for row in result.differences if row.quantity == "output 0")


@pytest.mark.parametrize("neuron", ALL)
def test_float64_gradients(
    neuron: str, level: Level, built: Callable[[str, Level], ModuleType]
) -> None:
    """The comparison's tolerance in float64 is 1e-10, norm-relative."""
    result = compare(built(neuron, level), neuron, steps=24, neurons=200, dtype="float64")
    assert result.passed, [str(row) for row in result.differences if not row.passed]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "neuron", ["LIF", "Izhikevich", "TernaryLIF", pytest.param("QIF", marks=pytest.mark.full)]
)
def test_plain_arithmetic_gives_the_same_bits_in_every_variant(
    neuron: str, dtype: torch.dtype, built: Callable[[str, Level], ModuleType]
) -> None:
    here = [level for level in LEVELS if runs_here(level)]
    first, *others = [results(built(neuron, level), neuron, dtype) for level in here]
    assert first
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_functions_give_the_same_bits_with_avx2_and_avx512(
    dtype: torch.dtype, built: Callable[[str, Level], ModuleType]
) -> None:
    if not runs_here(LEVELS[0]):
        pytest.skip("this CPU has no AVX-512")
    first, second = (results(built("EIF", level), "EIF", dtype) for level in LEVELS[:2])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_library_holds_every_variant() -> None:
    compilation, library = compiled("LIF")
    handle = ctypes.CDLL(str(library), mode=ctypes.RTLD_LOCAL)
    for symbol in cpu_symbols(manifest_of(compilation)):
        for suffix in ("", *(f"_{level.suffix}" for level in LEVELS)):
            assert hasattr(handle, symbol + suffix)


def test_the_best_is_taken_if_nothing_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEURODSL_CPU", raising=False)
    library = shutil.copy(compiled("LIF")[1], tmp_path)
    assert loaded(library) == next(level.name for level in LEVELS if runs_here(level))


def test_a_level_that_does_not_exist_is_told_and_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEURODSL_CPU", "x86-64-v9")
    library = shutil.copy(compiled("LIF")[1], tmp_path)
    assert loaded(library) in {level.name for level in LEVELS}
    message = capfd.readouterr().err
    assert "NEURODSL_CPU=x86-64-v9 is none of x86-64-v4, x86-64-v3, x86-64" in message
    with pytest.raises(ToolchainError, match="x86-64-v9 is none of"):
        cpu_library('extern "C" int probe() { return 0; }', (), stem="probe")


def test_a_level_that_this_cpu_has_not_is_refused() -> None:
    assert level_named("x86-64-v3", ["avx", "avx2", "bmi1", "bmi2", "fma"]).suffix == "v3"
    with pytest.raises(ToolchainError, match="x86-64-v4 is more than this CPU has"):
        level_named("x86-64-v4", ["avx", "avx2", "bmi1", "bmi2", "fma"])


def test_a_built_folder_lists_one_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurodsl.build.toolchain.find_nvcc", lambda: None)
    monkeypatch.setenv("NEURODSL_NVRTC", "")
    compilation, _ = compiled("LIF")
    made = build_files(compilation, tmp_path, Options())
    assert [path.name for path in made] == ["liblif.so"]
    assert b"neurodsl_source" in made[0].read_bytes()
    build_files(compilation, tmp_path, Options())  # it is ours, and so may be written again


MAIN = """
#include "lif.h"
#include <cstdio>
extern "C" const char* neurodsl_cpu();
int main() {
    float x[300], s[300], v[100];
    for (int i = 0; i < 300; ++i) x[i] = 0.02f * float(i);
    const int status = lif_forward_f32(ARGUMENTS);
    int spikes = 0;
    for (float one : s) spikes += one == 1.0f;
    std::printf("%s %d %d\\n", neurodsl_cpu(), status, spikes);
}
"""
VALUES = {
    "x": "x",
    "s": "s",
    "v_T": "v",
    "tau": "2",
    "decay_input": "1",
    "v_threshold": "1",
    "dt": "1",
    "T": "3",
    "N": "100",
}


def test_a_program_in_cpp_links_against_the_library(tmp_path: Path, level: Level) -> None:
    compilation, library = compiled("LIF")
    write_files(compilation, tmp_path, force=False)
    shutil.copy(library, tmp_path)
    kernels = manifest_of(compilation)["neurons"]["LIF"]["kernels"]
    forward = next(entry for entry in kernels if entry["symbol"] == "lif_forward_f32")
    listed = ", ".join(VALUES.get(a["name"], "0") for a in forward["arguments"])
    (tmp_path / "main.cpp").write_text(MAIN.replace("ARGUMENTS", listed))
    command = ["g++", "main.cpp", "-L.", "-llif", "-fopenmp", "-Wl,-rpath,.", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    answer = subprocess.run(
        ["./main"], cwd=tmp_path, env={"NEURODSL_CPU": level.name}, capture_output=True, text=True
    )
    x = 0.02 * torch.arange(300, dtype=torch.float32).reshape(3, 100)
    from neurodsl.library import LIF

    wanted = int(LIF(backend="reference")(x).sum())
    assert answer.stdout.split() == [level.name, "0", str(wanted)], answer.stderr


@pytest.mark.parametrize("neuron", ["LIF", "Izhikevich", "EIF"])
def test_clang_s_library_gives_the_same_bits(
    neuron: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clang = next((c for c in ("clang++", "clang++-19", "clang++-14") if shutil.which(c)), None)
    if clang is None:
        pytest.skip("no clang++")
    found = {}
    for compiler in ("g++", clang):
        monkeypatch.setenv("CXX", compiler)
        folder = tmp_path / compiler.replace("+", "p")
        compilation, _ = compiled(neuron)
        write_files(compilation, folder, force=False)
        module = imported(folder, compilation.stem, monkeypatch)
        found[compiler] = [
            t for dtype in (torch.float32, torch.float64) for t in results(module, neuron, dtype)
        ]
    assert all(torch.equal(a, b) for a, b in zip(*found.values(), strict=True))


def test_who_waits_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = 'extern "C" int waited() { return 1; }\n'
    monkeypatch.setattr(libraries, "PATIENCE", 1000.0)
    cpu_library(text, [], stem="soon")
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(libraries, "PATIENCE", 0.0)
    cpu_library(text, [], stem="late")
    assert re.fullmatch(
        r"neurodsl: still compiling late.*\.cpp with \S+; the result is kept for the next time\n",
        capfd.readouterr().err,
    )
