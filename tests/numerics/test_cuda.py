"""The CUDA text of every library neuron: nvcc takes it for five architectures without spills, and executed on the host,
thread by thread, it gives what the C++ kernels give."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numerics.launching import REALS, cuda_kernels, key_of, launch, shim_library

from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find, names
from neurodsl.options import Options
from neurodsl.runtime.kernels import Kernels
from neurodsl.runtime.manifest import Manifest

ARCHS = (75, 80, 90, 100, 120)
CALLS = [(4, 131), (1, 128), (3, 5)]
"""Steps and neurons: a full block and a tail, exactly one block, fewer than a warp."""
MORE_CALLS = [(0, 3), (6, 256), (9, 300), (17, 1)]


def compiled(neuron: str, save: str, folder: Path) -> tuple[str, dict[str, Any], Manifest]:
    found = find(neuron)
    assert found is not None
    result = compile_text(found[1], found[0], Options(save=save), disk_loader)
    for file in result.files:
        (folder / f"{result.stem}{file.suffix}").write_text(file.text, encoding="utf-8")
    source = (folder / f"{result.stem}.cu").read_text(encoding="utf-8")
    content = json.loads((folder / f"{result.stem}.json").read_text(encoding="utf-8"))
    return source, content, Manifest(str(folder / f"{result.stem}.py"), result.fingerprint)


@pytest.mark.parametrize("neuron", names())
def test_nvcc_takes_it_without_spills(neuron: str, tmp_path: Path) -> None:
    """A missing nvcc fails here."""
    _, content, manifest = compiled(neuron, "inputs", tmp_path)
    archs = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in ARCHS]
    flags = [*content["flags"]["nvcc"], "-std=c++17", "-O3", "-Xptxas", "-v", "--threads", "2"]
    command = ["nvcc", *flags, *archs, "-fatbin", str(manifest.sibling(".cu"))]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out.fatbin")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    assert len(spills) >= len(ARCHS) * len(cuda_kernels(content))
    assert all(pair == ("0", "0") for pair in spills)


def values_for(entry: dict[str, Any], steps: int, neurons: int, dtype: Any) -> dict[Any, Any]:
    """Random arrays for what a kernel reads, NaN-filled ones for what it writes, zeros for what it adds to."""
    random = np.random.default_rng(5)
    values: dict[Any, Any] = {}
    defaults = {"dt": 1.0, "decay_input": 1, "u0": 0.4, "tau": 2.5, "v_reset": 0.1, "decay": 0.5}
    for argument in entry["arguments"]:
        key = key_of(argument)
        if argument["role"] in ("param", "uniform"):
            values[key] = defaults.get(key[1], 0.75)
        elif argument.get("shape") is not None and argument["role"] not in (
            "param_tensor",
            "uniform_tensor",
        ):
            sizes = {"T": steps, "N": neurons, "ceil(N / block)": -(-neurons // entry["block"])}
            shape = tuple(sizes[s] if s in sizes else int(s) for s in argument["shape"])
            kind = np.float64 if argument["type"] == "double*" else dtype
            if argument["access"] == "read":
                values[key] = (random.standard_normal(shape) * 0.8 + 0.4).astype(kind)
            elif argument["access"] == "write":
                values[key] = np.full(shape, np.nan, kind)
            else:
                values[key] = np.zeros(shape, kind)
    return values


def check(neuron: str, save: str, calls: list[tuple[int, int]], folder: Path) -> None:
    source, content, manifest = compiled(neuron, save, folder)
    shim = shim_library(source, content, folder)
    host = Kernels(manifest, neuron).library()
    entries = {(e["symbol"], e["target"]): e for e in _every(content["neurons"][neuron])}
    for (symbol, target), entry in entries.items():
        if target != "cuda" or entry["pass"] == "reduce":
            continue
        reduce = entries[re.sub(r"_(forward|backward).*_f", "_reduce_f", symbol), "cuda"]
        for steps, neurons in calls:
            compare(shim, host, entry, entries[symbol, "cpp"], reduce, steps, neurons)


def _every(neuron: dict[str, Any]) -> list[dict[str, Any]]:
    lists = [neuron["kernels"], *(v["kernels"] for v in neuron.get("variants", ()))]
    return [entry for entries in lists for entry in entries]


def compare(
    shim: Any, host: Any, cuda: Any, cpp: Any, reduce: Any, steps: int, neurons: int
) -> None:
    dtype = REALS[cuda["dtype"]]
    given = values_for(cuda, steps, neurons, dtype)
    expected = {key: np.array(value, copy=True) for key, value in given.items()}
    launch(shim, cuda, given, steps, neurons, order=steps)
    if cuda["pass"] == "backward" and neurons:
        launch(shim, reduce, given, steps, neurons)
    launch(host, cpp, expected, steps, neurons)
    tolerance = 2e-5 if dtype is np.float32 else 1e-12
    for argument in cuda["arguments"]:
        role, of = key_of(argument)
        if argument.get("access") in ("write", "readwrite") and role != "workspace":
            a, b = given[role, of], expected[role, of]
            if cuda["pass"] != "backward":
                np.testing.assert_array_equal(a, b, err_msg=f"{cuda['symbol']} {of}")
            else:
                scale = max(float(np.linalg.norm(b)), 1e-3)
                assert np.linalg.norm(a - b) <= tolerance * scale, f"{cuda['symbol']} {of}"


@pytest.mark.parametrize("neuron", names())
def test_executed_it_gives_what_the_cpu_gives(neuron: str, tmp_path: Path) -> None:
    check(neuron, "inputs", CALLS, tmp_path)


@pytest.mark.parametrize("neuron", ["LIF", "PLIF"])
def test_executed_with_a_saved_tape(neuron: str, tmp_path: Path) -> None:
    check(neuron, "membrane", CALLS, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("save", ["inputs", "membrane", "all"])
@pytest.mark.parametrize("neuron", names())
def test_executed_in_every_form(neuron: str, save: str, tmp_path: Path) -> None:
    check(neuron, save, [*CALLS, *MORE_CALLS], tmp_path)
