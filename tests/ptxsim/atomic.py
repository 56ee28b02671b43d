"""Atomic operations: `atom` and `red`. The hardware promises no order, so it is drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptxsim import rounding
from ptxsim.access import Access, Place, locate
from ptxsim.elementwise import Step
from ptxsim.formats import NUMPY, Array, scalar_format
from ptxsim.geometry import Group
from ptxsim.launch_state import Launch
from ptxsim.slots import Slots, Values
from ptxsim.syntax import TYPE_BYTES, Address, Instruction, PtxError, Register
from ptxsim.transfer import address_reader, space_of

_UFUNCS: dict[str, np.ufunc] = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
_OPERATIONS = (*_UFUNCS, "exch", "cas", "inc", "dec")
_HALVES = ("f16", "bf16", "f16x2", "bf16x2")
Combine = Callable[[Array, list[Array]], Array]


def decode_atomic(instruction: Instruction, slots: Slots, used: frozenset[str]) -> Step:
    """The step of `atom` or `red`; `used`: the registers that some instruction reads.

    Raises:
        PtxError: for what is not known.
    """
    modifiers = instruction.modifiers
    kind = modifiers[-1]
    operation = next(m for m in modifiers if m in _OPERATIONS)
    if {"v2", "v4", "v8"} & set(modifiers):
        raise PtxError("vector atomics")
    operands = list(instruction.operands)
    target = operands.pop(0) if instruction.opcode == "atom" else None
    address, *sources = operands
    if not isinstance(address, Address):
        raise PtxError("no address")
    space, dtype = space_of(modifiers), NUMPY[kind]
    addresses = address_reader(slots, address, space)
    reads = [slots.read(source, kind) for source in sources]
    access = Access(space, TYPE_BYTES[kind], 1, "atomic")
    wanted = isinstance(target, Register) and target.name in used
    write = slots.write(target, kind) if wanted and target is not None else None
    ufunc = _UFUNCS.get(operation) if kind not in _HALVES else None
    combine = _combination(operation, kind)

    def step(values: Values, group: Group, launch: Launch) -> None:
        places = locate(launch, group, addresses(values, group), access)
        operands = [np.broadcast_to(np.asarray(r(values)), group.index.shape) for r in reads]
        order = launch.generator.permutation(group.size)
        old = np.zeros(group.size, dtype)
        for place in places:
            memory = place.memory.view(dtype)
            cell = _cells(place)
            at = np.arange(group.size) if place.at is None else place.at
            turn = np.argsort(np.argsort(order)[at])
            if write is None and ufunc is not None:
                ufunc.at(memory, cell[turn], operands[0][at][turn])
                continue
            for n in turn:
                thread, c = int(at[n]), int(cell[n])
                before = memory[c : c + 1].copy()
                old[thread] = before[0]
                memory[c : c + 1] = combine(before, [o[thread : thread + 1] for o in operands])
        if write is not None:
            write(values, old)

    return step


def _cells(place: Place) -> Array:
    if isinstance(place.first, int):
        return np.arange(place.first, place.first + place.count)
    return place.first


def _combination(operation: str, kind: str) -> Combine:
    """The new value from the old one and the operands, each an array of one element."""
    dtype: Any = NUMPY[kind]
    if kind in _HALVES and operation == "add":

        def add_halves(old: Array, new: list[Array]) -> Array:
            half = scalar_format(kind)
            both = [np.ascontiguousarray(v).view(np.uint16) for v in (old, new[0])]
            total = rounding.add_odd(*(rounding.decode(v, half) for v in both))
            return rounding.encode(total, half).view(dtype)

        return add_halves
    if operation in _UFUNCS:
        if kind in _HALVES:
            raise PtxError(f"atomic {operation} of {kind}")
        return lambda old, new: np.asarray(_UFUNCS[operation](old, new[0]))
    if operation == "exch":
        return lambda old, new: new[0]
    if operation == "cas":
        return lambda old, new: np.where(old == new[0], new[1], old)
    if operation == "inc":
        return lambda old, new: np.where(old >= new[0], 0, old + 1).astype(dtype)
    return lambda old, new: np.where((old == 0) | (old > new[0]), new[0], old - 1).astype(dtype)
