"""The intermediate representation: straight-line programs over one neuron and one time step.

    Expr      ::= Const(value, type) | Var(name, type) | Op(name, args, type)
    Assign    ::= target: Var, value: Expr, note        -- each variable is assigned once (SSA)
    Program   ::= Assign*

A program is elementwise: it says nothing of T, N, blocks or threads, which the plan and the back ends add. Trees are
small (at most MAX_DEPTH deep and MAX_SIZE nodes: lowering splits longer ones), so passes may recurse.

Operators (`Op.name`), all on reals unless said:

    add sub mul div neg                       IEEE; `div` is a true division
    square cube                               products: x*x, x*x*x
    pow                                       any other power
    lt le gt ge eq ne                         reals to bool
    and or not                                on bool
    select                                    (bool, a, b): a if the condition holds, else b; a and b of one type
    to_real                                   bool to 0/1
    exp log expm1 log1p exprel sqrt rsqrt abs sign floor ceil round min max clip
    sin cos tan atan erf sigmoid tanh softplus relu heaviside        as in language.md

A spike is a BOOL variable (fired or not); where it is used as a number there is a `to_real` around it. Its adjoint is
real. Under `spiking=False` it is a REAL variable instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

MAX_DEPTH = 16
MAX_SIZE = 64


class IRType(StrEnum):
    """The type of a value in a kernel."""

    REAL = "real"
    BOOL = "bool"


@dataclass(frozen=True, slots=True)
class Const:
    """A literal: a float64 number, rounded to the kernel's dtype where it is used, or a bool."""

    value: float | bool
    type: IRType = IRType.REAL


@dataclass(frozen=True, slots=True)
class Var:
    """A variable. Its name is unique within a kernel, and made from the user's: `v`, `h`, `v_1`, `adj_v`, …"""

    name: str
    type: IRType = IRType.REAL


@dataclass(frozen=True, slots=True)
class Op:
    """An operator applied to arguments."""

    name: str
    args: tuple[Expr, ...]
    type: IRType = IRType.REAL


Expr = Const | Var | Op


@dataclass(frozen=True, slots=True)
class Assign:
    """`target = value`. `note` is the user's statement (or what a derivative line is of), shown as a comment above
    the first assignment that carries it; None on lines that the compiler added.
    """

    target: Var
    value: Expr
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """Assignments in order. `free` variables (read, never assigned) are named by whoever holds the program."""

    assigns: tuple[Assign, ...] = ()

    def __iter__(self) -> Iterator[Assign]:
        return iter(self.assigns)

    def __len__(self) -> int:
        return len(self.assigns)
