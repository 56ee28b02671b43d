"""Wrong kernels and wrong calls: each must be caught, and named by its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptxsim import Buffer, Fault, Machine, Module, Stats
from ptxsim.conftest import Compiled


@pytest.fixture
def faulty(compiled: Compiled) -> Module:
    return compiled("faulty", "90")


@pytest.fixture
def neurons(compiled: Compiled) -> Module:
    return compiled("neurons", "90")


def run(
    module: Module, name: str, n: int, grid: int, block: int, **how: Any
) -> tuple[Stats, Buffer]:
    machine = Machine(module, **how)
    x = machine.buffer("x", np.arange(max(n, 1), dtype="f4"))
    y = machine.buffer("y", (max(n, 1),))
    return machine.launch(name, grid, block, [x, y, n]), y


@pytest.mark.parametrize(
    ("name", "n", "grid", "block", "kind"),
    [
        ("bad_tail", 100, 1, 128, "out-of-bounds"),
        ("bad_race", 64, 1, 64, "race"),
        ("bad_barrier", 64, 1, 64, "barrier"),
        ("bad_shfl", 20, 1, 32, "lane"),
        ("bad_mem", 32, 1, 32, "out-of-bounds"),
        ("bad_shared_reader", 64, 1, 64, "race"),
        ("bad_two_writers", 64, 1, 64, "race"),
    ],
)
def test_caught(faulty: Module, name: str, n: int, grid: int, block: int, kind: str) -> None:
    with pytest.raises(Fault) as caught:
        run(faulty, name, n, grid, block)
    assert caught.value.kind == kind
    assert "line " in str(caught.value)  # the source line, from -lineinfo


def test_right_ones_pass(faulty: Module) -> None:
    _, y = run(faulty, "good_sync", 256, 1, 256)
    assert (y.array() == np.arange(255, -1, -1)).all()
    _, y = run(faulty, "bad_tail", 128, 1, 128)  # right when N is a multiple of the block
    assert (y.array() == 2 * np.arange(128)).all()
    _, y = run(faulty, "good_rewrite", 64, 1, 64)  # half of it is written and read before
    assert (y.array() == np.arange(64)).all()
    _, y = run(faulty, "good_warp_sync", 64, 1, 64)  # all of a warp read, then one writes
    assert (y.array() == np.repeat([0, 32], 32)).all()


def test_misaligned_row(faulty: Module) -> None:
    machine, n = Machine(faulty), 101
    x, y = machine.buffer("x", np.zeros((2, n), "f4")), machine.buffer("y", (2, n))
    with pytest.raises(Fault) as caught:
        machine.launch("bad_align", 1, 32, [x, y, n])
    assert caught.value.kind == "misaligned"


def test_uninitialised(faulty: Module) -> None:
    machine = Machine(faulty)
    y, scratch = machine.buffer("y", (8,)), machine.buffer("scratch", (8,))
    with pytest.raises(Fault) as caught:
        machine.launch("bad_uninit", 1, 32, [y, scratch, 8])
    assert caught.value.kind == "uninitialised-read"


def test_null_pointer(faulty: Module) -> None:
    machine = Machine(faulty)
    with pytest.raises(Fault, match="in no buffer"):
        machine.launch("bad_tail", 1, 32, [None, machine.buffer("y", (32,)), 32])


def test_race_between_blocks(faulty: Module) -> None:
    machine = Machine(faulty)
    total = machine.buffer("total", np.zeros(1, "f4"))
    machine.launch("bad_grace", 1, 32, [total, 1])  # one block: nobody to race with
    with pytest.raises(Fault) as caught:
        machine.launch("bad_grace", 2, 32, [total, 1])
    assert caught.value.kind == "race"


@pytest.mark.parametrize("order", ["read first", "write first"])
def test_readers_of_another_block_are_never_ordered(faulty: Module, order: str) -> None:
    """Block 1 reads what block 0 reads, passes a barrier, and writes: no barrier orders that before block 0."""
    machine = Machine(faulty)
    x, y = machine.buffer("x", np.zeros(1, "f4")), machine.buffer("y", (2,))
    writer = 1 if order == "read first" else 0
    with pytest.raises(Fault) as caught:
        machine.launch("bad_reread", 2, 32, [x, y, writer])
    assert caught.value.kind == "race"
    machine.launch("bad_reread", 1, 32, [x, y, 0])


def test_broken_restrict_promise(neurons: Module) -> None:
    """In-place use of a kernel whose input is __restrict__ const: ld.global.nc of what the kernel writes."""
    machine = Machine(neurons)
    x = machine.buffer("x", np.ones((3, 64), "f4"))
    v0, s, v_last = (
        machine.buffer("v0", np.zeros(64, "f4")),
        machine.buffer("s", (3, 64)),
        machine.buffer("v", (64,)),
    )
    with pytest.raises(Fault) as caught:  # h of step t is written where x of step t+1 is read
        machine.launch("lif_fwd_f32", 1, 64, [x, v0, s, x.address + 256, v_last, 2, 64, 0.5])
    assert caught.value.kind in ("readonly-cache", "race")


def test_input_is_not_written(neurons: Module) -> None:
    machine = Machine(neurons)
    x = machine.buffer("x", np.ones((3, 64), "f4"), readonly=True)
    z = machine.buffer("z", np.ones((3, 64), "f4"))
    with pytest.raises(Fault) as caught:
        machine.launch("lif_fwd_gs", 1, 64, [z, x, 3, 64, 0.5])
    assert caught.value.kind == "write-to-input"


def test_findings_instead_of_raising(faulty: Module) -> None:
    stats, _ = run(faulty, "bad_tail", 100, 1, 128, strict=False)
    assert stats.findings[0].kind == "out-of-bounds"
    assert "28 threads" in str(stats.findings[0])


def test_without_races(faulty: Module) -> None:
    """`races=False` looks for no races, and for all else."""
    run(faulty, "bad_race", 64, 1, 64, races=False)
    with pytest.raises(Fault, match="out-of-bounds"):
        run(faulty, "bad_tail", 100, 1, 128, races=False)


def test_wrong_layout_shows_in_traffic(faulty: Module) -> None:
    """[N, T] gives the right spikes but eight times the sectors."""
    T, N = 16, 256
    machine = Machine(faulty)
    x = machine.buffer("x", np.random.default_rng(0).normal(0.7, 1, (N, T)).astype("f4"))
    s = machine.buffer("s", (N, T))
    stats = machine.launch("slow_layout", 2, 128, [x, s, T, N, 0.3])
    assert x.loads.sectors == 32 * x.loads.requests  # one sector for each lane; 4 would do
    assert stats.ratio(8 * T * N) == 8.0
    assert stats.ratio(8 * T * N, "perfect") == 1.0
