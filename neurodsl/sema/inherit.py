"""Inheritance: a neuron with all that it takes over from its parents, a parent's declarations before its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from neurodsl.diagnostics import Label, Report
from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast
from neurodsl.sema.imports import Scope


@dataclass(slots=True)
class FlatNeuron:
    """A neuron without a parent. Each named declaration carries the scope of the file that it was written in."""

    neuron: ast.Neuron
    scope: Scope
    docstring: str | None = None
    outputs: ast.Output | None = None
    declarations: dict[str, ast.Declaration] = field(default_factory=dict)
    """By name, in order; several inputs of one line are several declarations."""
    scopes: dict[str, Scope] = field(default_factory=dict)
    phases: dict[str, tuple[ast.Phase, Scope]] = field(default_factory=dict)
    inherited: set[str] = field(default_factory=set)


def flatten(neuron: ast.Neuron, scope: Scope, report: Report) -> FlatNeuron | None:
    """The neuron with its parents' declarations and phases; None if a parent is missing or its own child."""
    line = _line_of_descent(neuron, scope, report)
    if line is None:
        return None
    flat = FlatNeuron(neuron, scope)
    for member, home in reversed(line):
        _take(flat, member, home, report, own=member is neuron)
    return flat


def _line_of_descent(
    neuron: ast.Neuron, scope: Scope, report: Report
) -> list[tuple[ast.Neuron, Scope]] | None:
    line = [(neuron, scope)]
    while line[-1][0].parent is not None:
        member, home = line[-1]
        parent = member.parent
        assert parent is not None
        found = home.neurons.get(parent.name)
        if found is None:
            hint = f'from library import {parent.name}   (or from "file.neuron" import …)'
            report.add(
                "E0504",
                parent.span,
                f"unknown neuron `{parent.name}`",
                label="no neuron of this name here",
                help=did_you_mean(parent.name, home.neurons, f"import it first: {hint}"),
            )
            return None
        if any(found[0] is known for known, _ in line):
            report.add(
                "E0505",
                parent.span,
                f"`{neuron.name.name}` is its own ancestor",
                label="the circle closes here",
                help="a neuron takes over another one, never itself",
            )
            return None
        line.append(found)
    return line


def _take(flat: FlatNeuron, member: ast.Neuron, home: Scope, report: Report, *, own: bool) -> None:
    flat.docstring = member.docstring or flat.docstring
    here: dict[str, ast.Identifier] = {}
    for declaration in member.declarations:
        if isinstance(declaration, ast.Output):
            flat.outputs = _outputs(declaration, flat, here)
            continue
        for name, single in _named(declaration):
            if name.name in here:
                report.add(
                    "E0202",
                    name.span,
                    f"`{name.name}` is declared twice",
                    label="the second time",
                    secondary=(Label(here[name.name].span, "the first time"),),
                    help="rename one of them",
                )
                continue
            here[name.name] = name
            flat.declarations[name.name] = single
            flat.scopes[name.name] = home
            (flat.inherited.discard if own else flat.inherited.add)(name.name)
    for phase in member.phases:
        flat.phases[phase.keyword.name] = (phase, home)


def _outputs(
    declaration: ast.Output, flat: FlatNeuron, here: dict[str, ast.Identifier]
) -> ast.Output:
    """Several `output` lines of one neuron add up; a child's replace its parent's."""
    if "output" in here and flat.outputs is not None:
        return ast.Output((*flat.outputs.names, *declaration.names), span=flat.outputs.span)
    here["output"] = declaration.names[0]
    return declaration


def _named(declaration: ast.Declaration) -> list[tuple[ast.Identifier, ast.Declaration]]:
    if isinstance(declaration, ast.Input):
        return [(name, ast.Input((name,), span=name.span)) for name in declaration.names]
    assert not isinstance(declaration, ast.Output)
    return [(declaration.name, declaration)]
