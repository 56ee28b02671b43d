"""`cvt`: conversions between all formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptxsim import rounding
from ptxsim.elementwise import Step, apply
from ptxsim.formats import FLOATS, NUMPY, PACKED, Array, rounding_of, scalar_format
from ptxsim.slots import Slots
from ptxsim.syntax import Instruction, PtxError

_TO_INTEGRAL: dict[str, np.ufunc] = {
    "rni": np.rint,
    "rzi": np.trunc,
    "rmi": np.floor,
    "rpi": np.ceil,
}
_KNOWN_MODES = {
    "f32": ("rn", "rz", "rm", "rp"),
    "f64": ("rn",),
    "f16": ("rn", "rz"),
    "bf16": ("rn", "rz"),
}
Conversion = Callable[..., Array]


def decode_conversion(instruction: Instruction, slots: Slots) -> Step:
    """The step of a conversion.

    Raises:
        PtxError: for formats and roundings that are not known.
    """
    modifiers = instruction.modifiers
    target, *sources = instruction.operands
    to, of = [m for m in modifiers if m in NUMPY][-2:]
    if to in FLOATS:
        # Widening float16 or float32 is exact, whatever the mode.
        exact = (to == "f64" and of in FLOATS) or (to == "f32" and of in ("f16", "bf16"))
        known = _KNOWN_MODES[scalar_format(to)]
        if not exact and rounding_of(modifiers) not in known:
            raise PtxError(f"rounding to {to}")
    if to in PACKED:
        function = _packing(to, modifiers)
    elif of in FLOATS:
        function = _of_float(to, of, modifiers)
    elif to in FLOATS:
        function = _integer_to_float(to, of, rounding_of(modifiers))
    else:
        function = _between_integers(NUMPY[to], "sat" in modifiers)
    return apply(slots, function, (target, to), *((source, of) for source in sources))


def _packing(to: str, modifiers: tuple[str, ...]) -> Conversion:
    """`cvt.rn.f16x2.f32 d, high, low`."""
    kind, mode, relu = scalar_format(to), rounding_of(modifiers), "relu" in modifiers

    def encoded(x: Any) -> Array:
        x = np.asarray(x, np.float64)
        return rounding.encode(np.maximum(x, 0) if relu else x, kind, mode).astype(np.uint32)

    return lambda high, low: (encoded(high) << np.uint32(16)) | encoded(low)


def _of_float(to: str, of: str, modifiers: tuple[str, ...]) -> Conversion:
    flushing = "ftz" in modifiers

    def value(a: Any) -> Array:
        a = np.atleast_1d(a)
        if flushing and of == "f32":
            a = rounding.flush(a)
        return rounding.decode(np.ascontiguousarray(a), of)

    mode = next((m for m in modifiers if m in _TO_INTEGRAL), None)
    if to not in FLOATS:
        return _float_to_integer(value, _TO_INTEGRAL[mode or "rzi"], to, of)
    relu, saturating, dtype = "relu" in modifiers, "sat" in modifiers, NUMPY[to]

    def convert(a: Any) -> Array:
        x = value(a)
        if mode is not None:
            x = _TO_INTEGRAL[mode](x)
        if relu:
            x = np.maximum(x, 0)
        if saturating:
            x = np.where(np.isnan(x), 0, np.clip(x, 0, 1))
        out = rounding.encode(x, to, rounding_of(modifiers)).view(dtype)
        return rounding.flush(out) if flushing and to == "f32" else out

    return convert


def _float_to_integer(
    value: Callable[[Any], Array], to_integral: np.ufunc, to: str, of: str
) -> Conversion:
    """Clamped to the range; NaN gives 0, or the highest bit where 64 bits are involved (as the PTX manual says)."""
    dtype = NUMPY[to]
    info = np.iinfo(dtype)
    long = of == "f64" or to in ("s64", "u64")
    nan = np.array(1 << (info.bits - 1), np.uint64).astype(dtype)[()] if long else dtype(0)

    def convert(a: Any) -> Array:
        x = to_integral(value(a))
        missing = np.isnan(x)
        x = np.where(missing, 0, x)
        above = x >= float(info.max)
        inside = np.where(above, 0, np.clip(x, info.min, None)).astype(dtype)
        return np.where(missing, nan, np.where(above, dtype(info.max), inside))

    return convert


def _integer_to_float(to: str, of: str, mode: str) -> Conversion:
    dtype = NUMPY[to]
    if to in ("f32", "f64") and mode == "rn":
        return lambda a: np.asarray(a).astype(dtype)
    if of in ("s64", "u64"):
        raise PtxError(f"{of} to {to} in the mode {mode}")

    def convert(a: Any) -> Array:
        return rounding.encode(np.asarray(a).astype(np.float64), to, mode).view(dtype)

    return convert


def _between_integers(dtype: type, saturating: bool) -> Conversion:
    info = np.iinfo(dtype)

    def convert(a: Any) -> Array:
        a = np.asarray(a)
        if saturating:
            source = np.iinfo(a.dtype)
            a = np.clip(a, max(info.min, source.min), min(info.max, source.max))
        return a.astype(dtype)

    return convert
