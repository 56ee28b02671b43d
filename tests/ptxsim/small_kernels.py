"""Runs single PTX instructions: a kernel around them that loads an operand a thread and stores the result."""

from __future__ import annotations

import numpy as np

from ptxsim import Machine, load_ptx
from ptxsim.formats import NUMPY, Array
from ptxsim.syntax import TYPE_BYTES

_HEADER = ".version 8.6\n.target sm_90\n.address_size 64\n"
_REGISTER = {1: "b16", 2: "b16", 4: "b32", 8: "b64"}


def ptx_of(body: str, result: str, kinds: list[str]) -> str:
    """A kernel that runs `body` on registers %a, %b, … (%d is the result, so %e follows %c) of the
    kinds given, and stores %d."""
    names = "abcefgh"[: len(kinds)]
    parameters = ", ".join(f".param .u64 p{n}" for n in range(len(kinds) + 1))
    lines = [f".visible .entry k({parameters}) {{", ".reg .pred %p, %q;", ".reg .b64 %at, %to;"]
    lines += [
        f".reg .{_REGISTER[TYPE_BYTES[result]]} %result;",
        ".reg .b32 %i;",
        "mov.u32 %i, %tid.x;",
    ]
    for n, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        size = TYPE_BYTES[kind]
        lines += [
            f".reg .{_REGISTER[size]} %{name};",
            f"ld.param.u64 %at, [p{n}];",
            f"mad.wide.u32 %at, %i, {size}, %at;",
            f"ld.global.b{8 * size} %{name}, [%at];",
        ]
    size = TYPE_BYTES[result]
    lines += [body.replace("%d", "%result"), f"ld.param.u64 %to, [p{len(kinds)}];"]
    lines += [
        f"mad.wide.u32 %to, %i, {size}, %to;",
        f"st.global.b{8 * size} [%to], %result;",
        "ret;",
        "}",
    ]
    return _HEADER + "\n".join(lines)


def run(body: str, result: str, **operands: Array) -> Array:
    """The results of PTX text on operands, each `kind=array`: named a, b, … in their order.

    A kind may be followed by an underscore and anything, to tell operands of one kind apart.
    """
    kinds = [name.split("_")[0] for name in operands]
    n = len(next(iter(operands.values())))
    machine = Machine(load_ptx(ptx_of(body, result, kinds)))
    given = [
        machine.buffer(name, np.ascontiguousarray(array).view(NUMPY[kind]))
        for kind, (name, array) in zip(kinds, operands.items(), strict=True)
    ]
    out = machine.buffer("out", (n,), dtype=NUMPY[result])
    assert machine.unsupported("k") == []
    machine.launch("k", 1, n, [*given, out])
    return out.array()
