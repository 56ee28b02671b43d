"""Where instructions find their values: a list with one entry for each (register, type), constant and special register.

While a group of threads runs, the list holds NumPy arrays with one element a thread (and scalars for constants). A
register seen under two types is two views of the same memory, a narrower type a view of the low bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np

from ptxsim.formats import FLOATS, NUMPY, UNSIGNED, Array
from ptxsim.geometry import Geometry, Group
from ptxsim.syntax import (
    TYPE_BYTES,
    Immediate,
    Kernel,
    Operand,
    Pair,
    PtxError,
    Register,
    Special,
    Symbol,
    Vector,
)

Values = list[Any]
Reader = Callable[[Values], Any]
Writer = Callable[[Values, Any], None]

_POISON = 0xDEADBEEFDEADBEEF
_FEW = 100
"""Views that are better made one by one than by taking a bank apart."""


@dataclass(frozen=True)
class RegisterView:
    """A register under a type."""

    bank: int
    """Its size in bytes; 0 for predicates."""
    row: int
    dtype: np.dtype[Any]

    def of(self, base: Array) -> Array:
        """The view of the register's memory (threads along the last axis)."""
        if base.dtype == self.dtype:
            return base
        return base.view(self.dtype)[..., :: max(1, self.bank // self.dtype.itemsize)]


@dataclass(frozen=True)
class SpecialView:
    """A special register under a type."""

    name: str
    dtype: np.dtype[Any]


@dataclass
class Use:
    """Which slots an instruction, or a block of them, reads and writes."""

    slots: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)

    def add(self, other: Use) -> None:
        """Join another one."""
        self.slots |= other.slots
        self.written |= other.written


class Slots:
    """The slots of a kernel, made while its instructions are decoded."""

    def __init__(self, kernel: Kernel, symbols: dict[str, int]) -> None:
        self.symbols = symbols
        self.views: list[RegisterView | SpecialView | None] = []
        self.constants: Values = []
        self.use = Use()
        self._rows: dict[str, int] = {}
        self.bank_sizes = dict.fromkeys(UNSIGNED, 0)
        """How many registers of each size the decoded part of the kernel uses."""
        self._types = {**kernel.registers, "carry flag": "pred"}
        self._known: dict[object, int] = {}

    def _slot(self, key: object, view: RegisterView | SpecialView | None, constant: Any) -> int:
        slot = self._known.get(key)
        if slot is None:
            slot = self._known[key] = len(self.views)
            self.views.append(view)
            self.constants.append(constant)
        if view is not None:
            self.use.slots.add(slot)
        return slot

    def slot(self, operand: Operand, kind: str) -> int | None:
        """The slot to read an operand from; None if reading it takes more than that.

        Raises:
            PtxError: for operands that are not known.
        """
        dtype = np.dtype(NUMPY[kind])
        if isinstance(operand, Register):
            return None if operand.negated else self._register(operand.name, dtype)
        if isinstance(operand, Special):
            view = SpecialView(operand.name, dtype)
            return self._slot(view, view, None)
        if isinstance(operand, Immediate):
            return self.constant(_constant(operand, kind, dtype))
        if isinstance(operand, Symbol):
            if operand.name not in self.symbols:
                raise PtxError(f"symbol {operand.name}")
            return self.constant(np.array(self.symbols[operand.name], np.uint64).astype(dtype)[()])
        if isinstance(operand, Vector):
            return None
        raise PtxError(f"operand {operand}")

    def constant(self, value: Any) -> int:
        """The slot of a constant."""
        return self._slot(("constant", type(value), np.asarray(value).tobytes()), None, value)

    def _register(self, name: str, dtype: np.dtype[Any]) -> int:
        bank = self.size_of(name)
        if (bank == 0) != (dtype.kind == "b") or bank < dtype.itemsize * (bank != 0):
            raise PtxError(f"register {name} of {bank} bytes as {dtype}")
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = self.bank_sizes[bank]
            self.bank_sizes[bank] += 1
        view = RegisterView(bank, row, dtype)
        return self._slot(view, view, None)

    def size_of(self, name: str) -> int:
        """Bytes of a register; 0 for predicates."""
        kind = self._types[name]
        return 0 if kind == "pred" else TYPE_BYTES[kind]

    def target(self, operand: Operand, kind: str) -> int | None:
        """The slot to write to, if the register has just the size of the type."""
        dtype = np.dtype(NUMPY[kind])
        if not isinstance(operand, Register) or operand.name not in self._types:
            return None
        if self.size_of(operand.name) not in (0, dtype.itemsize):
            return None
        slot = self._register(operand.name, dtype)
        self.use.written.add(slot)
        return slot

    def read(self, operand: Operand, kind: str) -> Reader:
        """A function that gives an operand's values, of the NumPy type of `kind`."""
        slot = self.slot(operand, kind)
        if slot is not None:
            return itemgetter(slot)
        if isinstance(operand, Register):
            positive = self._register(operand.name, np.dtype(bool))
            return lambda values: ~values[positive]
        assert isinstance(operand, Vector)
        dtype = np.dtype(NUMPY[kind])
        bits = 8 * dtype.itemsize // len(operand.items)
        parts = [self.read(item, f"u{bits}") for item in operand.items]
        whole = UNSIGNED[dtype.itemsize]

        def pack(values: Values) -> Any:
            out = whole(0)
            for n, part in enumerate(parts):
                out = out | (np.asarray(part(values)).astype(whole) << whole(bits * n))
            return np.atleast_1d(out).view(dtype)

        return pack

    def write(self, operand: Operand, kind: str) -> Writer:
        """A function that writes values of the NumPy type of `kind`; wider registers are extended."""
        if isinstance(operand, Pair):
            return self.write(operand.first, kind)
        if isinstance(operand, Vector):
            return self._unpack(operand, kind)
        if not isinstance(operand, Register):
            raise PtxError(f"destination {operand}")
        if operand.name == "_":
            return lambda values, result: None
        slot = self.target(operand, kind)
        if slot is not None:

            def put(values: Values, result: Any) -> None:
                values[slot][...] = result

            return put
        narrow, bank = np.dtype(NUMPY[kind]), self.size_of(operand.name)
        signed = narrow.kind == "i"
        wide = self.target(operand, f"{'s' if signed else 'u'}{8 * bank}")
        bits = narrow if signed else np.dtype(UNSIGNED[narrow.itemsize])

        def extend(values: Values, result: Any) -> None:
            values[wide][...] = np.asarray(result, narrow).view(bits)

        return extend

    def _unpack(self, operand: Vector, kind: str) -> Writer:
        whole = NUMPY[f"u{8 * TYPE_BYTES[kind]}"]
        bits = 8 * TYPE_BYTES[kind] // len(operand.items)
        part = NUMPY[f"u{bits}"]
        parts = [self.write(item, f"u{bits}") for item in operand.items]

        def unpack(values: Values, result: Any) -> None:
            pattern = np.asarray(result).view(whole)
            for n, put in enumerate(parts):
                put(values, (pattern >> whole(bits * n)).astype(part))

        return unpack


def _constant(operand: Immediate, kind: str, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return np.bool_(operand.value)
    if operand.bits is not None and kind in FLOATS:
        exact = operand.value if kind in ("f32", "f64") else operand.bits
        return np.array(exact).astype(dtype)[()]
    if isinstance(operand.value, float) and operand.bits is None:
        return dtype.type(operand.value)
    bits = int(operand.value if operand.bits is None else operand.bits)
    return np.array(bits & ((1 << 8 * dtype.itemsize) - 1), UNSIGNED[dtype.itemsize]).view(dtype)[
        ()
    ]


class RegisterFile:
    """The registers of all threads of a launch."""

    def __init__(self, slots: Slots, geometry: Geometry) -> None:
        self.slots, self.geometry = slots, geometry
        self._banks: dict[int, list[Array]] = {bank: [] for bank in slots.bank_sizes}
        """Registers by their size: pieces with a row for each register."""
        self._rows: dict[int, list[Array]] = {bank: [] for bank in slots.bank_sizes}
        self._special: dict[int, Any] = {}
        self._spans: dict[tuple[int, int], Values] = {}

    def _grow(self) -> None:
        """Make room for the registers of blocks decoded since."""
        for bank, wanted in self.slots.bank_sizes.items():
            more = wanted - len(self._rows[bank])
            if more:
                poison = _POISON & ((1 << 8 * bank) - 1) if bank else False
                piece = np.full((more, self.geometry.threads), poison, UNSIGNED[bank])
                self._banks[bank].append(piece)
                self._rows[bank] += list(piece)

    def _special_values(self, slot: int, view: SpecialView) -> Any:
        known = self._special.get(slot)
        if known is None:
            values = self.geometry.special.get(view.name)
            if values is None:
                raise PtxError(f"special register %{view.name}")
            bits = np.asarray(values).astype(UNSIGNED[view.dtype.itemsize])
            known = self._special[slot] = bits.view(view.dtype)
        return known

    def span(self, span: slice) -> Values:
        """All values of neighbouring threads: views, so that writing to them writes to the registers."""
        values = self._spans.setdefault((span.start, span.stop), [])
        first = len(values)
        if first == len(self.slots.views):
            return values
        self._grow()
        values += self.slots.constants[first:]
        few = len(values) - first < _FEW
        rows: dict[tuple[int, np.dtype[Any]], list[Array]] = {}
        for slot, view in enumerate(self.slots.views[first:], first):
            if isinstance(view, RegisterView) and few:
                values[slot] = view.of(self._rows[view.bank][view.row][span])
            elif isinstance(view, RegisterView):
                of_type = (view.bank, view.dtype)
                if of_type not in rows:
                    pieces = [view.of(piece[:, span]) for piece in self._banks[view.bank]]
                    rows[of_type] = [row for piece in pieces for row in piece]
                values[slot] = rows[of_type][view.row]
            elif isinstance(view, SpecialView):
                special = self._special_values(slot, view)
                values[slot] = special[span] if special.ndim else special
        return values

    def gather(self, group: Group, use: Use) -> tuple[Values, dict[tuple[int, int], Array]]:
        """The values of some slots for scattered threads: copies, and the registers that they are of."""
        self._grow()
        values = self.slots.constants.copy()
        copies: dict[tuple[int, int], Array] = {}
        for slot in use.slots:
            view = self.slots.views[slot]
            if isinstance(view, RegisterView):
                place = (view.bank, view.row)
                if place not in copies:
                    copies[place] = self._rows[view.bank][view.row][group.index]
                values[slot] = view.of(copies[place])
            elif isinstance(view, SpecialView):
                special = self._special_values(slot, view)
                values[slot] = special[group.index] if special.ndim else special
        return values, copies

    def scatter(self, group: Group, use: Use, copies: dict[tuple[int, int], Array]) -> None:
        """Put what was written to such copies back."""
        for slot in use.written:
            view = self.slots.views[slot]
            assert isinstance(view, RegisterView)
            place = (view.bank, view.row)
            self._rows[view.bank][view.row][group.index] = copies[place]
