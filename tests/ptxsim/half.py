"""Floating-point arithmetic in float16 and bfloat16, single and packed in pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptxsim import rounding
from ptxsim.approximate import EXACT, disturb
from ptxsim.elementwise import Step, apply
from ptxsim.formats import NUMPY, PACKED, Array, scalar_format
from ptxsim.geometry import Group
from ptxsim.launch_state import Launch
from ptxsim.slots import Slots, Values
from ptxsim.syntax import Instruction, PtxError

_SIGN = {"f16": 0x8000, "bf16": 0x8000, "f16x2": 0x80008000, "bf16x2": 0x80008000}
_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "add": rounding.add_odd,
    "sub": lambda a, b: rounding.add_odd(a, -b),
    "mul": lambda a, b: a * b,
    "fma": rounding.fma_odd,
    "min": np.fmin,
    "max": np.fmax,
    **EXACT,
}


def decode_half(instruction: Instruction, slots: Slots) -> Step:
    """The step of an instruction on 16-bit floats: done in float64, rounded once.

    Raises:
        PtxError: for what is not known.
    """
    opcode, modifiers = instruction.opcode, instruction.modifiers
    kind = modifiers[-1]
    target, *sources = instruction.operands
    if opcode in ("neg", "abs"):
        sign = NUMPY[kind](_SIGN[kind])
        flip: Callable[[Any], Any] = (
            (lambda a: a ^ sign) if opcode == "neg" else lambda a: a & ~sign
        )
        return apply(slots, flip, (target, kind), (sources[0], kind))
    if opcode not in _FUNCTIONS:
        raise PtxError(f"opcode {opcode} of {kind}")
    function, approximate = _FUNCTIONS[opcode], "approx" in modifiers
    relu, saturating = "relu" in modifiers, "sat" in modifiers
    reads = [slots.read(source, kind) for source in sources]
    write = slots.write(target, kind)

    def step(values: Values, group: Group, launch: Launch) -> None:
        result = function(*unpacked([read(values) for read in reads], kind))
        if approximate and launch.noise:
            result = disturb(opcode, result, launch.generator)
        if relu:
            result = np.where(result > 0, result, 0.0)
        if saturating:
            result = np.where(np.isnan(result), 0, np.clip(result, 0, 1))
        write(values, packed(rounding.encode(result, scalar_format(kind)), kind))

    return step


def unpacked(operands: list[Any], kind: str) -> list[Array]:
    """The operands in float64, one element a value; constants are repeated."""
    flat = [np.atleast_1d(np.ascontiguousarray(operand)) for operand in operands]
    if kind in PACKED:
        flat = [operand.view(np.uint16) for operand in flat]
        longest = max(operand.size for operand in flat)
        flat = [np.tile(o, longest // o.size) if o.size != longest else o for o in flat]
    return [rounding.decode(operand, scalar_format(kind)) for operand in flat]


def packed(bits: Array, kind: str) -> Array:
    """Values of 16 bits as registers of the type."""
    return np.ascontiguousarray(bits).view(np.uint32) if kind in PACKED else bits
