"""Calls: functions of the language, functions of the user's (inlined), and `spike` in both its forms."""

from __future__ import annotations

from typing import Any

from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast
from neurodsl.sema import model as m
from neurodsl.sema.builtins import BUILTINS, Builtin, Rule
from neurodsl.sema.elaborate import Elaborator, folded, typed


def call(owner: Elaborator, node: ast.Call) -> m.Expr | None:
    """The value of a call."""
    name = node.function.name
    user = owner.locals.get(name) or owner.functions.get(name)
    if user is not None:
        from neurodsl.sema.inline import inline

        return inline(owner, node, *user)
    builtin = BUILTINS.get(name)
    if builtin is None:
        _unknown(owner, node)
        return None
    if builtin.rule is Rule.SPIKE:
        return _spike(owner, node, builtin)
    given = bind(owner, node, builtin.arguments, builtin.fewest, builtin.most)
    if given is None:
        return None
    if builtin.rule is Rule.SELECT:
        choice = ast.Conditional(given["a"], given["condition"], given["b"], span=node.span)
        return owner.conditional(choice)
    if builtin.rule is Rule.DETACH:
        inner = owner.expression(given["x"])
        return None if inner is None else m.Detach(inner, **typed(inner.type, node.span, inner))
    order = [key for key in builtin.arguments if key in given]
    order += [key for key in given if key not in builtin.arguments]
    parts = owner.reals(tuple(given[key] for key in order))
    if parts is None:
        return None
    keywords = typed(m.Type.REAL, node.span, *parts)
    if builtin.rule is Rule.POWER:
        return folded(m.Power(parts[0], parts[1], **keywords))
    return folded(m.Call(name, parts, **keywords))


def _unknown(owner: Elaborator, node: ast.Call) -> None:
    name = node.function.name
    surrogate = name in owner.scope.surrogates
    hint = did_you_mean(
        name,
        [*BUILTINS, *owner.functions, *owner.locals],
        "`neurodsl list` and the docs name them all",
    )
    owner.report.add(
        "E0205",
        node.function.span,
        f"unknown function `{name}`",
        label="not a function",
        help=f"a surrogate stands inside spike: `spike(…, {name}(…))`" if surrogate else hint,
    )


def bind(
    owner: Elaborator, node: ast.Call, names: tuple[str, ...], fewest: int, most: int | None
) -> dict[str, ast.Expression] | None:
    """Arguments by their names, more than are named as `#n`; None if they do not fit."""
    given: dict[str, ast.Expression] = {}
    what = f"`{node.function.name}`"
    for place, argument in enumerate(node.arguments):
        if argument.keyword is None:
            key = names[place] if place < len(names) else f"#{place}"
        else:
            key = argument.keyword.name
            if key not in names:
                owner.report.add(
                    "E0305",
                    argument.keyword.span,
                    f"{what} has no argument `{key}`",
                    label="not an argument of it",
                    help=did_you_mean(key, names, f"it has {', '.join(names)}"),
                )
                return None
        if key in given:
            owner.report.add(
                "E0305",
                argument.value.span,
                f"{what} is given `{key}` twice",
                label="the second time",
            )
            return None
        given[key] = argument.value
    missing = [name for name in names[:fewest] if name not in given]
    if missing or (most is not None and len(node.arguments) > most):
        count = str(fewest) if most == fewest else f"{fewest} to {most}"
        count = f"{fewest} or more" if most is None else count
        owner.report.add(
            "E0304",
            node.span,
            f"{what} takes {count} argument{'' if count == '1' else 's'}, not {len(node.arguments)}",
            label=f"`{missing[0]}` is missing" if missing else "too many",
            help=f"write {node.function.name}({', '.join(names)})",
        )
        return None
    return given


def _spike(owner: Elaborator, node: ast.Call, row: Builtin) -> m.Expr | None:
    given = bind(owner, node, row.arguments, row.fewest, row.most)
    if given is None:
        return None
    if owner.surrogate is None:
        owner.report.add("E0306", node.span, "`spike` is for the phases", label="not here")
        return None
    use = owner.surrogate(given.get("surrogate"), owner)
    u = given["u"]
    if isinstance(u, ast.Comparison):
        return _compared(owner, node, u, use)
    value = owner.expression(u)
    if value is None or use is None:
        return None
    if value.type is m.Type.BOOLEAN:
        _not_a_comparison(owner, u)
        return None
    return m.Spike(value, False, use, **_step(node, use))


def _compared(
    owner: Elaborator, node: ast.Call, u: ast.Comparison, use: m.SurrogateUse | None
) -> m.Expr | None:
    if u.operators not in ((">",), (">=",)):
        _not_a_comparison(owner, u)
        return None
    a, b = (owner.real(operand) for operand in u.operands)
    if a is None or b is None or use is None:
        return None
    argument = folded(m.Chain(("-",), (a, b), **typed(m.Type.REAL, u.span, a, b)))
    return m.Spike(argument, u.operators == (">",), use, compared=(a, b), **_step(node, use))


def _step(node: ast.Call, use: m.SurrogateUse) -> dict[str, Any]:
    graded = use.surrogate.value is not None
    return {
        "type": m.Type.GRADED if graded else m.Type.SPIKE,
        "level": m.Level.STEP,
        "span": node.span,
    }


def _not_a_comparison(owner: Elaborator, u: ast.Expression) -> None:
    owner.report.add(
        "E0306",
        u.span,
        "`spike` takes a number, `a > b` or `a >= b`",
        label="another boolean has no surrogate gradient",
        help="write `spike(v - threshold)`, or `spike(v > threshold)`",
    )
