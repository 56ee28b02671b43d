"""The last block of a row, which is not whole: its rows go through memory of the block's own, padded to its width.

So every loop over a block's neurons is over whole vectors, in both instances of a kernel, and no compiler has to make a
second loop for the rest of them.
"""

from __future__ import annotations

from contextlib import nullcontext

from neurodsl.csrc_gen.writer import Writer

HELPERS = """// Of a block that is not whole: its part of a row, and `rest` beside it, or that alone if there is no row.
template <int B, typename type>
__attribute__((noinline)) static void take(type* to, const type* row, int count, type rest) {
    for (int j = 0; j < B; ++j) to[j] = row != nullptr && j < count ? row[j] : rest;
}

template <typename type>
__attribute__((noinline)) static void give(type* row, const type* from, int count) {
    for (int j = 0; j < count; ++j) row[j] = from[j];
}"""

WIDTH = "const int n = WHOLE ? B : count, width = WHOLE ? B : (count + 15) / 16 * 16;"
"""Neurons of the block, and how many are worked out."""

LOOP = "for (int j = 0; j < width; ++j) {"


def write_filled(
    writer: Writer, to: str, field: str, place: str, *, otherwise: str | None = None
) -> None:
    """Fill `to`, a block wide, from `field[place + j]`; with `otherwise` where that is null, if it may be."""
    value = f"{field}[{place} + j]"
    row, rest = f"{field} + {place}", otherwise or "real(0)"
    if otherwise is not None:
        value, row = f"{field} ? {value} : {otherwise}", f"{field} ? {row} : nullptr"
    writer.line(f"if (WHOLE) for (int j = 0; j < B; ++j) {to}[j] = {value};")
    writer.line(f"else take<B>({to}, {row}, count, {rest});")


def write_back(writer: Writer, field: str, place: str, values: str, guard: str = "") -> None:
    """Write a block's values to `field[place + j]`, if the guard holds."""
    with writer.block(f"if ({guard}) {{") if guard else nullcontext():
        writer.line(f"if (WHOLE) for (int j = 0; j < B; ++j) {field}[{place} + j] = {values}[j];")
        writer.line(f"else give({field} + {place}, {values}, count);")


def write_row(writer: Writer, type: str, row: str, where: str, kept: str) -> None:
    """A row that is read: `kept` holds it in a block that is not whole."""
    writer.line(f"alignas(64) {type} {kept}[B];")
    writer.line(f"if (!WHOLE) take<B>({kept}, {where}, count, {type}(0));")
    writer.line(f"const {type}* __restrict {row} = WHOLE ? {where} : {kept};")


def write_calls(writer: Writer, whole: str, rest: str, *, one: bool) -> None:
    """Call the instance for whole blocks, or the other, which alone there is of long kernels (`one`)."""
    if not one:
        writer.line(f"if (count == B) {whole};")
    writer.line(f"{rest};" if one else f"else {rest};")
