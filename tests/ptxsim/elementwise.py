"""Instructions that do the same to every thread: from a NumPy function to a step of a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ptxsim.formats import NUMPY
from ptxsim.geometry import Group
from ptxsim.launch_state import Launch
from ptxsim.slots import Slots, Values
from ptxsim.syntax import Operand

Step = Callable[[Values, Group, Launch], None]


def apply(
    slots: Slots,
    function: Callable[..., Any],
    target: tuple[Operand, str],
    *sources: tuple[Operand, str],
) -> Step:
    """A step that writes `function` of the sources' values to the target; each with its PTX type."""
    write = slots.write(*target)
    reads = [slots.read(*source) for source in sources]
    if len(reads) == 1:
        (only,) = reads
        return lambda values, group, launch: write(values, function(only(values)))
    if len(reads) == 2:
        first, second = reads
        return lambda values, group, launch: write(values, function(first(values), second(values)))

    def step(values: Values, group: Group, launch: Launch) -> None:
        write(values, function(*[read(values) for read in reads]))

    return step


def apply_ufunc(
    slots: Slots,
    ufunc: np.ufunc,
    target: tuple[Operand, str],
    *sources: tuple[Operand, str],
) -> Step:
    """The same for a NumPy ufunc, which writes straight to the registers where their sizes allow it."""
    places = [slots.slot(*source) for source in sources]
    out = slots.target(*target)
    if out is None or None in places:
        dtype = NUMPY[target[1]]
        is_comparison = dtype is bool
        kept: dict[str, Any] = {} if is_comparison else {"dtype": dtype}
        return apply(slots, lambda *v: ufunc(*v, **kept), target, *sources)
    dtype = np.dtype(NUMPY[target[1]])
    if dtype.kind != "b" and any(NUMPY[kind] != dtype.type for _, kind in sources):
        return lambda values, group, launch: _run(ufunc, places, out, dtype, values)
    if len(places) == 1:
        (a,) = places
        return lambda values, group, launch: ufunc(values[a], out=values[out])
    a, b = places
    return lambda values, group, launch: ufunc(values[a], values[b], out=values[out])


def _run(
    ufunc: np.ufunc, places: Sequence[int | None], out: int, dtype: np.dtype[Any], values: Values
) -> None:
    ufunc(*[values[place] for place in places], out=values[out], dtype=dtype)


def copy(slots: Slots, kind: str, target: Operand, source: Operand) -> Step:
    """`mov`."""
    out, place = slots.target(target, kind), slots.slot(source, kind)
    if out is None or place is None:
        return apply(slots, lambda a: a, (target, kind), (source, kind))
    return lambda values, group, launch: np.copyto(values[out], values[place])
