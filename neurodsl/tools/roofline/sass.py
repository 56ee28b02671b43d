"""Reads SASS, the machine code of NVIDIA's GPUs: functions, instructions, what a loop moves and computes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

LOADS, STORES = "LDG", "STG"
"""Opcodes of global memory."""
LOCAL = ("LDL", "STL")
"""Opcodes of local memory: spilled registers and arrays that are indexed."""

_FUNCTION = re.compile(r"Function : (\S+)")
_LINE = re.compile(r"\s+/\*([0-9a-f]{4,})\*/\s+(@!?U?P\w+\s+)?([A-Z][\w.]*)(.*?);")
_PREDICATE = re.compile(r"\bU?P\d")
_LOADED = re.compile(r"LDG\S*\s+(?:U?P\w+,\s*)?R(\d+)")
_REGISTER = re.compile(r"\bR\d+\b")
_WIDTHS = {"256": 32, "128": 16, "64": 8, "U16": 2, "S16": 2, "U8": 1, "S8": 1}

_MEMORY = frozenset(
    {LOADS, STORES, *LOCAL, "LDS", "STS", "ATOMG", "RED", "REDG", "ATOMS", "LDC", "ULDC", "LDCU"}
)
_FLOAT32 = frozenset({"FADD", "FMUL", "FFMA", "FADD32I", "FMUL32I", "FFMA32I", "FSWZADD"})
_FLOAT64 = frozenset({"DADD", "DMUL", "DFMA", "DSETP", "DMNMX"})
_EXCHANGE = frozenset({"SHFL", "VOTE", "VOTEU", "BAR", "WARPSYNC", "MATCH", "REDUX"})
_CONTROL = frozenset(
    {
        "BRA",
        "BRX",
        "EXIT",
        "CALL",
        "RET",
        "BSSY",
        "BSYNC",
        "BREAK",
        "BMOV",
        "YIELD",
        "NOP",
        "WARPSYNC",
    }
)


@dataclass(frozen=True)
class Instruction:
    """One machine instruction."""

    address: int
    opcode: str
    """With its modifiers: `LDG.E.128.CONSTANT`."""
    text: str
    predicated: bool = False
    """Whether it stands behind a predicate, as in `@!P0 BRA`."""

    @property
    def conditional(self) -> bool:
        """Whether a jump may not be taken: by its predicate, or by one among its operands."""
        return self.predicated or bool(_PREDICATE.search(self.text))

    @property
    def base(self) -> str:
        """The opcode without modifiers."""
        return self.opcode.split(".")[0]

    @property
    def width(self) -> int:
        """Bytes a thread moves, if it is an access to memory."""
        parts = self.opcode.split(".")[1:]
        return next((_WIDTHS[part] for part in parts if part in _WIDTHS), 4)

    @property
    def kind(self) -> str:
        """Its own opcode for memory and exchange between lanes; else the unit: fp32, fp16, fp64, MUFU, …"""
        base = self.base
        if base in _MEMORY or base in _EXCHANGE or base == "MUFU":
            return base
        if base in _FLOAT32:
            return "fp32"
        if base.startswith(("HADD", "HFMA", "HMUL", "HSET", "HMNMX")):
            return "fp16"
        if base in _FLOAT64:
            return "fp64"
        if base in _CONTROL:
            return "control"
        return "uniform" if base.startswith(("U", "R2U")) else "integer"

    @property
    def registers(self) -> frozenset[str]:
        """The registers that it names."""
        return frozenset(_REGISTER.findall(self.text.partition(" ")[2]))


@dataclass(frozen=True)
class Loop:
    """A loop: its first and last address and its instructions."""

    start: int
    end: int
    body: tuple[Instruction, ...] = field(repr=False)

    @property
    def counts(self) -> Counter[str]:
        """Instructions by `Instruction.kind`."""
        return Counter(instruction.kind for instruction in self.body)

    def bytes(self, *opcodes: str) -> int:
        """Bytes that one pass of a thread moves with these opcodes."""
        return sum(i.width for i in self.body if i.base in opcodes)

    @property
    def loads_in_flight(self) -> int:
        """Bytes that a thread asks for before it needs the first of them, within one pass of the loop."""
        loads = [n for n, i in enumerate(self.body) if i.base == LOADS]
        return max((self._in_flight(first) for first in loads), default=0)

    def _in_flight(self, first: int) -> int:
        """Bytes asked for from one load on until its result is needed."""
        loaded = _loaded_registers(self.body[first])
        total = self.body[first].width
        for instruction in self.body[first + 1 :]:
            named = instruction.registers
            if instruction.base == LOADS:
                named -= _loaded_registers(instruction)
            if named & loaded:
                break
            if instruction.base == LOADS:
                total += instruction.width
        return total


def _loaded_registers(load: Instruction) -> frozenset[str]:
    match = _LOADED.match(load.text)
    if match is None:
        return frozenset()
    first = int(match[1])
    return frozenset(f"R{first + n}" for n in range(max(1, load.width // 4)))


def functions(listing: str) -> dict[str, list[Instruction]]:
    """The functions of a listing by name."""
    found: dict[str, list[Instruction]] = {}
    current: list[Instruction] | None = None
    for line in listing.splitlines():
        if match := _FUNCTION.search(line):
            current = found.setdefault(match[1], [])
        elif current is not None and (match := _LINE.match(line)):
            address, predicate, opcode, operands = match.groups()
            text = (opcode + operands).strip()
            current.append(Instruction(int(address, 16), opcode, text, bool(predicate)))
    return found
