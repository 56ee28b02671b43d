"""The manifest: all that is needed to launch every kernel by hand, as JSON."""

from __future__ import annotations

import json
from typing import Any

from neurodsl.csrc_gen.arguments import Argument, Pass, backward_arguments
from neurodsl.csrc_gen.backend import CompilationUnit, GeneratedFile
from neurodsl.csrc_gen.cpp.forward import forward_entries
from neurodsl.csrc_gen.cpp.layout import EVERY, block_width
from neurodsl.csrc_gen.cpp.stencil_arguments import (
    has_stencil,
    stencil_backward_arguments,
    stencil_forward_arguments,
)
from neurodsl.csrc_gen.cpp.unit import backward_kernels
from neurodsl.csrc_gen.cuda.arguments import cuda_backward_arguments, reduce_arguments, reduce_grid
from neurodsl.csrc_gen.cuda.bits import GRID as BITS_GRID
from neurodsl.csrc_gen.cuda.bits import NAME as BITS
from neurodsl.csrc_gen.cuda.bits import bits_arguments, gives_bits
from neurodsl.csrc_gen.cuda.forward import forward_entries as cuda_forward_entries
from neurodsl.csrc_gen.cuda.members import pointer_type
from neurodsl.csrc_gen.cuda.schedule import (
    BACKWARD_GRID,
    BLOCK,
    FORWARD_GRID,
    NUMBERS,
    Number,
    segment_steps,
)
from neurodsl.csrc_gen.cuda.unit import schedule_of
from neurodsl.csrc_gen.expr_printer import functions_called

from neurodsl.ir.kernel_plan import KernelPlan
from neurodsl.sema.builtins import BUILTINS
from neurodsl.sema.model import NeuronModel, ParamModel

FLAGS = {
    "strict": {"cxx": ["-ffp-contract=off"], "nvcc": ["-fmad=false"]},
    "fast": {"cxx": ["-ffp-contract=fast"], "nvcc": ["-fmad=true"]},
}


class ManifestBackend:
    """Prints `<stem>.json`."""

    name = "manifest"

    def generate(self, unit: CompilationUnit) -> tuple[GeneratedFile, ...]:
        """The one text."""
        manifest = {
            "manifest": 1,
            "neurodsl": unit.version,
            "source": unit.file.name,
            "fingerprint": unit.fingerprint,
            "options": unit.options,
            "flags": FLAGS[unit.options["fp"]],
            "neurons": {model.name: _neuron(model, plan) for model, plan in unit.neurons},
            "texts": dict(unit.file.sources),
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
        return (GeneratedFile(".json", text + "\n"),)


def _neuron(model: NeuronModel, plan: KernelPlan) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "inputs": list(plan.inputs),
        "outputs": list(plan.outputs),
        "states": [{"name": name, "initial": initial} for name, initial in plan.states],
        "params": [_param(param) for param in model.params],
        "save": plan.policy.value,
        "functions": sorted(inexact_functions(plan)),
        "kernels": _kernels(plan, "backward"),
    }
    if model.feedbacks:
        entry["feedback"] = [{"name": name, "from": source} for name, source in model.feedbacks]
    if has_stencil(plan):
        entry["stencil"] = _stencil(plan)
    if model.noises:
        entry["noise"] = [{"name": noise.name, "kind": noise.kind} for noise in model.noises]
    if plan.detached is not None:
        entry["variants"] = [
            {"options": {"detach_reset": True}, "kernels": _kernels(plan, "backward_detached")}
        ]
    return entry


def _shape(param: ParamModel) -> str:
    """`scalar`, or the axes in brackets, as declared."""
    return f"[{', '.join(param.shape)}]" if param.shape else "scalar"


def _stencil(plan: KernelPlan) -> list[dict[str, Any]]:
    """The kernels for a feedback through a depthwise convolution, CPU alone."""
    made = []
    for dtype, real in (("float32", "float"), ("float64", "double")):
        forward = stencil_forward_arguments(plan)
        made.append(_kernel(plan, "stencil_forward", Pass.FORWARD, dtype, real, forward))
        for name, passes in backward_kernels(plan):
            arguments = stencil_backward_arguments(plan, passes)
            made.append(_kernel(plan, f"stencil_{name}", Pass.BACKWARD, dtype, real, arguments))
    return made


def inexact_functions(plan: KernelPlan) -> frozenset[str]:
    """What the forward step calls and is not the same to the bit in every target."""
    called = functions_called([assign.value for assign in plan.forward.step])
    return frozenset(n for n in called if n not in ("square", "cube") and not _is_exact(n))


def _is_exact(name: str) -> bool:
    return name in BUILTINS and BUILTINS[name].exact


def _param(param: ParamModel) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": param.name, "default": param.value, "shape": _shape(param)}
    if param.interval is not None:
        entry["interval"] = param.interval.text
    if param.learnable:
        entry["learnable"] = True
    if param.via is not None:
        entry["via"] = param.via
    return entry


def _kernels(plan: KernelPlan, backward: str) -> list[dict[str, Any]]:
    """Every kernel for one form of the backward pass; the forward ones are the same in all."""
    made = []
    for dtype, real in (("float32", "float"), ("float64", "double")):
        for which, arguments in forward_entries(plan):
            made.append(_kernel(plan, which.value, which, dtype, real, arguments))
        for name, passes in backward_kernels(plan):
            if name == backward:
                arguments = backward_arguments(plan, passes, initial_values=True, every=EVERY)
                made.append(_kernel(plan, name, Pass.BACKWARD, dtype, real, arguments))
    return made + _cuda_kernels(plan, backward)


def _cuda_kernels(plan: KernelPlan, backward: str) -> list[dict[str, Any]]:
    made = []
    for number in NUMBERS:
        listed = [(w.value, w, arguments) for w, arguments in cuda_forward_entries(plan)]
        if gives_bits(plan):
            listed.append((BITS, Pass.FORWARD, bits_arguments(plan)))
        for name, passes in backward_kernels(plan):
            if name == backward:
                every = segment_steps(plan)
                arguments = cuda_backward_arguments(plan, passes, every)
                listed.append((name, Pass.BACKWARD, arguments))
        listed.append(("reduce", Pass.REDUCE, reduce_arguments(plan)))
        for name, which, arguments in listed:
            made.append(_cuda_kernel(plan, name, which, number, arguments))
    return made


def _cuda_kernel(
    plan: KernelPlan, name: str, which: Pass, number: Number, arguments: tuple[Argument, ...]
) -> dict[str, Any]:
    grids = {Pass.BACKWARD: BACKWARD_GRID, Pass.REDUCE: reduce_grid(plan)}
    grid = BITS_GRID if name == BITS else grids.get(which, FORWARD_GRID)
    entry: dict[str, Any] = {
        "symbol": f"{plan.prefix}_{name}_{number.suffix}",
        "target": "cuda",
        "pass": which.value,
        "dtype": number.dtype,
        "block": BLOCK,
        "elements_per_thread": schedule_of(plan, name, number).neurons,
        "grid": grid,
        "shared_bytes": 0,
        "arguments": [
            argument.as_manifest(number.manifest if pointer_type(argument) == "io" else number.real)
            for argument in arguments
        ],
    }
    if name == BITS:
        entry["spikes"] = "bits"
    return entry


def _kernel(
    plan: KernelPlan,
    name: str,
    which: Pass,
    dtype: str,
    real: str,
    arguments: tuple[Argument, ...],
) -> dict[str, Any]:
    return {
        "symbol": f"{plan.prefix}_{name}_{'f32' if dtype == 'float32' else 'f64'}",
        "target": "cpp",
        "pass": which.value,
        "dtype": dtype,
        "block": block_width(plan),
        "arguments": [argument.as_manifest(real) for argument in arguments],
    }
