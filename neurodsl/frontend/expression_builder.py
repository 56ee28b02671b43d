"""From the parser's tree to expressions of the syntax tree."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from lark import Token

from neurodsl.diagnostics.span import Span
from neurodsl.frontend import ast
from neurodsl.frontend.layout import MAX_NESTING
from neurodsl.frontend.lines import LineTable
from neurodsl.frontend.names import declared, used
from neurodsl.frontend.problem import SyntaxProblem

Child = Any
"""A token, or what a method here made of a smaller tree."""


class ExpressionBuilder:
    """One method a rule of the grammar: the children of its tree in, a node out."""

    def __init__(self, lines: LineTable) -> None:
        self._lines = lines
        self._depths: dict[int, int] = {}  # of nodes that are kept, by id; leaves are not in it

    # --- tokens

    def span(self, child: Child) -> Span:
        """The span of a token, a node, or nodes in a tuple."""
        if isinstance(child, Token):
            return self._lines.span(child.start_pos or 0, child.end_pos or 0)
        if isinstance(child, tuple):
            return self.span(child[0]).to(self.span(child[-1]))
        span = child.span
        assert isinstance(span, Span)
        return span

    def place(self, start: int, end: int) -> Span:
        """The span of a range of offsets."""
        return self._lines.span(start, end)

    def over(self, children: list[Child]) -> Span:
        """The span from the first child to the last that is no line end."""
        last = -1
        while isinstance(children[last], Token) and children[last].type in ("NEWLINE", "DEDENT"):
            last -= 1
        return self.span(children[0]).to(self.span(children[last]))

    def declared(self, token: Token) -> ast.Identifier:
        """A name where it is declared: not a reserved one."""
        span = self.span(token)
        return ast.Identifier(declared(str(token), span), span=span)

    def identifier(self, token: Token) -> ast.Identifier:
        """A name where it is listed or called."""
        span = self.span(token)
        return ast.Identifier(used(str(token), span), span=span)

    def expression(self, child: Child) -> ast.Expression:
        """An expression of a child: tokens are leaves."""
        if not isinstance(child, Token):
            return child  # type: ignore[no-any-return]
        span = self.span(child)
        if child.type == "NAME":
            return ast.Name(used(str(child), span), span=span)
        if child.type == "NUMBER":
            return ast.Number(_value(str(child), span), str(child), span=span)
        return ast.Boolean(child.type == "TRUE", span=span)

    def _nested(self, node: ast.Expression, *parts: ast.Expression) -> ast.Expression:
        depth = 1 + max((self._depths.get(id(part), 0) for part in parts), default=0)
        if depth > MAX_NESTING:
            raise SyntaxProblem(
                "E0117",
                node.span,
                f"this expression is nested deeper than {MAX_NESTING}",
                label=f"more than {MAX_NESTING} operations within operations",
                help="give parts of it names of their own, on lines before it",
            )
        self._depths[id(node)] = depth
        return node

    # --- rules

    def conditional(self, children: list[Child]) -> ast.Expression:
        """`a if c else b`."""
        then, condition, otherwise = (self.expression(child) for child in children[::2])
        node = ast.Conditional(then, condition, otherwise, span=self.over(children))
        return self._nested(node, then, condition, otherwise)

    def disjunction(self, children: list[Child]) -> ast.Expression:
        """`a or b or c`."""
        return self._logic("or", children)

    def conjunction(self, children: list[Child]) -> ast.Expression:
        """`a and b and c`."""
        return self._logic("and", children)

    def _logic(self, operator: str, children: list[Child]) -> ast.Expression:
        operands = tuple(self.expression(child) for child in children[::2])
        return self._nested(
            ast.Logic(operator, operands, span=_join(operands)),
            *operands,
        )

    def comparison(self, children: list[Child]) -> ast.Expression:
        """`a < b <= c`."""
        operands = tuple(self.expression(child) for child in children[::2])
        operators = tuple(str(child) for child in children[1::2])
        return self._nested(ast.Comparison(operators, operands, span=_join(operands)), *operands)

    def sum(self, children: list[Child]) -> ast.Expression:
        """`a + b - c`, and `a * b / c`."""
        operands = tuple(self.expression(child) for child in children[::2])
        operators = tuple(str(child) for child in children[1::2])
        return self._nested(ast.Chain(operators, operands, span=_join(operands)), *operands)

    product = sum

    def inversion(self, children: list[Child]) -> ast.Expression:
        """`not a`, and `-a`."""
        operand = self.expression(children[1])
        span = self.span(children[0]).to(operand.span)
        return self._nested(ast.Unary(str(children[0]), operand, span=span), operand)

    signed = inversion

    def power(self, children: list[Child]) -> ast.Expression:
        """`a ^ b`."""
        base, exponent = self.expression(children[0]), self.expression(children[2])
        return self._nested(
            ast.Power(base, exponent, span=base.span.to(exponent.span)), base, exponent
        )

    def group(self, children: list[Child]) -> ast.Expression:
        """`(a)`: the node inside, its span with the brackets."""
        inner = self.expression(children[1])
        node = replace(inner, span=self.over(children))
        depth = self._depths.pop(id(inner), None)
        if depth is not None:
            self._depths[id(node)] = depth
        return node

    def call(self, children: list[Child]) -> ast.Expression:
        """`f(a, k=b)`."""
        function = self.identifier(children[0])
        arguments = children[2] if len(children) == 4 else ()
        node = ast.Call(function, arguments, span=self.over(children))
        return self._nested(node, *(argument.value for argument in arguments))

    def arguments(self, children: list[Child]) -> tuple[ast.Argument, ...]:
        """What stands between a call's brackets."""
        return tuple(
            child if isinstance(child, ast.Argument) else self._positional(child)
            for child in children[::2]
        )

    def _positional(self, child: Child) -> ast.Argument:
        value = self.expression(child)
        return ast.Argument(None, value, span=value.span)

    def keyword_argument(self, children: list[Child]) -> ast.Argument:
        """`k=b`."""
        keyword, value = self.declared(children[0]), self.expression(children[2])
        return ast.Argument(keyword, value, span=keyword.span.to(value.span))


def _join(operands: tuple[ast.Expression, ...]) -> Span:
    return operands[0].span.to(operands[-1].span)


def _value(text: str, span: Span) -> float:
    if text.isdigit() and len(text) > 1 and text.startswith("0") and text.strip("0"):
        raise SyntaxProblem(
            "E0118", span, "a number does not begin with zeros", help=f"write `{text.lstrip('0')}`"
        )
    value = float(text)
    if math.isinf(value):
        raise SyntaxProblem(
            "E0118",
            span,
            "this number is too large for float64",
            label="more than 1.8e308",
            help="infinity is written `inf`",
        )
    return value
