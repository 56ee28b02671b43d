"""How sharp the checks are, on two kernels."""

from __future__ import annotations

import numpy as np

from ptxsim import Machine
from ptxsim.conftest import Ptx
from ptxsim.machine import Argument
from ptxsim.mutation import Configuration, Watched, survivors


def forward(T: int, N: int, seed: int) -> Configuration:
    generator = np.random.default_rng(seed)
    x = generator.normal(0.7, 1, (T, N)).astype("f4")
    v0 = generator.normal(0, 0.3, N).astype("f4")
    x[:, :8], v0[:8] = 4.0, 0.0  # with rtau 1/4 the membrane meets the threshold exactly, each step
    v0[8:16] = np.nan  # and NaN must not spike

    def prepare(machine: Machine) -> tuple[list[Argument], list[Watched]]:
        S, H, V = (machine.buffer(n, s) for n, s in (("s", (T, N)), ("h", (T, N)), ("v", (N,))))
        given = [machine.buffer("x", x), machine.buffer("v0", v0)]
        rtau = 0.25 if seed else 0.3
        return [*given, S, H, V, T, N, rtau], [Watched(S), Watched(H), Watched(V)]

    return Configuration(prepare, 2, 128)


def test_forward(ptx: Ptx) -> None:
    # T with and without a remainder of the unrolling by four, and none at all; N with and without a tail
    shapes = [
        (6, 150, 0),
        (9, 256, 1),
        (4, 129, 1),
        (1, 150, 1),
        (0, 150, 1),
        (3, 140, 1),
        (11, 200, 1),
    ]
    killed, alive = survivors(
        ptx("neurons", "90"), "lif_fwd_f32", [forward(*shape) for shape in shapes]
    )
    assert killed > 50
    assert len(alive) <= 0.05 * (killed + len(alive)), alive


def reduction(T: int, N: int, grid: int, block: int, seed: int) -> Configuration:
    generator = np.random.default_rng(seed)
    arrays = {n: generator.normal(0.7, 1, (T, N)).astype("f4") for n in ("gs", "h", "before", "x")}
    arrays["h"][:, :8] = 1.0
    arrays["w"] = np.array([-0.4], "f4")

    def prepare(machine: Machine) -> tuple[list[Argument], list[Watched]]:
        GX, GW = machine.buffer("gx", (T, N)), machine.buffer("gw", np.full(1, 7, "f4"))
        given = [machine.buffer(name, array) for name, array in arrays.items()]
        return [*given, GX, GW, T, N], [Watched(GX), Watched(GW, 3)]

    return Configuration(prepare, grid, block)


def test_reduction(ptx: Ptx) -> None:
    shapes = [
        (6, 150, 2, 128, 0),
        (10, 512, 2, 256, 1),
        (1, 1024, 1, 1024, 2),
        (3, 70, 1, 96, 4),
        (0, 64, 1, 64, 3),
    ]
    killed, alive = survivors(
        ptx("neurons", "90"), "plif_bwd_f32", [reduction(*shape) for shape in shapes]
    )
    assert killed > 80
    assert len(alive) <= 0.12 * (killed + len(alive)), alive
