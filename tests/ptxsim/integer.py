"""Integer arithmetic, logic on predicates, and carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptxsim.bits import BIT_INSTRUCTIONS, decode_bits
from ptxsim.elementwise import Step, apply, apply_ufunc
from ptxsim.formats import NUMPY, Array
from ptxsim.slots import Slots
from ptxsim.syntax import TYPE_BYTES, Instruction, Operand, PtxError, Register

_UFUNCS: dict[str, np.ufunc] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.bitwise_not,
    "abs": np.absolute,
    "neg": np.negative,
}
_LOGICAL: dict[str, np.ufunc] = {
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
    "not": np.logical_not,
}
_CARRY_FLAG = Register("carry flag")
_LOW_32 = np.uint64(0xFFFF_FFFF)
_32 = np.uint64(32)


def decode_integer(instruction: Instruction, slots: Slots) -> Step:
    """The step of an integer instruction.

    Raises:
        PtxError: for what is not known.
    """
    opcode, modifiers = instruction.opcode, instruction.modifiers
    target, *sources = instruction.operands
    kind = modifiers[-1]
    typed = [(source, kind) for source in sources]
    if kind == "pred":
        return apply_ufunc(slots, _LOGICAL[opcode], (target, kind), *typed)
    if "sat" in modifiers:
        raise PtxError("saturating integer arithmetic")
    if opcode in ("addc", "subc", "madc") or "cc" in modifiers:
        return _carry(instruction, slots)
    if opcode in ("mul", "mad") and "wide" in modifiers:
        return _wide(slots, opcode, kind, target, sources)
    if opcode in ("mul", "mad") and "hi" in modifiers:
        product = _high_product(kind)
        if opcode == "mul":
            return apply(slots, product, (target, kind), *typed)
        return apply(slots, lambda a, b, c: product(a, b) + c, (target, kind), *typed)
    if opcode == "mad":
        return apply(slots, lambda a, b, c: np.add(np.multiply(a, b), c), (target, kind), *typed)
    if opcode in ("div", "rem"):
        return apply(slots, _division(opcode), (target, kind), *typed)
    if opcode in _UFUNCS:
        return apply_ufunc(slots, _UFUNCS[opcode], (target, kind), *typed)
    if opcode in BIT_INSTRUCTIONS:
        return decode_bits(instruction, slots)
    raise PtxError(f"opcode {opcode}")


def _wide(slots: Slots, opcode: str, kind: str, target: Operand, sources: list[Operand]) -> Step:
    wide = f"{kind[0]}{16 * TYPE_BYTES[kind]}"
    dtype = NUMPY[wide]
    factors = [(source, kind) for source in sources[:2]]
    if opcode == "mul":
        return apply_ufunc(slots, np.multiply, (target, wide), *factors)
    return apply(
        slots,
        lambda a, b, c: np.multiply(a, b, dtype=dtype) + c,
        (target, wide),
        *factors,
        (sources[2], wide),
    )


def _high_product(kind: str) -> Callable[[Any, Any], Any]:
    """The upper half of a product."""
    bits, dtype = 8 * TYPE_BYTES[kind], NUMPY[kind]
    if bits < 64:
        wide = NUMPY[f"{kind[0]}64"]
        return lambda a, b: (np.multiply(a, b, dtype=wide) >> wide(bits)).astype(dtype)
    if kind == "u64":
        return _high_u64

    def signed(a: Any, b: Any) -> Array:
        a, b = np.asarray(a), np.asarray(b)
        high = _high_u64(a.view(np.uint64), b.view(np.uint64)).view(np.int64)
        return high - np.where(a < 0, b, 0) - np.where(b < 0, a, 0)

    return signed


def _high_u64(a: Any, b: Any) -> Array:
    a, b = np.asarray(a), np.asarray(b)
    a1, a0, b1, b0 = a >> _32, a & _LOW_32, b >> _32, b & _LOW_32
    middle = a1 * b0 + ((a0 * b0) >> _32)
    other = a0 * b1 + (middle & _LOW_32)
    return np.asarray(a1 * b1 + (middle >> _32) + (other >> _32))


def _division(opcode: str) -> Callable[[Any, Any], Array]:
    """Towards zero; by zero gives all ones, as the hardware's code does."""

    def divide(a: Any, b: Any) -> Array:
        a, b = np.broadcast_arrays(a, b)
        safe = np.where(b == 0, b.dtype.type(1), b)
        quotient = a // safe
        if a.dtype.kind == "i":
            inexact = (quotient * safe != a) & ((a < 0) != (safe < 0))
            quotient = (quotient + inexact).astype(a.dtype)
        out = quotient if opcode == "div" else a - quotient * safe
        ones = a.dtype.type(-1) if a.dtype.kind == "i" else np.iinfo(a.dtype).max
        return np.where(b == 0, ones, out)

    return divide


def _carry(instruction: Instruction, slots: Slots) -> Step:
    """`add.cc`, `addc`, `mad.lo.cc`, `madc.hi` and so on, with one carry flag a thread."""
    opcode, modifiers = instruction.opcode, instruction.modifiers
    target, *sources = instruction.operands
    bits = 8 * TYPE_BYTES[modifiers[-1]]
    kind = f"u{bits}"
    base = opcode.removesuffix("c")
    product = _high_product(kind) if "hi" in modifiers else np.multiply
    flag = slots.read(_CARRY_FLAG, "pred")
    set_flag = slots.write(_CARRY_FLAG, "pred") if "cc" in modifiers else None
    reads = [slots.read(source, kind) for source in sources]
    write = slots.write(target, kind)
    dtype = NUMPY[kind]

    def step(values: Any, group: Any, launch: Any) -> None:
        operands = [np.asarray(read(values)) for read in reads]
        a, b = (product(*operands[:2]), operands[2]) if base == "mad" else operands
        carry = flag(values).astype(dtype) if opcode.endswith("c") else dtype(0)
        if base == "sub":
            result = a - b - carry
            carried = (a < b) | ((a == b) & (carry != 0))
        else:
            partial = a + b
            result = partial + carry
            carried = (partial < a) | (result < partial)
        if set_flag is not None:
            set_flag(values, carried)
        write(values, result)

    return step
