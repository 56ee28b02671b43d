"""Loads and stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptxsim.access import Access, locate
from ptxsim.elementwise import Step
from ptxsim.formats import NUMPY, UNSIGNED, Array
from ptxsim.geometry import Group
from ptxsim.launch_state import Launch
from ptxsim.slots import Slots, Values
from ptxsim.syntax import (
    TYPE_BYTES,
    Address,
    Instruction,
    Operand,
    PtxError,
    Register,
    Symbol,
    Vector,
)

_SPACES = ("global", "shared", "local", "param", "const")
_ELEMENTS = {"v2": 2, "v4": 4, "v8": 8}
Addresses = Callable[[Values, Group], Array]


def decode_transfer(instruction: Instruction, slots: Slots, parameters: frozenset[str]) -> Step:
    """The step of `ld` or `st`.

    Raises:
        PtxError: for what is not known.
    """
    opcode, modifiers = instruction.opcode, instruction.modifiers
    kind = modifiers[-1]
    elements = next((_ELEMENTS[m] for m in modifiers if m in _ELEMENTS), 1)
    first, second = instruction.operands
    address, data = (first, second) if opcode == "st" else (second, first)
    if not isinstance(address, Address):
        raise PtxError("no address")
    items = data.items if isinstance(data, Vector) and elements > 1 else (data,)
    if len(items) != elements or TYPE_BYTES[kind] not in UNSIGNED:
        raise PtxError("vector of this form")
    space = space_of(modifiers)
    is_parameter = isinstance(address.base, Symbol) and address.base.name in parameters
    if space == "param":
        if opcode == "ld" and is_parameter:
            return _load_parameter(slots, kind, items, address)
        space = "local"  # the parameters of an inlined call
    addresses = address_reader(slots, address, space)
    if opcode == "st":
        return _store(
            slots, kind, items, addresses, Access(space, TYPE_BYTES[kind], elements, "store")
        )
    load = "load.nc" if "nc" in modifiers else "load"
    return _load(slots, kind, items, addresses, Access(space, TYPE_BYTES[kind], elements, load))


def space_of(modifiers: tuple[str, ...]) -> str:
    """The state space of an access; `generic` if it names none."""
    plain = (m.split("__")[0] for m in modifiers)
    return next((m for m in plain if m in _SPACES), "generic")


def address_reader(slots: Slots, address: Address, space: str) -> Addresses:
    """A function that gives the addresses of a group's threads."""
    kind = "u64"
    if isinstance(address.base, Register) and space in ("shared", "local"):
        kind = f"u{8 * slots.size_of(address.base.name)}"
    base = slots.read(address.base, kind)
    offset = np.int64(address.offset).astype(np.uint64)

    def addresses(values: Values, group: Group) -> Array:
        out = base(values)
        if not isinstance(out, np.ndarray):
            out = np.full(group.size, out, np.uint64)
        elif out.dtype != np.uint64:
            out = out.astype(np.uint64)
        return out + offset if offset else out

    return addresses


def _load_parameter(slots: Slots, kind: str, items: tuple[Operand, ...], address: Address) -> Step:
    assert isinstance(address.base, Symbol)
    name, start = address.base.name, address.offset
    end, dtype = start + TYPE_BYTES[kind] * len(items), NUMPY[kind]
    writes = [slots.write(item, kind) for item in items]

    def load(values: Values, group: Group, launch: Launch) -> None:
        content = launch.parameters[name][start:end].view(dtype)
        for write, value in zip(writes, content, strict=True):
            write(values, value)

    return load


def _load(
    slots: Slots, kind: str, items: tuple[Operand, ...], addresses: Addresses, access: Access
) -> Step:
    dtype, bits = NUMPY[kind], UNSIGNED[access.width]
    writes = [slots.write(item, kind) for item in items]

    def load(values: Values, group: Group, launch: Launch) -> None:
        places = locate(launch, group, addresses(values, group), access)
        for n, write in enumerate(writes):
            if places[0].at is None:
                found = places[0].memory[places[0].cells(n)]
            else:
                found = np.empty(group.size, bits)
                for place in places:
                    found[place.at] = place.memory[place.cells(n)]
            write(values, found.view(dtype))

    return load


def _store(
    slots: Slots, kind: str, items: tuple[Operand, ...], addresses: Addresses, access: Access
) -> Step:
    bits = f"u{8 * access.width}"
    reads = [slots.read(item, bits) for item in items]

    def store(values: Values, group: Group, launch: Launch) -> None:
        places = locate(launch, group, addresses(values, group), access)
        for n, read in enumerate(reads):
            value: Any = read(values)
            for place in places:
                some = place.at is not None and isinstance(value, np.ndarray)
                place.memory[place.cells(n)] = value[place.at] if some else value

    return store
