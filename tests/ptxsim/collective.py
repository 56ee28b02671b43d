"""Instructions of whole warps and blocks: barriers, shuffles, votes, reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptxsim.elementwise import Step
from ptxsim.formats import NUMPY, Array
from ptxsim.geometry import Group
from ptxsim.launch_state import Launch
from ptxsim.slots import Slots, Values
from ptxsim.syntax import Instruction, Pair, PtxError

BARRIERS = frozenset({"bar", "barrier"})
COLLECTIVES = BARRIERS | {"shfl", "vote", "match", "redux", "activemask"}
_REDUCTIONS: dict[str, np.ufunc] = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
_NO_VALUE = np.uint32(0xCBCBCBCB)


def decode_collective(instruction: Instruction, slots: Slots) -> Step:
    """The step of one of `COLLECTIVES`; the scheduler has gathered the threads that take part.

    Raises:
        PtxError: for forms that are not known.
    """
    opcode = instruction.opcode
    if opcode in BARRIERS:
        return _barrier(instruction)
    decoders = {"shfl": _shuffle, "vote": _vote, "redux": _reduction, "activemask": _active}
    if opcode not in decoders:
        raise PtxError(f"opcode {opcode}")
    return decoders[opcode](instruction, slots)


def _barrier(instruction: Instruction) -> Step:
    modifiers = instruction.modifiers
    if "warp" in modifiers:

        def meet_in_warp(values: Values, group: Group, launch: Launch) -> None:
            group.geometry.pass_barrier(np.zeros(0, np.int64), np.unique(group.warp))

        return meet_in_warp
    if "red" in modifiers or "arrive" in modifiers or len(instruction.operands) > 1:
        raise PtxError("this form of barrier")

    def meet(values: Values, group: Group, launch: Launch) -> None:
        group.geometry.pass_barrier(np.unique(group.block), np.unique(group.warp))

    return meet


def _full(value: Any, group: Group, dtype: type) -> Array:
    return np.broadcast_to(value, group.index.shape).astype(dtype)


def _bits(group: Group) -> Array:
    return np.uint32(1) << group.lane.astype(np.uint32)


def _active(instruction: Instruction, slots: Slots) -> Step:
    write = slots.write(instruction.operands[0], "u32")
    return lambda values, group, launch: write(values, group.or_in_warp(_bits(group)))


def _vote(instruction: Instruction, slots: Slots) -> Step:
    target, predicate, mask = instruction.operands
    kind = next(m for m in instruction.modifiers if m in ("all", "any", "uni", "ballot"))
    read, members = slots.read(predicate, "pred"), slots.read(mask, "u32")
    write = slots.write(target, "u32" if kind == "ballot" else "pred")

    def vote(values: Values, group: Group, launch: Launch) -> None:
        mask = _full(members(values), group, np.uint32)
        bits = _bits(group)
        voted = np.where(_full(read(values), group, bool), bits, np.uint32(0))
        yes, here = group.or_in_warp(voted) & mask, group.or_in_warp(bits) & mask
        if kind == "ballot":
            write(values, yes)
        elif kind == "any":
            write(values, yes != 0)
        else:
            write(values, (yes == here) if kind == "all" else (yes == here) | (yes == 0))

    return vote


def _shuffle(instruction: Instruction, slots: Slots) -> Step:
    target, *sources = instruction.operands
    mode = next(m for m in instruction.modifiers if m in ("up", "down", "bfly", "idx"))
    value, distance, clamp = (slots.read(source, "u32") for source in sources[:3])
    write = slots.write(target, "u32")
    write_inside = slots.write(target.second, "pred") if isinstance(target, Pair) else None

    def shuffle(values: Values, group: Group, launch: Launch) -> None:
        lane = group.lane
        source, inside = _source_lane(
            mode,
            lane,
            _full(distance(values), group, np.int64),
            _full(clamp(values), group, np.int64),
        )
        thread = group.geometry.at[group.warp, source]
        place = np.minimum(np.searchsorted(group.index, thread), group.size - 1)
        absent = group.index[place] != thread
        if absent.any():
            k = int(np.flatnonzero(absent)[0])
            launch.fault(
                "lane",
                f"thread {group.index[k]} (lane {lane[k]}) reads lane {source[k]}, which takes no part",
            )
        result = _full(value(values), group, np.uint32)[place]
        write(values, np.where(absent, _NO_VALUE, result))
        if write_inside is not None:
            write_inside(values, inside)

    return shuffle


def _source_lane(mode: str, lane: Array, distance: Array, clamp: Array) -> tuple[Array, Array]:
    """Which lane each one reads, and whether it lies within the segment (else each reads itself)."""
    segment, limit, distance = (clamp >> 8) & 31, clamp & 31, distance & 31
    low = lane & segment
    end = low | (limit & ~segment)
    source = {
        "up": lane - distance,
        "down": lane + distance,
        "bfly": lane ^ distance,
        "idx": low | (distance & ~segment),
    }[mode]
    inside = source >= end if mode == "up" else source <= end
    return np.where(inside, source, lane), inside


def _reduction(instruction: Instruction, slots: Slots) -> Step:
    target, source, mask = instruction.operands
    kind = instruction.modifiers[-1]
    reduce = _REDUCTIONS[next(m for m in instruction.modifiers if m in _REDUCTIONS)].reduce
    read, members, write = (
        slots.read(source, kind),
        slots.read(mask, "u32"),
        slots.write(target, kind),
    )
    dtype = NUMPY[kind]

    def reduction(values: Values, group: Group, launch: Launch) -> None:
        operand = _full(read(values), group, dtype)
        key = (group.warp << 32) | _full(members(values), group, np.int64)
        out = np.empty(group.size, dtype)
        for each in np.unique(key):
            out[key == each] = reduce(operand[key == each], dtype=dtype)
        write(values, out)

    return reduction
