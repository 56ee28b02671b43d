"""Prints a program's assignments as C++ statements over one neuron, the user's line as a comment above its own."""

from __future__ import annotations

from collections.abc import Mapping

from neurodsl.csrc_gen.expr_printer import ExpressionPrinter
from neurodsl.csrc_gen.writer import Writer, comment_text

from neurodsl.ir.nodes import IRType, Program


def write_program(
    writer: Writer, program: Program, printer: ExpressionPrinter, names: Mapping[str, str]
) -> None:
    """A `const` a line."""
    note: str | None = None
    for assign in program:
        if assign.note is not None and assign.note != note:
            writer.line(f"// {comment_text(assign.note)}")
            note = assign.note
        type = "bool" if assign.target.type is IRType.BOOL else "real"
        name = names[assign.target.name]
        writer.line(f"const {type} {name} = {printer.text(assign.value)};")
