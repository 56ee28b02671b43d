"""A small run of the kernels on a GPU, to be watched by `compute-sanitizer` and Nsight Compute: `python -m
neurodsl.tools.gpu_check [NEURON…]`. Spikes are compared with the CPU's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import neurodsl
from neurodsl.build.errors import ToolchainError
from neurodsl.library import names
from neurodsl.loading import class_of
from neurodsl.tools.bench.argument_types import device as device_name
from neurodsl.tools.bench.argument_types import dtypes, shapes
from neurodsl.tools.bench.cuda_device import cuda_device
from neurodsl.tools.bench.inputs import Given, firing_scale
from neurodsl.tools.making import filled_in

SHAPES = ((1, 33), (4, 258), (9, 641), (19, 130))
"""Small, for a sanitizer slows a kernel down a hundred times; with and without rests of steps and neurons."""


def check(neuron: str, dtype: torch.dtype, steps: int, neurons: int, device: torch.device) -> str:
    """Forward and backward on a device; what is wrong with its spikes, empty if nothing is."""
    module: Any = neurodsl.load(neuron)
    count = len(class_of(module, neuron).definition.inputs)
    given = Given.of(count, steps, neurons, dtype, firing_scale(module, neuron))
    manifest = module.__manifest__["neurons"][neuron]

    def run(where: torch.device) -> tuple[Tensor, Tensor]:
        node = class_of(module, neuron)(backend="fused", **filled_in(manifest, steps, neurons))
        node = node.to(where, torch.float64) if dtype == torch.float64 else node.to(where)
        inputs = [x.to(where).detach().requires_grad_() for x in given.plain]
        made = node(*inputs)
        output = made if isinstance(made, Tensor) else made[0]
        gradients = torch.autograd.grad(output, inputs, given.upstream.to(where), allow_unused=True)
        gradient = next(g for g in gradients if g is not None)
        return output.detach().cpu(), gradient.cpu()

    (found, gradient), (expected, wanted) = run(device), run(torch.device("cpu"))
    exact = not (manifest["functions"] or manifest.get("feedback") or manifest.get("noise"))
    if exact and not torch.equal(found, expected):
        return f"{int((found != expected).sum())} outputs differ from the CPU's"
    if not exact:
        return "" if bool(gradient.isfinite().all()) else "the gradient is not finite"
    apart = float((gradient.double() - wanted.double()).norm())
    if apart > 0.02 * float(wanted.double().norm()):
        return "the gradient is not the CPU's"
    return ""


def run(arguments: argparse.Namespace, tell: Callable[[str], object] = print) -> int:
    """Check what is asked for; a line each; returns the exit status."""
    device = torch.device("cpu")
    if arguments.device != "cpu":
        device = cuda_device(arguments.device).torch_device
    wrong = 0
    for neuron in arguments.neurons or names():
        for dtype in arguments.dtype:
            for steps, neurons in arguments.shapes:
                said = check(neuron, getattr(torch, dtype), steps, neurons, device)
                tell(f"{neuron} {dtype} {steps} x {neurons}: {said or 'as on the CPU'}")
                wrong += bool(said)
    return 1 if wrong else 0


def build_parser() -> argparse.ArgumentParser:
    """Of the command."""
    parser = argparse.ArgumentParser(prog="python -m neurodsl.tools.gpu_check", description=__doc__)
    parser.add_argument("neurons", metavar="NEURON", nargs="*", help="of the library; default: all")
    parser.add_argument("--device", metavar="cpu|cuda|cuda:N", type=device_name, default="cuda")
    parser.add_argument("--shapes", metavar="TxN,…", type=shapes, default=SHAPES)
    parser.add_argument("--dtype", metavar="float32,…", type=dtypes, default=("float32",))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    try:
        return run(build_parser().parse_args(arguments))
    except ToolchainError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
