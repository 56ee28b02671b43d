"""User functions, by themselves: names and recursion are checked even where nobody calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neurodsl.diagnostics import Label, Report
from neurodsl.frontend import ast
from neurodsl.sema import model as m
from neurodsl.sema.builtins import BUILTINS
from neurodsl.sema.elaborate import Elaborator
from neurodsl.sema.imports import Scope
from neurodsl.sema.limits import Limits
from neurodsl.sema.surrogates import Surrogates

ENOUGH = 2_000
"""How many operations of other functions are looked into for recursion."""


def check_function(
    function: ast.Function,
    scope: Scope,
    surrogates: Surrogates,
    *,
    locals: Mapping[str, tuple[ast.Function, Scope]] | None = None,
    members: Sequence[str] = (),
) -> None:
    """Report unknown names, recursion and wrong calls in a function's body; `members` are the names of its neuron."""
    report = surrogates.report
    check_parameters(function.name, function.parameters, report)
    known = {p.name.name for p in function.parameters}

    def member(name: ast.Name) -> m.Expr | str | None:
        return None if name.name in members else "not declared in this neuron"

    def lookup(name: ast.Name) -> m.Expr | str | None:
        if name.name in known or name.name in members:
            return None
        neither = "neither a parameter of this function nor declared in this neuron"
        return neither if locals else "not a parameter of this function"

    elaborator = Elaborator(
        report,
        scope,
        lookup,
        lambda: [*sorted(known), *members],
        surrogates.use,
        scope.functions,
        locals or {},
        member if locals else None,
        inlining=(function,),
        limits=Limits(max_size=ENOUGH, quiet=True),
    )
    for parameter in function.parameters:
        if parameter.default is not None:
            elaborator.expression(parameter.default)
    elaborator.expression(function.body)


def check_function_name(function: ast.Function, report: Report) -> None:
    """A function must not take the name of one of the language's."""
    if function.name.name in BUILTINS:
        report.add(
            "E0204",
            function.name.span,
            f"`{function.name.name}` is a function of the language",
            label="a name of the language",
            help=f"choose another, such as `{function.name.name}_`",
        )


def check_parameters(
    name: ast.Identifier, parameters: Sequence[ast.Parameter], report: Report
) -> None:
    """Each parameter of a function or surrogate has a name of its own, and not a built-in function's."""
    seen: dict[str, ast.Identifier] = {}
    for parameter in parameters:
        key = parameter.name.name
        if key in seen:
            report.add(
                "E0202",
                parameter.name.span,
                f"`{name.name}` has two parameters `{key}`",
                label="the second time",
                secondary=(Label(seen[key].span, "the first time"),),
                help="rename one of them",
            )
        elif key in BUILTINS:
            report.add(
                "E0204",
                parameter.name.span,
                f"`{key}` is a function of the language",
                label="a name of the language",
                help=f"choose another, such as `{key}_`",
            )
        seen.setdefault(key, parameter.name)
