"""From the syntax tree to one line of text, in the one layout: as the user wrote it, with as few brackets as needed."""

from __future__ import annotations

from collections.abc import Iterable

from neurodsl.frontend import ast

_CONDITIONAL, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(10)
"""How tightly each form binds, loosest first."""


Printed = dict[int, tuple[str, int]]
"""Of each node, by its id: its text, and how tightly it binds."""


def expression_text(node: ast.Expression) -> str:
    """An expression on one line; parsed again it gives the same tree."""
    order = [node]
    for parent in order:  # grows while it is walked: no recursion, however deep the tree
        order.extend(_operands(parent))
    printed: Printed = {}
    for one in reversed(order):
        printed[id(one)] = _expression(one, printed)
    return printed[id(node)][0]


def _operands(node: ast.Expression) -> tuple[ast.Expression, ...]:
    match node:
        case ast.Call():
            return tuple(argument.value for argument in node.arguments)
        case ast.Power():
            return (node.base, node.exponent)
        case ast.Unary():
            return (node.operand,)
        case ast.Chain() | ast.Comparison() | ast.Logic():
            return node.operands
        case ast.Conditional():
            return (node.then, node.condition, node.otherwise)
        case _:
            return ()


def _expression(node: ast.Expression, printed: Printed) -> tuple[str, int]:
    """The text of a node whose operands are printed, and how tightly it binds."""

    def at(operand: ast.Expression, level: int) -> str:
        """The text of an operand where what binds less tightly than `level` needs brackets."""
        text, own = printed[id(operand)]
        return text if own >= level else f"({text})"

    match node:
        case ast.Number():
            return node.text, _ATOM
        case ast.Boolean():
            return ("true" if node.value else "false"), _ATOM
        case ast.Name():
            return node.name, _ATOM
        case ast.Call():
            texts = [printed[id(argument.value)][0] for argument in node.arguments]
            return f"{node.function.name}({_arguments(node.arguments, texts)})", _ATOM
        case ast.Power():
            return f"{at(node.base, _ATOM)}^{at(node.exponent, _SIGN)}", _POWER
        case ast.Unary(operator="not"):
            return f"not {at(node.operand, _NOT)}", _NOT
        case ast.Unary():
            return f"{node.operator}{at(node.operand, _SIGN)}", _SIGN
        case ast.Chain():
            own = _SUM if node.operators[0] in "+-" else _PRODUCT
            return _row([at(o, own + 1) for o in node.operands], node.operators), own
        case ast.Comparison():
            return _row([at(o, _SUM) for o in node.operands], node.operators), _COMPARISON
        case ast.Logic():
            own = _OR if node.operator == "or" else _AND
            texts = [at(o, own + 1) for o in node.operands]
            return f" {node.operator} ".join(texts), own
        case ast.Conditional():
            then, condition = at(node.then, _OR), at(node.condition, _OR)
            return f"{then} if {condition} else {at(node.otherwise, _CONDITIONAL)}", _CONDITIONAL


def _row(operands: list[str], operators: tuple[str, ...]) -> str:
    parts = operands[:1]
    for operator, operand in zip(operators, operands[1:], strict=True):
        parts += [operator, operand]
    return " ".join(parts)


def _arguments(arguments: Iterable[ast.Argument], texts: Iterable[str]) -> str:
    """Arguments whose values are printed."""
    return ", ".join(
        (f"{argument.keyword.name}=" if argument.keyword else "") + text
        for argument, text in zip(arguments, texts, strict=True)
    )


def statement_text(node: ast.Statement) -> str:
    """A statement on one line."""
    if isinstance(node, ast.Assignment):
        return f"{node.target.name} = {expression_text(node.value)}"
    text = f"d{node.target.name}/dt = {expression_text(node.value)}"
    if node.solver is None:
        return text
    texts = [expression_text(argument.value) for argument in node.solver.arguments]
    arguments = f"({_arguments(node.solver.arguments, texts)})" if texts else ""
    return f"{text} by {node.solver.name.name}{arguments}"


def declaration_text(node: ast.Declaration) -> str:
    """A declaration on one line."""
    match node:
        case ast.Input():
            return f"input {_names(node.names)}"
        case ast.Output():
            return f"output {_names(node.names)}"
        case ast.Const():
            return f"const {node.name.name} = {expression_text(node.value)}"
        case ast.Param():
            return _param(node)
        case ast.State():
            return f"state {node.name.name} = {expression_text(node.initial)}"
        case ast.Feedback():
            return f"feedback {node.name.name} from {node.source.name}"
        case ast.Noise():
            return f"noise {node.name.name} ~ {expression_text(node.distribution)}"
        case ast.Function():
            parameters = parameters_text(node.parameters)
            return f"function {node.name.name}({parameters}) = {expression_text(node.body)}"


def parameters_text(parameters: Iterable[ast.Parameter]) -> str:
    """The formal parameters of a function or surrogate, without their brackets."""
    return ", ".join(
        parameter.name.name
        + (f"={expression_text(parameter.default)}" if parameter.default else "")
        for parameter in parameters
    )


def interval_text(interval: ast.Interval) -> str:
    """An interval as in mathematics: `[0, 1)`."""
    low, high = expression_text(interval.low), expression_text(interval.high)
    return f"{'(' if interval.low_open else '['}{low}, {high}{')' if interval.high_open else ']'}"


def _names(names: Iterable[ast.Identifier]) -> str:
    return ", ".join(name.name for name in names)


def _param(node: ast.Param) -> str:
    parts = [f"param {node.name.name}" + (f"[{_names(node.shape)}]" if node.shape else "")]
    if node.default is not None:
        parts.append(f"= {expression_text(node.default)}")
    if node.interval is not None:
        parts.append(f"in {interval_text(node.interval)}")
    if node.learnable is not None:
        parts.append("learnable")
    if node.via is not None:
        parts.append(f"via {node.via.name}")
    return " ".join(parts)
