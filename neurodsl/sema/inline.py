"""User functions, put in where they are called: the operations of the body, in its order, on the arguments.

An argument that is read more than once is computed once, in a hidden variable; not so inside an arm of a selection,
where nothing may be computed before the selection (its gradient would no longer be exactly zero in the arm not taken).
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from neurodsl.diagnostics import Label
from neurodsl.frontend import ast
from neurodsl.sema import model as m
from neurodsl.sema.calls import bind
from neurodsl.sema.elaborate import Elaborator
from neurodsl.sema.imports import Scope
from neurodsl.sema.limits import MAX_DEPTH


def inline(owner: Elaborator, node: ast.Call, function: ast.Function, home: Scope) -> m.Expr | None:
    """The value of a call of a user's function; None where it was reported."""
    if any(function is outer for outer in owner.inlining):
        _report_recursion(owner, node, function)
        return None
    names = tuple(p.name.name for p in function.parameters)
    fewest = sum(p.default is None for p in function.parameters)
    given = bind(owner, node, names, fewest, len(names))
    if given is None:
        return None
    values: dict[str, m.Expr | None] = {}
    inside = _inside(owner, function, home, values)
    counts = _counts(function.body)
    for parameter in function.parameters:
        key = parameter.name.name
        written = given.get(key, parameter.default)
        assert written is not None
        value = (owner if key in given else inside).expression(written)
        if value is not None:
            if _too_large(owner, value, counts.get(key, 0), node):
                return None
            value = _computed_once(owner, key, value, counts.get(key, 0))
        values[key] = value
    return inside.expression(function.body)


def _inside(
    owner: Elaborator, function: ast.Function, home: Scope, values: dict[str, m.Expr | None]
) -> Elaborator:
    """What the body of a function may name."""
    known = owner.locals.get(function.name.name)
    members = owner.members if known is not None and known[0] is function else None

    def lookup(name: ast.Name) -> m.Expr | str | None:
        if name.name in values:
            return values[name.name]
        return "not a parameter of this function" if members is None else members(name)

    return replace(
        owner,
        scope=home,
        lookup=lookup,
        names=lambda: list(values),
        functions=home.functions,
        locals={} if members is None else owner.locals,
        members=members,
        inlining=(*owner.inlining, function),
    )


def _computed_once(owner: Elaborator, key: str, value: m.Expr, count: int) -> m.Expr:
    """A hidden variable for an argument, where it spares work and cannot be seen in the gradient."""
    simple = isinstance(value, m.Literal | m.Ref) or value.level is not m.Level.STEP
    if simple or count < 2 or owner.hidden is None or value.type in m.SPIKES:
        return value
    return owner.hidden(key, value)


def _too_large(owner: Elaborator, value: m.Expr, count: int, node: ast.Call) -> bool:
    """Whether copies of an argument make the expression too large or too deep."""
    if isinstance(value, m.Literal | m.Ref):
        return False
    size, depth = measured(value)
    limits = owner.limits
    limits.size += size * max(count - 1, 0)
    limits.depth += depth
    try:
        first = owner.inlining[0].name if owner.inlining else node.function
        return limits.reached(owner.report, first, node.span)
    finally:
        limits.depth -= depth


def measured(e: m.Expr) -> tuple[int, int]:
    """(nodes, depth) of a typed expression; counting stops where it is too deep anyway."""
    size, depth, level = 0, 0, [e]
    while level and depth <= MAX_DEPTH:
        size += len(level)
        depth += 1
        level = [part for node in level for part in _parts(node)]
    return size, depth


def _parts(e: m.Expr) -> list[Any]:
    found: list[Any] = []
    for field in fields(e):
        part = getattr(e, field.name)
        found += [p for p in (part if isinstance(part, tuple) else (part,)) if _is_typed(p)]
    return found


def _is_typed(part: object) -> bool:
    return isinstance(part, m.Typed)


def _counts(body: ast.Expression) -> dict[str, int]:
    """How often each name is read in an expression."""
    counts: dict[str, int] = {}
    waiting: list[object] = [body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            counts[node.name] = counts.get(node.name, 0) + 1
        elif isinstance(node, ast.Node):
            waiting += [getattr(node, field.name) for field in fields(node)]
        elif isinstance(node, tuple):
            waiting += node
    return counts


def _report_recursion(owner: Elaborator, node: ast.Call, function: ast.Function) -> None:
    name = function.name.name
    owner.report.add(
        "E0207",
        node.span,
        f"`{name}` calls itself",
        label="the call that closes the circle",
        secondary=(Label(function.name.span, "defined here"),),
        help="functions are inlined; a state carries a value from step to step",
    )
