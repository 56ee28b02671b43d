"""The CUDA text of every library neuron: nvcc takes it for five architectures without spills, and executed on the host,
thread by thread, it gives what the C++ kernels give."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numerics.launching import REALS, cuda_kernels, key_of, launch, shim_library, size_of

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


TEXTS = {
    "Shaped": """\
neuron Shaped:
    input  x
    output s
    param tau[channel] = 2.5 learnable
    param offset[neuron] = 0.1 learnable
    param gain[time] = 1.0 learnable
    param bias[time, channel] = 0.1 learnable
    param sigma = 0.3 learnable
    noise e ~ normal(0, sigma)
    noise u ~ uniform(-1, 1)
    state v = 0
    charge:
        v = v + (x * gain + bias + e + u * offset - v) / tau
    fire:
        s = spike(v - 1)
    reset:
        v = 0 if s else v
""",
    "Levels": """\
neuron Levels:
    input  x
    output s
    param th = 0.75 learnable
    state v = 0
    charge:
        dv/dt = x - 0.1 * v by rk4(steps=2)
    fire:
        s = spike(v / th, multi_level(n=3))
    reset:
        v = v - s * th
""",
}
"""Programs with what the library has not: params of every shape, noise."""


def compiled(neuron: str, save: str, folder: Path) -> tuple[str, dict[str, Any], Manifest]:
    found = find(neuron) or (f"<text>/{neuron}.neuron", TEXTS[neuron])
    assert found is not None
    result = compile_text(found[1], found[0], Options(save=save), disk_loader)
    for file in result.files:
        (folder / f"{result.stem}{file.suffix}").write_text(file.text, encoding="utf-8")
    source = (folder / f"{result.stem}.cu").read_text(encoding="utf-8")
    content = json.loads((folder / f"{result.stem}.json").read_text(encoding="utf-8"))
    return source, content, Manifest(str(folder / f"{result.stem}.py"), result.fingerprint)


BY_NVCC = ("LIF", "GatedLIF", "STBIF")
"""Neurons that nvcc compiles in every run; the others by the marker `full`."""

SPILLING = ("HodgkinHuxley", "ConductanceLIF", "KLIF", "TernaryIF", "TernaryLIF")
"""Neurons whose float64 kernels need more than the registers that a thread has."""


@pytest.mark.parametrize("dtype", ["f32", pytest.param("f64", marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "neuron",
    [pytest.param(n, marks=[] if n in BY_NVCC else pytest.mark.full) for n in names()],
)
def test_nvcc_takes_it_without_spills(neuron: str, dtype: str, tmp_path: Path) -> None:
    """A missing nvcc fails here."""
    _, content, manifest = compiled(neuron, "inputs", tmp_path)
    archs = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in ARCHS]
    flags = [*content["flags"]["nvcc"], f"-DNEURODSL_ONLY={dtype}", "-std=c++17", "-Xptxas", "-v"]
    command = ["nvcc", *flags, "--threads", "2", *archs, "-fatbin", str(manifest.sibling(".cu"))]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out.fatbin")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stacks = re.findall(
        r"entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores",
        done.stderr,
        re.S,
    )
    kernels = [k for k in cuda_kernels(content) if k["symbol"].endswith(f"_{dtype}")]
    assert len(stacks) >= len(ARCHS) * len(kernels)
    spilling = {symbol for symbol, *counts in stacks if counts != ["0", "0"]}
    assert not spilling or (dtype == "f64" and neuron in SPILLING)


def values_for(entry: dict[str, Any], steps: int, neurons: int, dtype: Any) -> dict[Any, Any]:
    """Random arrays for what a kernel reads, NaN-filled ones for what it writes, zeros for what it adds to."""
    random = np.random.default_rng(5)
    channels = next(count for count in (5, 4, 1) if neurons % count == 0)
    values: dict[Any, Any] = {}
    defaults = {"dt": 1.0, "decay_input": 1, "u0": 0.4, "tau": 2.5, "v_reset": 0.1, "decay": 0.5}
    for argument in entry["arguments"]:
        key = key_of(argument)
        if argument["role"] in ("param", "uniform"):
            whole = argument["type"] == "int32_t"
            values[key] = 1 if whole else defaults.get(key[1], 0.75)
        elif argument["role"] in ("channels", "inner", "seed"):
            values[key] = {"channels": channels, "inner": 1, "seed": 12345}[argument["role"]]
        elif argument.get("shape") is not None and (
            argument["role"] not in ("param_tensor", "uniform_tensor") or argument["shape"]
        ):
            shape = tuple(size_of(entry, s, steps, neurons, channels) for s in argument["shape"])
            kind = np.float64 if argument["type"] == "double*" else dtype
            if argument["type"] == "uint16_t*":  # bfloat16: the upper halves of float32 numbers
                drawn = (random.standard_normal(shape) * 0.8).astype(np.float32)
                values[key] = (drawn.view(np.uint32) >> 16).astype(np.uint16)
            elif argument["access"] == "read":
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
    exact = not content["neurons"][neuron]["functions"]
    for (symbol, target), entry in entries.items():
        if target != "cuda" or entry["pass"] == "reduce" or entry["dtype"] not in REALS:
            continue
        if "spikes" in entry:
            forward = entries[symbol.replace("_bits_", "_"), "cuda"]
            for steps, neurons in calls:
                for grid in (None, 1):
                    compare_bits(shim, entry, forward, steps, neurons, grid)
            continue
        others = Others(
            shim,
            host,
            entries[symbol, "cpp"],
            tuple(entries[re.sub(r"_f\d\d$", end, symbol), "cpp"] for end in ("_f32", "_f64")),
            entries[re.sub(r"_(forward|backward).*_f", "_reduce_f", symbol), "cuda"],
            entries.get((re.sub(r"_backward.*_f", "_forward_train_f", symbol), "cuda")),
        )
        for steps, neurons in calls:
            for grid in (None, 1):
                compare(entry, others, steps, neurons, grid, exact=exact)


@dataclass(frozen=True)
class Others:
    """What a kernel is compared with, and what runs before and after it."""

    shim: Any
    host: Any
    cpp: dict[str, Any]
    by_dtype: tuple[dict[str, Any], dict[str, Any]]
    """The CPU's kernels of float32 and float64."""
    reduce: dict[str, Any]
    train: dict[str, Any] | None


def _every(neuron: dict[str, Any]) -> list[dict[str, Any]]:
    lists = [neuron["kernels"], *(v["kernels"] for v in neuron.get("variants", ()))]
    return [entry for entries in lists for entry in entries]


def few_differ(a: np.ndarray, b: np.ndarray, neurons: int) -> bool:
    """The targets' exp and the like differ in the last bits: few neurons may take another way for that."""
    close = np.isclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
    return not neurons or bool((~close.reshape(-1, neurons)).any(0).mean() <= 0.01)


def off_in_float32(
    others: Others, given: dict[Any, Any], steps: int, neurons: int, of: tuple[str, str]
) -> float:
    """How far the CPU's own kernel of float32 is from that of float64: what rounding does to this gradient."""
    found = []
    for entry, dtype in zip(others.by_dtype, (np.float32, np.float64), strict=True):
        values = {key: np.array(value, copy=True) for key, value in given.items()}
        for argument in entry["arguments"]:
            if argument.get("every", 1) > 1:
                values.pop(key_of(argument), None)
        values = {k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in values.items()}
        launch(others.host, entry, values, steps, neurons)
        found.append(np.where(np.isfinite(values[of]), values[of], 0).astype(np.float64))
    return float(np.linalg.norm(found[0] - found[1]))


def compare_bits(
    shim: Any, bits: dict[str, Any], forward: dict[str, Any], steps: int, neurons: int, grid: Any
) -> None:
    """The words hold what the forward kernel writes, and end with zeros; the states are the same."""
    dtype = REALS[bits["dtype"]]
    given = values_for(bits, steps, neurons, dtype)
    expected = {**values_for(forward, steps, neurons, dtype), **given}
    for argument in bits["arguments"]:
        if argument["role"] == "output":
            words = given[key_of(argument)].shape
            given[key_of(argument)] = np.full(words, 0xABCDABCD, np.uint32)
            expected[key_of(argument)] = np.full((steps, neurons), np.nan, dtype)
        elif argument["role"] == "final_state":
            expected[key_of(argument)] = given[key_of(argument)].copy()
    launch(shim, bits, given, steps, neurons, order=steps, grid=grid)
    launch(shim, forward, expected, steps, neurons)
    for argument in bits["arguments"]:
        a, b = given.get(key_of(argument)), expected.get(key_of(argument))
        if argument["role"] == "output":
            padded = np.zeros((steps, 32 * a.shape[1]), np.uint8)
            padded[:, :neurons] = b
            packed = np.packbits(padded, axis=1, bitorder="little").view(np.uint32)
            np.testing.assert_array_equal(a, packed.reshape(a.shape))
        elif argument["role"] == "final_state":
            np.testing.assert_array_equal(a, b)


def compare(
    cuda: dict[str, Any], others: Others, steps: int, neurons: int, grid: int | None, *, exact: bool
) -> None:
    """`exact`: to the bit. The elementary functions of the CPU are its own, and not CUDA's to the bit.

    With a grid of one block a thread takes several neurons; checkpoints are there then, and not otherwise.
    """
    dtype = REALS[cuda["dtype"]]
    given = values_for(cuda, steps, neurons, dtype)
    expected = {key: np.array(value, copy=True) for key, value in given.items()}
    given_before = {key: np.array(value, copy=True) for key, value in given.items()}
    for argument in cuda["arguments"]:
        if argument.get("every", 1) > 1 and cuda["pass"] == "backward":
            if grid is None:
                del given[key_of(argument)]
            else:
                assert others.train is not None
                kept = {**values_for(others.train, steps, neurons, dtype), **given}
                launch(others.shim, others.train, kept, steps, neurons)
    for argument in others.cpp["arguments"]:
        if argument.get("every", 1) > 1:
            expected.pop(key_of(argument), None)
    parts = ("workspace", "partials")
    if grid is not None and cuda["pass"] == "backward" and parts in given:
        given[parts] = np.full((given[parts].shape[0], grid), np.nan)
    launch(others.shim, cuda, given, steps, neurons, order=steps, grid=grid)
    if cuda["pass"] == "backward" and neurons:
        if parts in given and grid is not None:  # the second stage expects the grid of the manifest
            blocks = values_for(cuda, steps, neurons, dtype)[parts].shape[1]
            whole = np.zeros((given[parts].shape[0], blocks))
            whole[:, :1] = given[parts].sum(1, keepdims=True)
            given[parts] = whole
        launch(others.shim, others.reduce, given, steps, neurons)
    launch(others.host, others.cpp, expected, steps, neurons)
    for argument in cuda["arguments"]:
        if argument["role"] == "saved" and argument.get("every", 1) == 1 and exact:
            kept = key_of(argument)
            np.testing.assert_array_equal(given[kept], expected[kept], err_msg=cuda["symbol"])
    tolerance = 2e-5 if dtype is np.float32 else 1e-12
    for argument in cuda["arguments"]:
        role, of = key_of(argument)
        if argument.get("access") in ("write", "readwrite") and role not in ("workspace", "saved"):
            a, b = given[role, of], expected[role, of]
            if cuda["pass"] != "backward" and not exact:
                assert few_differ(a, b, neurons), f"{cuda['symbol']} {of}"
            elif cuda["pass"] != "backward":
                np.testing.assert_array_equal(a, b, err_msg=f"{cuda['symbol']} {of}")
            else:
                np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
                a, b = (np.where(np.isfinite(v), v, 0).astype(np.float64) for v in (a, b))
                largest = max(float(np.abs(b).max(initial=0)), 1.0)  # else squares could overflow
                a, b = a / largest, b / largest
                least = (
                    0.05 if role == "grad_param" else 1e-3
                )  # what is left of a sum of numbers around 1
                scale = max(float(np.linalg.norm(b)), least)
                allowed = tolerance * scale
                if np.linalg.norm(a - b) > allowed:  # as much as rounding does to such a gradient
                    off = off_in_float32(others, given_before, steps, neurons, (role, of)) / largest
                    allowed = 8 * off * (1.0 if dtype is np.float32 else 2.0**-29)
                assert np.linalg.norm(a - b) <= allowed, f"{cuda['symbol']} {of}"


EXECUTED = ("LIF", "KLIF", "EIF", "Izhikevich", "GatedLIF", "STBIF", "LISNN", "CubaLI")
"""One neuron of each kind runs every time; the others by the marker `full`."""


@pytest.mark.parametrize(
    "neuron",
    [pytest.param(n, marks=[] if n in EXECUTED else pytest.mark.full) for n in names()],
)
def test_executed_it_gives_what_the_cpu_gives(neuron: str, tmp_path: Path) -> None:
    check(neuron, "inputs", CALLS, tmp_path)


@pytest.mark.parametrize("save", ["inputs", "all"])
@pytest.mark.parametrize("neuron", TEXTS)
def test_executed_with_shapes_and_noise(neuron: str, save: str, tmp_path: Path) -> None:
    check(neuron, save, [*CALLS, (3, 20), (0, 4), (5, 260)], tmp_path)


@pytest.mark.parametrize("save", ["membrane", "bfloat16"])
@pytest.mark.parametrize("neuron", ["LIF", "PLIF"])
def test_executed_with_a_saved_tape(neuron: str, save: str, tmp_path: Path) -> None:
    check(neuron, save, CALLS, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("save", ["inputs", "membrane", "all", "bfloat16"])
@pytest.mark.parametrize("neuron", names())
def test_executed_in_every_form(neuron: str, save: str, tmp_path: Path) -> None:
    check(neuron, save, [*CALLS, *MORE_CALLS], tmp_path)


def test_a_distance_below_a_threshold_is_kept_below_it(tmp_path: Path) -> None:
    """In two bytes: the smallest distances would round to zero, and backward would take them for a spike."""
    source, content, manifest = compiled("LIF", "bfloat16", tmp_path)
    shim, host = shim_library(source, content, tmp_path), Kernels(manifest, "LIF").library()
    for suffix, smallest in (("f32", 1.4e-45), ("f64", 5e-324)):
        for grid in (None, 1):
            entries = [
                e
                for e in _every(content["neurons"]["LIF"])
                if e["symbol"] == f"lif_forward_train_{suffix}"
            ]
            cuda, cpp = (next(e for e in entries if e["target"] == t) for t in ("cuda", "cpp"))
            values = values_for(cuda, 3, 256, REALS[cuda["dtype"]])
            values["input", "x"][:] = -np.geomspace(2 * smallest, 1e-30, 256)
            values["initial_state", "v"][:] = 0
            values["param", "v_threshold"] = values["param", "v_reset"] = 0.0
            values["param", "tau"] = 2.0
            other = {key: np.array(value, copy=True) for key, value in values.items()}
            launch(shim, cuda, values, 3, 256, grid=grid)
            launch(host, cpp, other, 3, 256)
            for argument in (a for a in cuda["arguments"] if a["role"] == "saved"):
                a, b = values[key_of(argument)], other[key_of(argument)]
                np.testing.assert_array_equal(a, b)
            (distance,) = (
                values[key_of(a)] for a in cuda["arguments"] if key_of(a) == ("saved", "u")
            )
            assert (distance != 0x8000).all()
