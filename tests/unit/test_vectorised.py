"""Every loop over neurons that asks for vectors becomes vectors, by clang++ and by g++, and none calls a function."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from neurodsl.csrc_gen.cpp.vector_functions import NAMES

from neurodsl.build.libraries import CXX_FLAGS, GXX_FLAGS
from neurodsl.build.variants import LEVELS, Level, levels_here
from neurodsl.cli.sources import read
from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import names
from neurodsl.options import Options

pytestmark = pytest.mark.skipif(not levels_here(), reason="the levels are those of x86-64")

CHOSEN = ("LIF", "SoftLIF", "PLIF", "GatedLIF", "Izhikevich", "LISNN", "EIF")
"""Neurons that are not compiled by the marker `full` alone; among them the ones that took care to make vectors of."""

ALL = [n if n in CHOSEN else pytest.param(n, marks=pytest.mark.full) for n in names()]

WIDE = LEVELS[:2]
"""AVX-512 and AVX2. On the lowest level some functions of float64 stay scalar."""

FLAGS = [flag for flag in CXX_FLAGS if flag != "-w"] + ["-ffp-contract=off"]


@cache
def clang() -> tuple[str, ...]:
    """The newest clang++ in PATH, else the one in the package `ziglang`."""
    for name in ("clang++", *(f"clang++-{version}" for version in range(30, 12, -1))):
        if found := shutil.which(name):
            return (found,)
    if find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "c++")
    return ()


def march(compiler: tuple[str, ...], level: Level) -> list[str]:
    """The flags of a level; zig has its own spelling of CPUs."""
    if "ziglang" in compiler:
        return [f"-mcpu={level.name.replace('-', '_')}", *level.tuning]
    return list(level.flags)


def compile_with_clang(source: str, level: Level, folder: Path) -> tuple[int, str, set[str]]:
    """Exit status, what the compiler says, and the names of the functions called."""
    compiler = clang()
    if not compiler:
        pytest.skip("no clang++ and no package ziglang")
    (folder / "kernels.cpp").write_text(source, encoding="utf-8")
    gate = ["-g0", "-fopenmp-simd", "-Werror=pass-failed", "-S", "kernels.cpp", "-o", "kernels.s"]
    answer = subprocess.run(
        [*compiler, *FLAGS, *march(compiler, level), *gate],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assembly = (folder / "kernels.s").read_text(errors="replace") if answer.returncode == 0 else ""
    called = set(re.findall(r"\b(?:call|jmp)q?\s+\*?([A-Za-z_]\w*)", assembly))
    return answer.returncode, answer.stderr, called


@cache
def source_of(neuron: str) -> str:
    """The generated C++ text of a neuron of the library."""
    found = read(neuron)
    compilation = compile_text(found.text, found.name, Options(), disk_loader)
    return next(file.text for file in compilation.files if file.suffix == ".cpp")


def program_of(name: str) -> str:
    """A neuron that calls one function."""
    call = "x ^ y" if name == "pow" else f"{name}(x) + y"
    return f"neuron One:\n    input x, y\n    output z\n    charge:\n        z = {call}\n"


@cache
def source_with(name: str) -> str:
    compilation = compile_text(program_of(name), "<one>", Options(), disk_loader)
    return next(file.text for file in compilation.files if file.suffix == ".cpp")


LIBM = {f"{name}{end}" for name in (*NAMES, "sqrt", "floor", "rint") for end in ("", "f", "l")}

LOOP = """
extern "C" float other(float);
extern "C" void kernel(float* y, const float* x, int n) {
    #pragma omp simd
    for (int j = 0; j < n; ++j) y[j] = other(x[j]);
}
"""


def test_the_gate_refuses_a_loop_that_calls(tmp_path: Path) -> None:
    status, said, _ = compile_with_clang(LOOP, LEVELS[1], tmp_path)
    assert status != 0
    assert "loop not vectorized" in said


def test_the_gate_sees_a_call_of_the_c_library(tmp_path: Path) -> None:
    """Newer compilers take such a loop for vectorised when they call for each element in turn."""
    source = LOOP.replace("other(x[j])", "__builtin_tanf(x[j])")
    status, _, called = compile_with_clang(source, LEVELS[1], tmp_path)
    assert status != 0 or called & LIBM


@pytest.mark.parametrize("level", WIDE, ids=lambda level: level.name)
@pytest.mark.parametrize("neuron", ALL)
def test_clang_makes_vectors_of_every_loop(neuron: str, level: Level, tmp_path: Path) -> None:
    status, said, called = compile_with_clang(source_of(neuron), level, tmp_path)
    assert status == 0, said
    assert not called & LIBM


@pytest.mark.parametrize("name", sorted(NAMES))
def test_clang_makes_vectors_of_every_function(name: str, tmp_path: Path) -> None:
    for level in LEVELS:
        status, said, called = compile_with_clang(source_with(name), level, tmp_path)
        assert status == 0, said
        assert not called & LIBM


def scalar_loops_of_gcc(source: str, level: Level, folder: Path) -> list[str]:
    """The loops that ask for vectors and of which g++ left an instance scalar."""
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    (folder / "kernels.cpp").write_text(source, encoding="utf-8")
    report = [
        "-fopenmp-simd",
        "-fopt-info-vec-optimized-missed",
        "-S",
        "kernels.cpp",
        "-o",
        "kernels.s",
    ]
    answer = subprocess.run(
        ["g++", *FLAGS, *GXX_FLAGS, *level.flags, *report],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"LC_ALL": "C"},
    )
    vectors, scalars = (
        {int(line) for line in re.findall(rf"kernels\.cpp:(\d+):\d+: {found}", answer.stderr)}
        for found in ("optimized: loop vectorized", "missed: couldn't vectorize loop")
    )
    lines = source.splitlines()
    asked = [n + 2 for n, line in enumerate(lines) if "#pragma omp simd" in line]
    assert asked
    # a loop is reported by its own line or by the first of its body
    return [
        f"line {at}: {lines[at - 1].strip()}"
        for at in asked
        if {at, at + 1} & scalars or not {*range(at, at + 4)} & vectors
    ]


@pytest.mark.parametrize("level", WIDE, ids=lambda level: level.name)
@pytest.mark.parametrize("neuron", ALL)
def test_gcc_makes_vectors_of_every_loop(neuron: str, level: Level, tmp_path: Path) -> None:
    assert scalar_loops_of_gcc(source_of(neuron), level, tmp_path) == []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_gcc_makes_vectors_of_every_function(name: str, tmp_path: Path) -> None:
    assert scalar_loops_of_gcc(source_with(name), LEVELS[1], tmp_path) == []


def test_the_gate_of_gcc_sees_a_scalar_loop(tmp_path: Path) -> None:
    assert scalar_loops_of_gcc(LOOP, LEVELS[1], tmp_path) != []
