"""Integer instructions on bits: shifts, fields, counts, permutations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptxsim.elementwise import Step, apply, apply_ufunc
from ptxsim.formats import NUMPY, Array
from ptxsim.slots import Slots
from ptxsim.syntax import TYPE_BYTES, Immediate, Instruction, PtxError

BIT_INSTRUCTIONS = frozenset(
    {"cnot", "shl", "shr", "shf", "popc", "clz", "bfind", "brev", "bfe", "bfi", "prmt", "lop3"}
)


def decode_bits(instruction: Instruction, slots: Slots) -> Step:
    """The step of one of `BIT_INSTRUCTIONS`.

    Raises:
        PtxError: for forms that are not known.
    """
    opcode, modifiers = instruction.opcode, instruction.modifiers
    target, *sources = instruction.operands
    kind = modifiers[-1]
    unsigned = f"u{8 * TYPE_BYTES[kind]}"
    dtype = NUMPY[unsigned]
    words = [(source, "u32") for source in sources]
    if opcode in ("shl", "shr"):
        return _shift(instruction, slots)
    if opcode == "shf":
        return apply(slots, _funnel(modifiers), (target, "u32"), *words)
    if opcode == "cnot":
        return apply(
            slots, lambda a: (a == 0).astype(dtype), (target, unsigned), (sources[0], unsigned)
        )
    if opcode == "popc":
        return apply(slots, np.bitwise_count, (target, "u32"), (sources[0], unsigned))
    if opcode in ("clz", "bfind"):
        find = _leading(opcode, kind, "shiftamt" in modifiers)
        return apply(slots, find, (target, "u32"), (sources[0], unsigned))
    if opcode == "brev":
        return apply(slots, _reverse(dtype), (target, unsigned), (sources[0], unsigned))
    if opcode == "bfe":
        extract = _extract(kind, dtype)
        return apply(slots, extract, (target, unsigned), (sources[0], unsigned), *words[1:])
    if opcode == "bfi":
        into = [(source, unsigned) for source in sources[:2]]
        insert = _insert(8 * TYPE_BYTES[kind], dtype)
        return apply(slots, insert, (target, unsigned), *into, *words[2:])
    if opcode == "prmt":
        if len(modifiers) > 1:
            raise PtxError("prmt with a mode")
        return apply(slots, _permute, (target, "u32"), *words)
    table = sources[3]
    if not isinstance(table, Immediate):
        raise PtxError("lop3 without a constant table")
    return apply(slots, _three_inputs(int(table.value)), (target, "u32"), *words[:3])


def _shift(instruction: Instruction, slots: Slots) -> Step:
    opcode, kind = instruction.opcode, instruction.modifiers[-1]
    target, value, amount = instruction.operands
    bits, dtype = 8 * TYPE_BYTES[kind], NUMPY[kind]
    if isinstance(amount, Immediate) and 0 <= int(amount.value) < bits:
        ufunc = np.left_shift if opcode == "shl" else np.right_shift
        return apply_ufunc(slots, ufunc, (target, kind), (value, kind), (amount, kind))

    def shift(a: Any, n: Any) -> Array:
        a, n = np.asarray(a), np.asarray(n)
        beyond = n >= bits
        n = np.minimum(n, bits - 1).astype(dtype)
        if opcode == "shl":
            return np.where(beyond, dtype(0), a << n)
        return np.where(beyond, (a >> dtype(bits - 1)) if kind[0] == "s" else dtype(0), a >> n)

    return apply(slots, shift, (target, kind), (value, kind), (amount, "u32"))


def _funnel(modifiers: tuple[str, ...]) -> Callable[..., Array]:
    wrap, left = "wrap" in modifiers, "l" in modifiers

    def funnel(low: Any, high: Any, amount: Any) -> Array:
        n = (np.asarray(amount) & 31) if wrap else np.minimum(amount, np.uint32(32))
        n = n.astype(np.uint64)
        both = (np.asarray(high).astype(np.uint64) << np.uint64(32)) | np.asarray(low, np.uint64)
        return ((both << n) >> np.uint64(32) if left else both >> n).astype(np.uint32)

    return funnel


def _leading(opcode: str, kind: str, shift_amount: bool) -> Callable[[Any], Array]:
    """`clz` and `bfind`: counted from the highest bit that differs from the sign, all ones if there is none."""
    bits = 8 * TYPE_BYTES[kind]
    signed = NUMPY[f"s{bits}"]

    def leading(a: Any) -> Array:
        rest = np.asarray(a)
        if kind[0] == "s":
            rest = np.where(rest.view(signed) < 0, ~rest, rest)
        rest = rest.astype(np.uint64)
        top = np.zeros(rest.shape, np.int64)
        for step in (32, 16, 8, 4, 2, 1):
            above = rest >> np.uint64(step)
            top += np.where(above != 0, step, 0)
            rest = np.where(above != 0, above, rest)
        if opcode == "clz":
            return np.where(rest == 0, bits, bits - 1 - top).astype(np.uint32)
        found = bits - 1 - top if shift_amount else top
        return np.where(rest == 0, 0xFFFF_FFFF, found).astype(np.uint32)

    return leading


def _reverse(dtype: type) -> Callable[[Any], Array]:
    def reverse(a: Any) -> Array:
        a = np.ascontiguousarray(a)
        octets = a.reshape(-1, 1).view(np.uint8)
        flipped = np.packbits(np.unpackbits(octets, axis=1)[:, ::-1], axis=1)
        return np.ascontiguousarray(flipped).view(dtype).reshape(a.shape)

    return reverse


def _field(position: Any, length: Any) -> tuple[Array, Array, Array]:
    """Shift amount below 64, length, and the mask of a field of this length at bit 0."""
    position = (np.asarray(position) & 255).astype(np.uint64)
    length = (np.asarray(length) & 255).astype(np.uint64)
    one = np.uint64(1)
    mask = np.where(length >= 64, ~np.uint64(0), (one << np.minimum(length, np.uint64(63))) - one)
    return position, length, mask


def _extract(kind: str, dtype: type) -> Callable[..., Array]:
    bits = np.uint64(8 * TYPE_BYTES[kind])
    one = np.uint64(1)

    def extract(a: Any, position: Any, length: Any) -> Array:
        value = np.asarray(a).astype(np.uint64)
        position, length, mask = _field(position, length)
        shift = np.minimum(position, np.uint64(63))
        field = np.where(position >= bits, np.uint64(0), (value >> shift) & mask)
        if kind[0] == "s":
            last = np.minimum(position + length - (length != 0), bits - one)
            sign = ((value >> last) & one).astype(bool) & (length != 0)
            kept = np.minimum(length, np.where(position >= bits, np.uint64(0), bits - position))
            above = np.where(kept >= 64, np.uint64(0), ~np.uint64(0) << np.minimum(kept, 63))
            field = np.where(sign, field | above, field)
        return field.astype(dtype)

    return extract


def _insert(bits: int, dtype: type) -> Callable[..., Array]:
    def insert(a: Any, into: Any, position: Any, length: Any) -> Array:
        position, _, mask = _field(position, length)
        shift = np.minimum(position, np.uint64(63))
        mask = np.where(position >= bits, np.uint64(0), mask << shift)
        field = (np.asarray(a).astype(np.uint64) << shift) & mask
        return (field | (np.asarray(into).astype(np.uint64) & ~mask)).astype(dtype)

    return insert


def _permute(low: Any, high: Any, selector: Any) -> Array:
    """`prmt` without a mode: four selectors of four bits, the highest of which replicates the sign."""
    both = (np.asarray(high).astype(np.uint64) << np.uint64(32)) | np.asarray(low, np.uint64)
    selector = np.asarray(selector).astype(np.uint64)
    out = np.uint32(0)
    for k in range(4):
        nibble = (selector >> np.uint64(4 * k)) & np.uint64(15)
        octet = (both >> ((nibble & np.uint64(7)) * np.uint64(8))) & np.uint64(255)
        sign = np.where(octet & np.uint64(128), np.uint64(255), np.uint64(0))
        chosen = np.where(nibble & np.uint64(8), sign, octet).astype(np.uint32)
        out = out | (chosen << np.uint32(8 * k))
    return np.asarray(out)


def _three_inputs(table: int) -> Callable[..., Array]:
    def logic(a: Any, b: Any, c: Any) -> Array:
        out = np.uint32(0)
        for k in range(8):
            if table >> k & 1:
                out = out | ((a if k & 4 else ~a) & (b if k & 2 else ~b) & (c if k & 1 else ~c))
        return np.asarray(out)

    return logic
