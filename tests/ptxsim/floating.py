"""Floating-point arithmetic in float32 and float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptxsim import rounding
from ptxsim.approximate import EXACT, disturb, gross_f64
from ptxsim.elementwise import Step, apply_ufunc
from ptxsim.formats import NUMPY, UNSIGNED, Array, rounding_of
from ptxsim.geometry import Group
from ptxsim.launch_state import Launch
from ptxsim.slots import Slots, Values
from ptxsim.syntax import Instruction, PtxError

_UFUNCS: dict[str, np.ufunc] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.absolute,
    "sqrt": np.sqrt,
}
_ODD: dict[str, Callable[[Array, Array], Array]] = {
    "add": rounding.add_odd,
    "sub": lambda a, b: rounding.add_odd(a, -b),
    "mul": lambda a, b: a * b,
}
Function = Callable[..., Any]


def decode_floating(instruction: Instruction, slots: Slots) -> Step:
    """The step of an instruction on float32 or float64.

    Raises:
        PtxError: for what is not known.
    """
    opcode, modifiers = instruction.opcode, instruction.modifiers
    kind = modifiers[-1]
    target, *sources = instruction.operands
    flushing, saturating = "ftz" in modifiers, "sat" in modifiers
    typed = [(source, kind) for source in sources]
    if opcode == "testp":
        return _test(modifiers, slots, instruction)
    exact = rounding_of(modifiers) == "rn" and not {"approx", "full"} & set(modifiers)
    if opcode in _UFUNCS and exact and not flushing and not saturating:
        return apply_ufunc(slots, _UFUNCS[opcode], (target, kind), *typed)
    function, disturbed = _function(opcode, modifiers)
    reads = [slots.read(*source) for source in typed]
    write = slots.write(target, kind)

    def step(values: Values, group: Group, launch: Launch) -> None:
        operands = [read(values) for read in reads]
        if flushing:
            operands = [rounding.flush(operand) for operand in operands]
        if launch.noise and disturbed is not None:
            result = disturbed(launch.generator, *operands)
        else:
            result = function(*operands)
        if flushing:
            result = rounding.flush(np.asarray(result))
        if saturating:
            result = np.where(np.isnan(result), 0, np.clip(result, 0, 1))
        write(values, result)

    return step


def _function(opcode: str, modifiers: tuple[str, ...]) -> tuple[Function, Function | None]:
    """What an instruction computes, and how it does so with noise, if it is an approximate one."""
    kind, mode = modifiers[-1], rounding_of(modifiers)
    approximate = bool({"approx", "full"} & set(modifiers))
    if kind == "f64" and mode != "rn":
        if opcode not in ("add", "sub"):
            raise PtxError(f"directed rounding of {opcode} in float64")
        sign = 1 if opcode == "add" else -1
        return lambda a, b: rounding.add64(a, sign * b, mode), None
    if opcode == "div" and approximate:
        return np.divide, lambda generator, a, b: _noisy(
            "div", np.divide(a, b, dtype=np.float64), generator
        )
    if opcode in _UFUNCS and mode == "rn" and not approximate:
        return _UFUNCS[opcode], None
    if opcode in _ODD and not approximate:
        return _rounded(_ODD[opcode], mode), None
    if opcode in ("fma", "mad"):
        if kind == "f64":
            return rounding.fma64, None
        return (rounding.fma32 if mode == "rn" else _rounded(rounding.fma_odd, mode)), None
    if opcode in ("min", "max"):
        return _extreme(opcode, kind, "NaN" in modifiers), None
    if opcode == "copysign":
        return lambda sign, value: np.copysign(value, sign), None
    if opcode in EXACT:
        return _unary(opcode, mode, modifiers)
    raise PtxError(f"opcode {opcode} of {kind}")


def _rounded(odd: Function, mode: str) -> Function:
    """An operation on float32, done in float64 rounded to odd and rounded once more."""
    return lambda *v: rounding.to_f32(odd(*(np.asarray(x, np.float64) for x in v)), mode)


def _unary(opcode: str, mode: str, modifiers: tuple[str, ...]) -> tuple[Function, Function | None]:
    exact = EXACT[opcode]
    if modifiers[-1] == "f64":
        gross = {"approx", "ftz"} <= set(modifiers)
        return (lambda a: gross_f64(opcode, a)) if gross else exact, None

    def function(a: Any) -> Array:
        return rounding.to_f32(exact(np.asarray(a, np.float64)), mode)

    def disturbed(generator: np.random.Generator, a: Any) -> Array:
        return _noisy(opcode, exact(np.asarray(a, np.float64)), generator)

    return function, disturbed if "approx" in modifiers else None


def _noisy(opcode: str, value: Array, generator: np.random.Generator) -> Array:
    return disturb(opcode, value, generator).astype(np.float32)


def _extreme(opcode: str, kind: str, propagate: bool) -> Function:
    """Minimum and maximum: -0 is below +0, and NaN counts only with `.NaN`."""
    ordinary: dict[str, np.ufunc] = {"min": np.fmin, "max": np.fmax}
    if propagate:
        ordinary = {"min": np.minimum, "max": np.maximum}
    ufunc, unsigned = ordinary[opcode], UNSIGNED[np.dtype(NUMPY[kind]).itemsize]
    join = np.bitwise_or if opcode == "min" else np.bitwise_and

    def extreme(a: Any, b: Any) -> Array:
        out = np.asarray(ufunc(a, b))
        if (out == 0).any():
            bits = join(np.asarray(a).view(unsigned), np.asarray(b).view(unsigned))
            zeros = (np.asarray(a) == 0) & (np.asarray(b) == 0)
            out = np.where(zeros, bits.view(out.dtype), out)
        return out

    return extreme


def _test(modifiers: tuple[str, ...], slots: Slots, instruction: Instruction) -> Step:
    """`testp`."""
    kind = modifiers[-1]
    smallest = np.finfo(NUMPY[kind]).smallest_normal
    tests: dict[str, Function] = {
        "finite": np.isfinite,
        "infinite": np.isinf,
        "number": lambda a: ~np.isnan(a),
        "notanumber": np.isnan,
        "normal": lambda a: np.isfinite(a) & (np.abs(a) >= smallest),
        "subnormal": lambda a: (np.abs(a) < smallest) & (a != 0),
    }
    target, source = instruction.operands
    read, write, test = slots.read(source, kind), slots.write(target, "pred"), tests[modifiers[0]]
    return lambda values, group, launch: write(values, test(read(values)))
