"""Launches any kernel from its entry in a manifest alone: a C++ one, or a CUDA one in the shim."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from neurodsl.runtime.arithmetic import evaluate

SHIM = Path(__file__).parent / "cuda_shim"
REALS = {"float32": np.float32, "float64": np.float64}
_TYPES: dict[str, Any] = {
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
}


def shim_library(source: str, manifest: dict[str, Any], folder: Path) -> ctypes.CDLL:
    """The CUDA text, built for the host with the shim in front of it."""
    symbols = sorted(entry["symbol"] for entry in cuda_kernels(manifest))
    launchers = "".join(f"CUDA_SHIM_KERNEL({symbol})\n" for symbol in symbols)
    path = folder / "kernels.cpp"
    path.write_text(f'#include "cuda_shim.h"\n{source}\n{launchers}', encoding="utf-8")
    library = folder / "kernels.so"
    flags = ["-std=c++17", "-O0", "-ffp-contract=off", "-fPIC", "-shared", f"-I{SHIM}", "-w"]
    subprocess.run(["g++", *flags, str(path), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def cuda_kernels(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Every CUDA entry of a manifest, each symbol once."""
    found: dict[str, dict[str, Any]] = {}
    for neuron in manifest["neurons"].values():
        lists = [neuron["kernels"], *(v["kernels"] for v in neuron.get("variants", ()))]
        for entry in (entry for entries in lists for entry in entries):
            if entry["target"] == "cuda":
                found[entry["symbol"]] = entry
    return list(found.values())


def key_of(argument: dict[str, Any]) -> tuple[str, str]:
    """Role, and what the argument is of."""
    return argument["role"], argument.get("of", argument["name"])


def launch(
    library: ctypes.CDLL,
    entry: dict[str, Any],
    values: dict[tuple[str, str], Any],
    steps: int,
    neurons: int,
    order: int = 0,
    grid: int | None = None,
) -> None:
    """Run one kernel. `values` holds arrays and numbers by (role, of); what is missing is null or 0.

    `grid`: blocks, if not those that the manifest says; a thread then takes several neurons.
    """
    held: list[Any] = []
    for argument in entry["arguments"]:
        kind = argument["type"]
        value = {"steps": steps, "neurons": neurons}.get(argument["role"])
        value = values.get(key_of(argument)) if value is None else value
        if kind.endswith("*"):
            held.append(ctypes.c_void_p(None if value is None else value.ctypes.data))
        else:
            held.append(_TYPES[kind](0 if value is None else value))
    if entry["target"] == "cpp":
        function = getattr(library, entry["symbol"])
        function.argtypes = [type(h) for h in held]
        assert function(*held) == 0
        return
    function = getattr(library, f"shim_launch_{entry['symbol']}")
    function.restype = ctypes.c_char_p
    addresses = (ctypes.c_void_p * len(held))(*(ctypes.addressof(h) for h in held))
    blocks = size_of(entry, entry["grid"], steps, neurons) if grid is None else grid
    if blocks:
        problem = function(blocks, entry["block"], order, addresses)
        assert problem is None, problem


def size_of(entry: dict[str, Any], text: str, steps: int, neurons: int, channels: int = 1) -> int:
    """A size or grid of a kernel's entry."""
    names = {"T": steps, "N": neurons, "C": channels, "inner": 1}
    names |= {key: entry[key] for key in ("block", "elements_per_thread") if key in entry}
    return evaluate(text, names)
