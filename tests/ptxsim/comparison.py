"""`setp`, `set`, `selp` and `slct`. A comparison of floats is ordered unless its name ends in u."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptxsim.elementwise import Step, apply, apply_ufunc
from ptxsim.formats import FLOATS, NUMPY, ONE_BITS, PACKED, Array
from ptxsim.half import unpacked
from ptxsim.rounding import flush
from ptxsim.slots import Slots
from ptxsim.syntax import Instruction, Pair, PtxError

_UFUNCS: dict[str, np.ufunc] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
_UNSIGNED_NAMES = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
_OPPOSITE = {"ltu": "ge", "leu": "gt", "gtu": "le", "geu": "lt"}
_COMBINE: dict[str, np.ufunc] = {
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
}
Test = Callable[[Any, Any], Array]


def decode_comparison(instruction: Instruction, slots: Slots) -> Step:
    """The step of a comparison or selection.

    Raises:
        PtxError: for what is not known.
    """
    opcode, modifiers = instruction.opcode, instruction.modifiers
    target, *sources = instruction.operands
    kind = modifiers[-1]
    if opcode == "selp":
        a, b, chosen = sources
        return apply(
            slots,
            lambda p, a, b: np.where(p, a, b),
            (target, kind),
            (chosen, "pred"),
            (a, kind),
            (b, kind),
        )
    if opcode == "slct":
        a, b, sign = sources
        of = modifiers[-2]
        flushing = "ftz" in modifiers

        def select(c: Any, a: Any, b: Any) -> Array:
            return np.where((flush(c) if flushing else c) >= 0, a, b)

        return apply(slots, select, (target, of), (sign, kind), (a, of), (b, of))
    if opcode == "setp":
        return _set_predicate(instruction, slots)
    return _set(instruction, slots)


def _test(modifiers: tuple[str, ...]) -> Test:
    """The comparison of two operands, to booleans (of each half, if packed)."""
    kind = modifiers[-1]
    name = _UNSIGNED_NAMES.get(modifiers[0], modifiers[0])
    is_float, halves = kind in FLOATS, kind in FLOATS and kind not in ("f32", "f64")
    flushing = is_float and "ftz" in modifiers
    compare = _plain_test(name, is_float)

    def test(a: Any, b: Any) -> Array:
        if halves:
            a, b = unpacked([a, b], kind)
        if flushing:
            a, b = flush(np.asarray(a)), flush(np.asarray(b))
        return compare(a, b)

    return test


def _plain_test(name: str, is_float: bool) -> Test:
    if name == "nan":
        return lambda a, b: np.isnan(a) | np.isnan(b)
    if name == "num":
        return lambda a, b: ~(np.isnan(a) | np.isnan(b))
    if name == "ne" and is_float:
        return lambda a, b: (a < b) | (a > b)
    if name in _UFUNCS:
        return _UFUNCS[name]
    if name in _OPPOSITE:
        opposite = _UFUNCS[_OPPOSITE[name]]
        return lambda a, b: ~opposite(a, b)
    if name == "neu":
        return np.not_equal
    if name == "equ":
        return lambda a, b: ~((a < b) | (a > b))
    raise PtxError(f"comparison {name}")


def _combination(modifiers: tuple[str, ...]) -> np.ufunc | None:
    name = next((m for m in modifiers[1:] if m in _COMBINE), None)
    return _COMBINE[name] if name else None


def _set_predicate(instruction: Instruction, slots: Slots) -> Step:
    modifiers = instruction.modifiers
    target, a, b, *third = instruction.operands
    kind, combine = modifiers[-1], _combination(modifiers)
    of_numpy = kind not in FLOATS or kind in ("f32", "f64")
    if combine is None and not isinstance(target, Pair) and of_numpy and "ftz" not in modifiers:
        plain = _plain_test(_UNSIGNED_NAMES.get(modifiers[0], modifiers[0]), kind in FLOATS)
        if isinstance(plain, np.ufunc):
            return apply_ufunc(slots, plain, (target, "pred"), (a, kind), (b, kind))
    test, first, second = _test(modifiers), slots.read(a, kind), slots.read(b, kind)
    extra = slots.read(third[0], "pred") if combine is not None else None
    write = slots.write(target, "pred")
    other = slots.write(target.second, "pred") if isinstance(target, Pair) else None

    def combined(result: Array, values: Any) -> Array:
        return result if combine is None or extra is None else combine(result, extra(values))

    def step(values: Any, group: Any, launch: Any) -> None:
        result = test(first(values), second(values))
        opposite = ~result
        if kind in PACKED:
            pairs = result.reshape(-1, 2)
            result, opposite = pairs[:, 0], pairs[:, 1]
        outcome = combined(result, values)
        opposite = combined(opposite, values)
        write(values, outcome)
        if other is not None:
            other(values, opposite)

    if kind in PACKED and other is None:
        raise PtxError("packed setp with one predicate")
    return step


def _set(instruction: Instruction, slots: Slots) -> Step:
    modifiers = instruction.modifiers
    target, a, b, *third = instruction.operands
    kind, result_kind = modifiers[-1], modifiers[-2]
    test, combine = _test(modifiers), _combination(modifiers)
    sources = [(a, kind), (b, kind)]
    if kind in PACKED:
        if combine is not None:
            raise PtxError("packed set with a third operand")
        yes = np.uint16(ONE_BITS.get(result_kind, 0xFFFF))

        def both(a: Any, b: Any) -> Array:
            return np.where(test(a, b), yes, np.uint16(0)).view(np.uint32)

        return apply(slots, both, (target, result_kind), *sources)
    dtype = np.dtype(NUMPY[result_kind])
    if result_kind in FLOATS:
        true = dtype.type(ONE_BITS.get(result_kind, 1))
    else:
        true = np.array(-1).astype(dtype)[()]

    def single(a: Any, b: Any, c: Any = None) -> Array:
        result = test(a, b)
        return np.where(result if combine is None else combine(result, c), true, dtype.type(0))

    if combine is not None:
        sources.append((third[0], "pred"))
    return apply(slots, single, (target, result_kind), *sources)
