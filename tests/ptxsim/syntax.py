"""What PTX consists of: operands, instructions, variables, kernels and modules, with no meaning attached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TYPE_BYTES = {
    "pred": 1,
    **dict.fromkeys(("b8", "u8", "s8"), 1),
    **dict.fromkeys(("b16", "u16", "s16", "f16", "bf16"), 2),
    **dict.fromkeys(("b32", "u32", "s32", "f32", "f16x2", "bf16x2"), 4),
    **dict.fromkeys(("b64", "u64", "s64", "f64"), 8),
    "b128": 16,
}


class PtxError(Exception):
    """The PTX uses something that this simulator does not know."""


@dataclass(frozen=True)
class Register:
    """A register; `negated` only for predicates: `!%p1`."""

    name: str
    negated: bool = False


@dataclass(frozen=True)
class Immediate:
    """A number. `bits` is the exact pattern of a `0f…` or `0d…` literal."""

    value: int | float
    bits: int | None = None


@dataclass(frozen=True)
class Special:
    """A special register: `tid.x`, `laneid`, …"""

    name: str


@dataclass(frozen=True)
class Symbol:
    """The name of a variable, a parameter, a function or a label."""

    name: str


@dataclass(frozen=True)
class Address:
    """`[base + offset]`."""

    base: Operand
    offset: int = 0


@dataclass(frozen=True)
class Vector:
    """`{a, b}`, of a vector access or of `mov`."""

    items: tuple[Operand, ...]


@dataclass(frozen=True)
class Pair:
    """`d|p` of `shfl` and `setp`."""

    first: Operand
    second: Operand


Operand = Register | Immediate | Special | Symbol | Address | Vector | Pair


@dataclass(frozen=True)
class Instruction:
    """One instruction: `ld.global.v4.f32` has the opcode `ld` and three modifiers."""

    opcode: str
    modifiers: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: Register | None
    text: str
    line: str = ""
    """The source position from `.loc`, if the PTX was made with `-lineinfo`."""


@dataclass(frozen=True)
class Call:
    """What a `call` names: where the result goes, the function, and the arguments."""

    results: tuple[str, ...]
    function: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Variable:
    """A variable or parameter of the space global, const, shared, local or param."""

    name: str
    space: str
    type: str
    align: int
    count: int
    """Elements; 0 for an extern array (dynamic shared memory)."""
    initial: bytes | None = None

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return TYPE_BYTES[self.type] * self.count


@dataclass
class Kernel:
    """An entry or a function of a module."""

    name: str
    parameters: list[Variable]
    is_entry: bool
    results: list[Variable] = field(default_factory=list)
    registers: dict[str, str] = field(default_factory=dict)
    """Name to type."""
    variables: list[Variable] = field(default_factory=list)
    """Shared, local, and the parameters of calls."""
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    """Label to index into the code."""
    calls: dict[int, Call] = field(default_factory=dict)
    """Index into the code to what is called there."""


@dataclass
class Module:
    """A whole PTX file."""

    target: str
    version: str
    kernels: Mapping[str, Kernel]
    variables: list[Variable]
    """Of the module: global, const and shared."""
    programs: dict[str, object] = field(default_factory=dict, repr=False)
    """Kernels that were decoded already."""
