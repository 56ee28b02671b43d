"""The reader of machine code and the estimates, on what ptxas makes of the test kernels."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from neurodsl.build import ToolchainError
from neurodsl.tools.roofline.disassembly import find_tool, machine_code
from neurodsl.tools.roofline.estimate import estimate, resident_threads
from neurodsl.tools.roofline.flow import loops, main_loop
from neurodsl.tools.roofline.gpus import GPUS
from neurodsl.tools.roofline.sass import LOCAL, Instruction, Loop, functions
from ptxsim.conftest import KERNELS

Code = dict[str, list[Instruction]]


@pytest.fixture(scope="module")
def code(nvcc: str, tmp_path_factory: pytest.TempPathFactory) -> Code:
    out = tmp_path_factory.mktemp("sass") / "neurons.cubin"
    command = [nvcc, "-cubin", "-arch=sm_90", str(KERNELS / "neurons.cu"), "-o", str(out)]
    subprocess.run(command, check=True)
    return functions(machine_code(out))


def loop_of(code: Code, name: str) -> Loop:
    loop = main_loop(code[name])
    assert loop is not None
    return loop


def test_tools_are_found_among_the_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nvidia")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CUDA_HOME", raising=False)
    assert find_tool("cuobjdump") is not None
    assert find_tool("cuobjdump-of-another-vendor") is None


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("neurodsl.tools.roofline.disassembly.find_tool", lambda name: None)
    with pytest.raises(ToolchainError, match="pip install"):
        machine_code(tmp_path / "none.cubin")


def test_vector_access_is_16_bytes_wide(code: Code) -> None:
    loop = loop_of(code, "lif_fwd_f32x4")
    widths = {i.width for i in loop.body if i.base in ("LDG", "STG")}
    assert widths == {16}
    assert loop.bytes("STG") == 2 * loop.bytes("LDG")  # h and s out for each x in


def test_loads_run_ahead_in_the_forward_loop(code: Code) -> None:
    loop = loop_of(code, "lif_fwd_f32")
    assert loop.loads_in_flight == loop.bytes("LDG")  # all loads of the unrolled body come first


def test_no_spills(code: Code) -> None:
    spilling = [name for name, body in code.items() if any(i.base in LOCAL for i in body)]
    assert set(spilling) <= {"maths"}  # sinf has a table there


def test_memory_bound(code: Code) -> None:
    loop = loop_of(code, "lif_fwd_f32")
    for gpu in GPUS.values():
        assert estimate(loop, 12, gpu).headroom > 2


def made_up(*lines: str) -> list[Instruction]:
    listing = ["\t\tFunction : f"]
    listing += [
        f"        /*{16 * n:04x}*/                   {line} ;" for n, line in enumerate(lines)
    ]
    return functions("\n".join(listing))["f"]


def test_a_load_that_waits_for_another_is_not_in_flight() -> None:
    code = made_up(
        "LDG.E.CONSTANT R5, desc[UR4][R2.64]",
        "LDG.E.64 R6, desc[UR4][R8.64]",
        "FADD R5, R5, R6",
        "@!P0 LDG.E R9, desc[UR4][R2.64]",
        "STG.E desc[UR4][R2.64], R9",
        "@P1 BRA 0x0",
        "EXIT",
    )
    (loop,) = loops(code)
    assert loop.loads_in_flight == 12
    assert (loop.bytes("LDG"), loop.bytes("STG")) == (16, 4)
    assert loop.counts == {"LDG": 3, "fp32": 1, "STG": 1, "control": 1}


def test_the_busiest_unit_rules() -> None:
    body = ["LDG.E R5, desc[UR4][R2.64]", *["MUFU.RCP R5, R5"] * 3, "STG.E desc[UR4][R2.64], R5"]
    (loop,) = loops(made_up(*body, "@P0 BRA 0x0"))
    found = estimate(loop, 8, GPUS["h100"])
    assert found.busiest == "MUFU"
    assert found.compute == pytest.approx(3 / 16)
    assert found.memory == pytest.approx(8 * 132 * 1.98 / 3350)
    assert found.clocks >= max(found.memory, found.compute)


def test_registers_limit_the_resident_threads() -> None:
    gpu = GPUS["h100"]
    assert resident_threads(gpu, 32, 128) == 2048
    assert resident_threads(gpu, 64, 128) == 1024
    assert resident_threads(gpu, 65, 128) == 896  # 72 are allocated
    assert resident_threads(replace(gpu, threads=1536), 32, 1024) == 1024


def test_few_threads_are_few_bytes_in_flight(code: Code) -> None:
    loop, gpu = loop_of(code, "lif_fwd_f32"), GPUS["h100"]
    few, many = (estimate(loop, 12, gpu, threads=n) for n in (4096, 10**7))
    assert few.bytes_in_flight < many.bytes_in_flight
    assert few.share < many.share
