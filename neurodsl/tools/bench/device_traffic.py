"""Counted bytes of a neuron's passes on a GPU, for the dtype that its inputs and outputs are kept in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from neurodsl.tools.bench.device_result import Traffic
from neurodsl.tools.bench.traffic import counted


def traffic_of(
    manifest: Mapping[str, Any], dtype: torch.dtype, steps: int, neurons: int
) -> Traffic:
    """Of the CUDA kernels of this dtype.

    Where there are none for two-byte numbers, inputs and outputs are converted around the float32 kernels; what is
    counted then is half of the float32 kernels' bytes: what has to be moved, not what the conversions make of it.
    """
    name = str(dtype).removeprefix("torch.")
    halved = not _kernels(manifest, name)
    kernels = _kernels(manifest, "float32" if halved else name)
    first = manifest["outputs"][0]
    train = kernels.get("forward_train", kernels["forward"])
    infer, training, backward = (
        counted(kernel, first, steps, neurons)
        for kernel in (kernels["forward"], train, kernels["backward"])
    )
    share = 2 if halved else 1
    copy = 2 * steps * neurons * dtype.itemsize
    words = "float32, halved" if halved else name
    return Traffic(infer // share, (training + backward) // share, copy, words)


def _kernels(manifest: Mapping[str, Any], dtype: str) -> dict[str, Mapping[str, Any]]:
    return {
        kernel["pass"]: kernel
        for kernel in manifest["kernels"]
        if (kernel["target"], kernel["dtype"]) == ("cuda", dtype)
        and not {"requires", "spikes"} & kernel.keys()
    }
