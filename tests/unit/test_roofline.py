"""The roofline's model: loops in made-up machine code, limits worked out by hand, bytes from argument lists, tables."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find
from neurodsl.options import Options
from neurodsl.tools.roofline import page
from neurodsl.tools.roofline.estimate import estimate
from neurodsl.tools.roofline.figure import intensity, rate
from neurodsl.tools.roofline.flow import loops, main_loops
from neurodsl.tools.roofline.gpus import GPUS, Gpu
from neurodsl.tools.roofline.kernels import KernelCode, Neuron
from neurodsl.tools.roofline.report import code_table, row_of, share_table, time_table
from neurodsl.tools.roofline.sass import Instruction, functions
from neurodsl.tools.roofline.traffic import minimum_bytes

LOAD, STORE = "LDG.E.128.CONSTANT R4, desc[UR4][R2.64]", "STG.E.128 desc[UR4][R2.64], R4"
SMALL = Gpu("made up", "9.0", 10, 1.0, 640, 1024, 128, 64, 500)
"""6.4 GB/s a multiprocessor and clock of 1 ns: 64 B a clock; 32,000 B in flight keep it busy."""


def made_up(*lines: str) -> list[Instruction]:
    """Instructions at 0x0, 0x10, 0x20, …"""
    text = "".join(f"        /*{16 * n:04x}*/    {line} ;\n" for n, line in enumerate(lines))
    return functions(f"\t\tFunction : f\n{text}")["f"]


def lif() -> Neuron:
    name, text = find("LIF") or ("", "")
    return Neuron("LIF", compile_text(text, name, Options(), disk_loader))


def kernel_of(*lines: str, registers: int = 32, elements: float = 4) -> KernelCode:
    entry = lif().entry("forward", "float32")
    assert entry is not None
    found = tuple(main_loops(made_up(*lines)))
    return KernelCode(entry, "sm_90", registers, 0, found, elements, 0)


def test_a_slow_path_past_the_loop_is_not_counted() -> None:
    code = made_up(
        LOAD,
        "@P1 BRA 0x60",  # to the slow path
        "FADD R4, R4, R4",  # where it comes back to
        STORE,
        "@P0 BRA 0x0",
        "EXIT",
        "FADD R5, R4, R4",
        "BRA 0x20",
    )
    (loop,) = loops(code)
    assert (loop.start, loop.end, len(loop.body)) == (0x0, 0x40, 5)


def test_a_loop_around_another_is_none_of_those_over_time() -> None:
    code = made_up(LOAD, LOAD, STORE, "@P0 BRA 0x10", "@P1 BRA 0x0", "EXIT")
    (loop,) = loops(code)
    assert loop.start == 0x10


def test_a_loop_may_hold_one_that_only_computes() -> None:
    code = made_up(LOAD, "FADD R4, R4, R4", "@P0 BRA 0x10", STORE, "@P1 BRA 0x0", "EXIT")
    assert {loop.start for loop in loops(code)} == {0x0, 0x10}
    assert [loop.start for loop in main_loops(code)] == [0x0]


def test_what_a_barrier_waits_for_is_in_the_loop() -> None:
    code = made_up(
        LOAD,
        "BSSY.RECONVERGENT B0, 0x50",
        "@P0 BRA 0x40",
        "FADD R4, R4, R4",
        "BSYNC.RECONVERGENT B0",
        STORE,
        "@P1 BRA 0x0",
        "EXIT",
    )
    (loop,) = loops(code)
    assert len(loop.body) == 7


def test_jumps_may_be_uniform_or_have_their_predicate_among_the_operands() -> None:
    code = made_up(LOAD, STORE, "BRA.U UP0, 0x0", "EXIT")
    assert len(loops(code)[0].body) == 3
    endless = made_up(LOAD, STORE, "BRA 0x0", "FADD R1, R1, R1", "BRA 0x30")
    assert [loop.start for loop in loops(endless)] == [0x0]  # nothing comes to the last two


def test_of_the_versions_of_a_loop_the_widest_with_fewest_instructions_is_taken() -> None:
    one = ["LDG.E R4, desc[UR4][R2.64]", *["STG.E desc[UR4][R2.64], R4"] * 9, "@P0 BRA 0x0"]
    any_params = [LOAD, "FADD R4, R4, R4", STORE, "@P0 BRA 0xb0"]
    usual = [LOAD, STORE, "@P0 BRA 0xf0"]
    found = main_loops(made_up(*one, *any_params, *usual, "EXIT"))
    assert [(loop.start, len(loop.body)) for loop in found] == [(0xF0, 3), (0xB0, 4)]


def test_limits_by_hand() -> None:
    """16 B in and out for 4 neuron-steps by 10 instructions, with 512 threads of 128 registers."""
    lines = [LOAD, *["FADD R8, R4, R4"] * 7, STORE, "@P0 BRA 0x0", "EXIT"]
    (loop,) = loops(made_up(*lines))
    found = estimate(loop, 8, SMALL, registers=128, elements=4)
    assert found.instructions == 2.5
    assert found.resident_threads == 512
    assert found.compute == pytest.approx(
        10 / 128 / 4
    )  # clocks; 7 / 128 of them on the float32 units
    assert found.busiest == "issue"
    assert found.memory == pytest.approx(8 / 64)
    # A warp alone waits 500 clocks and issues for 20: 16 B are under way for 500 of 520.
    assert found.in_flight == pytest.approx(16 * 500 / 520)
    # Half of the traffic is loads: 16,000 B of loads in flight.
    assert found.bytes_needed == pytest.approx(16000)
    assert found.share == pytest.approx(512 * 16 * 500 / 520 / 16000)
    assert (found.limit, found.threads_needed) == ("latency", math.inf)
    assert found.clocks == pytest.approx(found.memory / found.share)


def test_with_fewer_registers_dram_is_the_limit() -> None:
    lines = [LOAD, LOAD.replace("R4", "R12"), *["FADD R8, R4, R4"] * 5, *[STORE] * 2]
    (loop,) = loops(made_up(*lines, "@P0 BRA 0x0", "EXIT"))
    found = estimate(loop, 8, SMALL, registers=32, elements=8)
    assert (found.limit, found.share) == ("DRAM", 1.0)
    assert found.threads_needed == pytest.approx(10 * 16000 / (32 * 500 / 520))


def test_a_kernel_that_computes_more_than_it_moves() -> None:
    lines = [LOAD, *["MUFU.RCP R4, R4"] * 40, STORE, "@P0 BRA 0x0", "EXIT"]
    (loop,) = loops(made_up(*lines))
    found = estimate(loop, 8, SMALL, registers=32, elements=4)
    assert found.limit == "MUFU"
    assert found.share == pytest.approx((8 / 64) / (40 / 16 / 4))


def test_a_kernel_that_only_stores_waits_for_nothing() -> None:
    (loop,) = loops(made_up(STORE, STORE, "@P0 BRA 0x0", "EXIT"))
    found = estimate(loop, 4, SMALL, elements=8)
    assert (found.limit, found.share, found.threads_needed) == ("DRAM", 1.0, 0.0)


@pytest.mark.parametrize(
    ("which", "dtype", "bytes_of_a_neuron"),
    [
        ("forward", "float32", 16 * 8 + 8),
        ("forward_train", "float32", 16 * 8 + 8 + 4),
        ("backward", "float32", 16 * 12 + 8 + 4 + 4),
        ("forward", "float16", 16 * 4 + 8),
        ("backward", "float64", 16 * 24 + 16 + 8 + 8),
    ],
)
def test_the_least_that_lif_moves(which: str, dtype: str, bytes_of_a_neuron: int) -> None:
    """x and s; v before, after and at step 8; gradients of s, of x, and of v at both ends."""
    entry = lif().entry(which, dtype)
    assert entry is not None
    assert minimum_bytes(entry, 16, 100) == 100 * bytes_of_a_neuron


def test_no_checkpoints_where_steps_are_few() -> None:
    entry = lif().entry("forward_train", "float32")
    assert entry is not None
    assert minimum_bytes(entry, 8, 100) == 100 * (8 * 8 + 8)


def test_tables_and_json_say_the_same() -> None:
    kernel = kernel_of(LOAD, *["FADD R8, R4, R4"] * 13, STORE, "@P0 BRA 0x0", "EXIT")
    rows = [row_of("LIF", kernel, name, GPUS[name], is_library=False) for name in ("h100", "b200")]
    code, time, share = code_table(rows), time_table(rows), share_table(rows)
    assert [len(table.rows) for table in (code, time, share)] == [1, 2, 1]
    for table in (code, time, share):
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert table.as_markdown().count("No GPU has run this") == (table is not code)
    cells: dict[str, Any] = dict(zip(code.columns, code.rows[0], strict=True))
    assert cells["instructions"] == "4.0"
    assert (cells["loads"], cells["B"], cells["over minimum"]) == ("1 x 16 B", "8.50", "–")
    found = rows[0].as_json()
    assert found["instructions"] == 4.0
    assert found["moved_over_minimum"] is None
    assert found["microseconds_a_million"] == pytest.approx(8.5 / 3350 * 1e3, rel=1e-6)
    assert rows[1].machine == "B200 sm_90"  # whose own code is sm_100's


def test_a_point_of_the_picture_is_below_the_roof() -> None:
    kernel = kernel_of(LOAD, *["FADD R8, R4, R4"] * 13, STORE, "@P0 BRA 0x0", "EXIT")
    row = row_of("LIF", kernel, "h100", GPUS["h100"], is_library=False)
    assert intensity(row) == pytest.approx(4 / 8.5)
    assert rate(row) == pytest.approx(intensity(row) * 3350)


def test_a_page_keeps_what_is_outside_its_marks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        "before\n<!-- figures: a -->\nold\n<!-- end -->\n<!-- figures: b -->\nstays\n<!-- end -->"
    )
    monkeypatch.setitem(page.SECTIONS, "a", lambda: "new")
    assert page.main([str(path), "a"]) == 0
    assert path.read_text() == (
        "before\n<!-- figures: a -->\n\nnew\n<!-- end -->\n<!-- figures: b -->\nstays\n<!-- end -->"
    )


def test_sentences_name_what_spills_and_what_is_narrow() -> None:
    lines = ("LDG.E R4, desc[UR4][R2.64]", "STG.E desc[UR4][R2.64], R4", "@P0 BRA 0x0", "EXIT")
    narrow = replace(kernel_of(*lines), stack=8, local=3)
    rows = [row_of("LIF", narrow, "h100", GPUS["h100"], is_library=False)]
    assert page.narrower(rows, 16) == "all of 16 bytes or more but for those of LIF"
    assert page.spills(rows) == "uses local memory in LIF forward (sm_90)"
    whole = kernel_of(LOAD, STORE, "@P0 BRA 0x0", "EXIT")
    rows = [row_of("LIF", whole, "h100", GPUS["h100"], is_library=False)]
    assert page.narrower(rows, 16) == "all of 16 bytes or more"
    assert page.spills(rows) == "spills nothing"
