"""Every manifest has the form that programs outside rely on, whatever the neuron."""

from __future__ import annotations

import json
from typing import Any

import pytest

import neurodsl
from neurodsl.library import names
from neurodsl.runtime.arithmetic import evaluate

ROLES = {
    "input",
    "output",
    "initial_state",
    "final_state",
    "param",
    "param_tensor",
    "recorded",
    "saved",
}
ROLES |= {
    "workspace",
    "grad_output",
    "grad_final_state",
    "grad_input",
    "grad_initial_state",
    "grad_param",
}
ROLES |= {
    "uniform",
    "uniform_tensor",
    "steps",
    "neurons",
    "channels",
    "inner",
    "seed",
    "first_step",
}
TYPES = {"float", "double", "half", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t"}
PASSES = {"forward", "forward_train", "backward", "reduce"}
NEURONS = [name for name in names() if name[0].isupper()]


@pytest.mark.parametrize("save", ["inputs", "membrane"])
@pytest.mark.parametrize("name", NEURONS)
def test_schema(name: str, save: str) -> None:
    module = neurodsl.load(name, save=save)
    manifest: dict[str, Any] = json.loads(json.dumps(dict(module.__manifest__)))
    assert manifest["manifest"] == 1
    assert manifest["options"]["save"] == save
    source = {"cpp": ".cpp", "cuda": ".cu"}
    texts = {
        k: module.__manifest__.sibling(v).read_text(encoding="utf-8") for k, v in source.items()
    }
    for neuron in manifest["neurons"].values():
        lists = [neuron["kernels"], *(v["kernels"] for v in neuron.get("variants", []))]
        for kernels in lists:
            _check(kernels, texts)


def _check(kernels: list[dict[str, Any]], texts: dict[str, str]) -> None:
    saved: dict[tuple[str, str], list[Any]] = {}
    for kernel in kernels:
        assert kernel["pass"] in PASSES
        narrow = ("float16", "bfloat16") if kernel["target"] == "cuda" else ()
        assert kernel["dtype"] in ("float32", "float64", *narrow)
        geometry = {key: kernel.get(key, 1) for key in ("block", "elements_per_thread")}
        assert f" {kernel['symbol']}(" in texts[kernel["target"]]
        roles = [a["role"] for a in kernel["arguments"]]
        assert set(roles) <= ROLES
        assert roles[-1] == "neurons"
        known = [a["name"] for a in kernel["arguments"]]
        assert len(set(known)) == len(known)
        for argument in kernel["arguments"]:
            assert argument["type"].removesuffix("*") in TYPES
            assert argument["type"].endswith("*") == ("shape" in argument) == ("access" in argument)
            if argument["role"] in ("recorded", "grad_param", "grad_final_state"):
                assert argument["optional"] is True
            for size in argument.get("shape", []):
                assert evaluate(size, {"T": 3, "N": 200, **geometry}) >= 1
        if kernel["target"] == "cuda":
            sizes = {"N": 1025, **geometry}
            assert evaluate(kernel["grid"], sizes) >= 1
        of_saved = [a for a in kernel["arguments"] if a["role"] == "saved"]
        forms = [(a["name"], a["type"], a["shape"]) for a in of_saved]
        if kernel["pass"] != "reduce":
            key = (kernel["target"], kernel["dtype"])
            if kernel["pass"] == "forward_train":
                saved[key] = forms
            elif kernel["pass"] == "backward":
                assert forms == saved.get(key, [])
