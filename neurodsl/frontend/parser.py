"""The front door: text in, syntax tree out, or one syntax error in words."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from neurodsl.diagnostics.diagnostic import CompileError, Label, Report
from neurodsl.frontend import ast
from neurodsl.frontend.layout import Layout, lay_out
from neurodsl.frontend.lines import LineTable
from neurodsl.frontend.problem import SyntaxProblem

if TYPE_CHECKING:
    from lark import Lark, Tree


def parse(text: str, name: str, report: Report) -> ast.File:
    """Parse a program. `name` is what its spans call it: a path, or `<text>`.

    A syntax error is recorded in `report`, alone, and ends the parse.

    Raises:
        CompileError: there is a syntax error.
    """
    report.sources.setdefault(name, text)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = LineTable(name, text)
    try:
        return _parse(text, lines)
    except SyntaxProblem as problem:
        _record(problem, lines, report)
    raise CompileError(tuple(report.diagnostics), dict(report.sources))


def _record(problem: SyntaxProblem, lines: LineTable, report: Report) -> None:
    report.add(
        problem.code,
        lines.place(problem.place),
        problem.message,
        label=problem.label,
        secondary=tuple(Label(lines.place(at), words) for at, words in problem.secondary),
        help=problem.help,
    )


def _parse(text: str, lines: LineTable) -> ast.File:
    from neurodsl.frontend.tree_builder import build

    layout = lay_out(text)
    return build(_tree(layout), lines)


def _tree(layout: Layout) -> Tree[Any]:
    from lark import UnexpectedInput

    try:
        return _grammar().parse(layout.text)
    except UnexpectedInput as error:
        from neurodsl.frontend.mistakes import explain

        raise explain(error, layout) from None


@cache
def _grammar() -> Lark:
    from lark import Lark

    from neurodsl.frontend.blocks import Blocks

    return Lark(
        files("neurodsl.grammar").joinpath("neuron.lark").read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        postlex=Blocks(),
        keep_all_tokens=True,
        maybe_placeholders=False,
        propagate_positions=False,
    )
