"""The front door: text in, syntax tree out, or one syntax error in words."""

from __future__ import annotations

from functools import cache
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
    file = _parse_as("start", text, name, report)
    assert isinstance(file, ast.File)
    return file


def parse_expression(text: str, name: str, report: Report) -> ast.Expression:
    """Parse one expression, such as `sigmoid(alpha=4.0)`; as `parse` otherwise.

    Raises:
        CompileError: there is a syntax error.
    """
    expression = _parse_as("lone_expression", text, name, report)
    assert isinstance(expression, ast.Expression)
    return expression


def _parse_as(start: str, text: str, name: str, report: Report) -> Any:
    report.sources.setdefault(name, text)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = LineTable(name, text)
    try:
        return _parse(text, lines, start)
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


def _parse(text: str, lines: LineTable, start: str) -> Any:
    from neurodsl.frontend.tree_builder import build

    layout = lay_out(text)
    return build(_tree(layout, start), lines)


def _tree(layout: Layout, start: str) -> Tree[Any]:
    from lark import UnexpectedInput

    try:
        return _parser().parse(layout.text, start=start)
    except UnexpectedInput as error:
        from neurodsl.frontend.mistakes import explain

        raise explain(error, layout) from None


@cache
def _parser() -> Lark:
    from neurodsl.frontend.table import load_parser

    return load_parser()
