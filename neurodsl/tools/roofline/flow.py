"""The loops of a function in machine code, and which of them is its main one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from neurodsl.tools.roofline.sass import LOADS, STORES, Instruction, Loop

_TARGET = re.compile(r"\b0x([0-9a-f]+)$")
_BARRIER = re.compile(r"\bB\d+\b")
_ENDS = frozenset({"EXIT", "RET", "BRX"})
_PARTS = ("BRA", "BSYNC", *_ENDS)

Edges = Mapping[int, frozenset[int]]
"""Places of a function's instructions that may follow each other, by the first instruction of a block."""


def loops(code: Sequence[Instruction]) -> list[Loop]:
    """Natural loops that hold no other which moves global memory, by address.

    What stands past the last jump back to a loop's head, such as the slow path of a division, is not counted to it.
    """
    if not code:
        return []
    starts, follow = _blocks(code)
    bodies = _bodies(follow)
    moving = {head: _moves(code, starts, body) for head, (body, _) in bodies.items()}
    found = []
    for head, (body, last) in bodies.items():
        inner = [h for h in bodies if h != head and h in body and bodies[h][0] < body]
        if any(moving[h] for h in inner):
            continue
        chosen = [b for b in sorted(body) if head <= b <= last]
        instructions = tuple(i for b in chosen for i in code[b : starts[b]])
        found.append(Loop(instructions[0].address, instructions[-1].address, instructions))
    return sorted(found, key=lambda loop: loop.start)


def main_loops(code: Sequence[Instruction]) -> list[Loop]:
    """Of the loops with the widest accesses those that move most bytes a pass, that with the fewest instructions first.

    A kernel has its loop several times: for several neurons a thread, with usual params and with any, for one neuron a
    thread, and for the steps that are left over.
    """
    moving = [loop for loop in loops(code) if loop.bytes(LOADS, STORES)]
    widest = max((_widest(loop) for loop in moving), default=0)
    wide = [loop for loop in moving if _widest(loop) == widest]
    most = max((loop.bytes(LOADS, STORES) for loop in wide), default=0)
    alike = [loop for loop in wide if loop.bytes(LOADS, STORES) > 0.9 * most]
    return sorted(alike, key=lambda loop: len(loop.body) / loop.bytes(LOADS, STORES))


def _widest(loop: Loop) -> int:
    return max(i.width for i in loop.body if i.base in (LOADS, STORES))


def main_loop(code: Sequence[Instruction]) -> Loop | None:
    """The first of `main_loops`; None if no loop moves global memory."""
    return next(iter(main_loops(code)), None)


def whole(code: Sequence[Instruction]) -> Loop:
    """The function as if it were a loop run once: for kernels with all steps written out."""
    return Loop(code[0].address, code[-1].address, tuple(code))


def _targets(instruction: Instruction, places: Mapping[int, int]) -> set[int]:
    """The place that a jump or a BSSY names: one, or none if it is not in the function."""
    match = _TARGET.search(instruction.text)
    address = int(match[1], 16) if match else -1
    return {places[address]} if address in places else set()


def _blocks(code: Sequence[Instruction]) -> tuple[dict[int, int], Edges]:
    """Of each block's first place: the place past its end, and the blocks that may follow."""
    places = {instruction.address: place for place, instruction in enumerate(code)}
    waits = _waits(code, places)
    heads = {0, *waits.values()}
    for place, instruction in enumerate(code):
        if instruction.base in _PARTS:
            heads.add(place + 1)
            if instruction.base == "BRA":
                heads |= _targets(instruction, places)
    ordered = sorted(h for h in heads if h < len(code))
    ends = dict(zip(ordered, [*ordered[1:], len(code)], strict=True))
    follow = {}
    for head, end in ends.items():
        last = code[end - 1]
        nexts = _targets(last, places) if last.base == "BRA" else set()
        if last.base == "BSYNC":
            nexts.add(waits.get(end - 1, end))
        elif last.base not in (*_ENDS, "BRA") or last.conditional:
            nexts.add(end)
        follow[head] = frozenset(n for n in nexts if n < len(code))
    return ends, follow


def _waits(code: Sequence[Instruction], places: Mapping[int, int]) -> dict[int, int]:
    """Where each BSYNC goes on: what the BSSY of its barrier names."""
    named: dict[str, int] = {}
    found = {}
    for place, instruction in enumerate(code):
        barrier = _BARRIER.search(instruction.text)
        if barrier is None:
            continue
        if instruction.base == "BSSY":
            for place_named in _targets(instruction, places):
                named[barrier[0]] = place_named
        elif instruction.base == "BSYNC" and barrier[0] in named:
            found[place] = named[barrier[0]]
    return found


def _bodies(follow: Edges) -> dict[int, tuple[frozenset[int], int]]:
    """Of each loop's head: the blocks of the loop, and the last one that jumps back."""
    dominators = _dominators(follow)
    before: dict[int, set[int]] = {block: set() for block in follow}
    for block, nexts in follow.items():
        for following in nexts:
            before[following].add(block)
    found: dict[int, tuple[frozenset[int], int]] = {}
    for block, nexts in follow.items():
        for head in nexts & dominators.get(block, frozenset()):
            body, waiting = {head, block}, [block] if block != head else []
            while waiting:
                fresh = before[waiting.pop()] - body
                fresh = {b for b in fresh if b in dominators}
                body |= fresh
                waiting += fresh
            known, last = found.get(head, (frozenset[int](), head))
            found[head] = (known | body, max(last, block))
    return found


def _dominators(follow: Edges) -> dict[int, frozenset[int]]:
    """Of each block that is reached: the blocks that every way to it goes through, and itself."""
    order, seen = [], {0}
    waiting = [(0, iter(sorted(follow[0])))]
    while waiting:
        block, nexts = waiting[-1]
        fresh = next((n for n in nexts if n not in seen), None)
        if fresh is None:
            order.append(block)
            waiting.pop()
        else:
            seen.add(fresh)
            waiting.append((fresh, iter(sorted(follow[fresh]))))
    order.reverse()
    before: dict[int, list[int]] = {block: [] for block in order}
    for block in order:
        for following in follow[block]:
            before[following].append(block)
    found: dict[int, frozenset[int]] = {0: frozenset({0})}
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            known = [found[b] for b in before[block] if b in found]
            new = frozenset.intersection(*known) | {block}
            if found.get(block) != new:
                found[block], changed = new, True
    return found


def _moves(code: Sequence[Instruction], ends: Mapping[int, int], body: frozenset[int]) -> bool:
    return any(i.base in (LOADS, STORES) for b in body for i in code[b : ends[b]])
