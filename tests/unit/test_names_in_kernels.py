"""No name that a neuron has meets one that the kernels' own text has."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from neurodsl.csrc_gen import c_names
from neurodsl.csrc_gen.cuda.members import DERIVED, RESERVED

import neurodsl
from neurodsl.driver import analyse_text, compile_analysis
from neurodsl.files import disk_loader
from neurodsl.library import find, names
from neurodsl.options import Options

SHIM = Path(__file__).parents[1] / "numerics" / "cuda_shim"
NOT_NAMES = {"pragma", "omp", "simd", "unroll", "endif", "NEURODSL_HAS", "NEURODSL_WITH"}


def texts(source: str, name: str, **options: Any) -> dict[str, str]:
    """The generated files by suffix."""
    chosen = Options(**options)
    analysis = analyse_text(source, name, chosen, disk_loader)
    return {file.suffix: file.text for file in compile_analysis(analysis, chosen).files}


def kernels_of(text: str) -> Iterator[str]:
    """The namespaces with the kernels, without comments, texts and what stands after a dot or colons."""
    plain = re.sub(r'//.*|/\*.*?\*/|"[^"]*"', "", text)
    plain = re.sub(r"(\.|->|::)\s*[A-Za-z_]\w*", " ", plain)
    for part in re.split(r"^namespace \w+_kernels \{$", plain, flags=re.MULTILINE)[1:]:
        yield re.split(r"^extern|^#if NEURODSL_HAS", part, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("save", ["auto", "membrane", "bfloat16"])
def test_all_that_kernels_name_is_reserved(save: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: set[str] = set()
    fresh = c_names.CNames.fresh

    def keeping(self: c_names.CNames, name: str) -> str:
        found = fresh(self, name)
        handed.add(found)
        return found

    monkeypatch.setattr(c_names.CNames, "fresh", keeping)
    general = re.compile(c_names.OF_KERNELS)
    ours = c_names.KEYWORDS | c_names.OURS | NOT_NAMES
    loose: dict[str, set[str]] = {}
    for neuron in names():
        handed.clear()
        found_in = find(neuron)
        assert found_in is not None
        name, source = found_in
        for suffix, text in texts(source, name, save=save).items():
            if suffix not in (".cpp", ".cu"):
                continue
            known = ours | handed | (set(RESERVED) if suffix == ".cu" else set())
            for part in kernels_of(text):
                found = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", part)) - known
                found = {
                    w for w in found if not general.search(w) and not w.startswith(("fn_", "__"))
                }
                if suffix == ".cu":
                    found = {w for w in found if not re.search(DERIVED, w)}
                if found:
                    loose.setdefault(suffix, set()).update(found)
    assert not loose


USUAL = """neuron Probe:
    input  first_input
    output spikes
    param  slow  = 2.0 in (1, inf)
    param  fast  = 4.0
    param  limit = 0.5
    param  shape[channel] = 1.0
    state  inner_state = 0.0
    state  other_state = 0.0
    charge:
        middle = other_state + first_input / slow
        inner_state = inner_state + (middle - inner_state) / fast * shape
        other_state = 0.5 * middle
    fire:
        spikes = spike(inner_state - limit)
    reset:
        inner_state = inner_state - limit if spikes else inner_state
"""
RENAMED = (
    {"first_input": "begin", "spikes": "end", "slow": "count", "fast": "scratch", "limit": "sum"}
    | {"shape": "parts", "inner_state": "stream", "other_state": "zeros", "middle": "length"},
    {"first_input": "x", "spikes": "x_pack", "slow": "tau", "fast": "by_tau", "limit": "own_by_tau"}
    | {"shape": "tau_type", "inner_state": "v", "other_state": "v_now", "middle": "kept_0"},
    {"first_input": "N", "spikes": "at", "slow": "T", "fast": "C", "limit": "n"}
    | {"shape": "k", "inner_state": "j", "other_state": "a", "middle": "row"},
    {"first_input": "args", "spikes": "POWERS", "slow": "partials", "fast": "ws_grad_partials"}
    | {"limit": "divisor", "shape": "WHOLE", "inner_state": "NEURODSL_ONLY"}
    | {"other_state": "forward_run", "middle": "backward_arguments"},
    {"first_input": "p", "spikes": "grad_p", "slow": "p_T", "fast": "p_0", "limit": "p_row"}
    | {"shape": "p_tensor", "inner_state": "rec_p", "other_state": "adj_v", "middle": "total_p"},
)


def renamed(places: dict[str, str]) -> str:
    """The usual program under other names."""
    return re.sub(r"[a-z_]+", lambda found: places.get(found[0], found[0]), USUAL)


def run(source: str) -> list[torch.Tensor]:
    """The spikes, the last states and all gradients of a run."""
    neuron = neurodsl.load(source).Probe
    node = neuron(channels=3, learnable=[p.name for p in neuron.definition.params], backend="fused")
    x = torch.linspace(-3, 5, 4 * 2 * 3 * 50).reshape(4, 2, 3, 50).requires_grad_()
    output = node(x)
    output.sum().backward()
    states = [getattr(node, name).detach() for name in node.state_attributes]
    return [output.detach(), x.grad, *states, *(p.grad for p in node.parameters())]


@pytest.mark.parametrize("places", RENAMED, ids=lambda places: places["slow"])
def test_names_change_nothing(places: dict[str, str], tmp_path: Path) -> None:
    for found, expected in zip(run(renamed(places)), run(USUAL), strict=True):
        assert torch.equal(found, expected)
    text = texts(renamed(places), "probe.neuron")[".cu"]
    path = tmp_path / "probe.cpp"
    path.write_text(f'#include "cuda_shim.h"\n{text}')
    command = ["g++", "-std=c++17", "-fsyntax-only", "-w", f"-I{SHIM}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]
