"""The order of things that the grammar leaves free, so that a mistake in it can be told well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from neurodsl.diagnostics.span import Span
from neurodsl.diagnostics.suggest import nearest
from neurodsl.frontend import ast
from neurodsl.frontend.problem import SyntaxProblem

PHASES = ("charge", "fire", "reset")
"""The phases, in their order."""

DEFINITIONS = ("primitive", "gradient", "value")
"""What a surrogate may define."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a declaration that may stand in any order: what it is, and where."""

    kind: str
    value: Any
    span: Span


def one_of_each(parts: Iterable[Part]) -> dict[str, Any]:
    """The parts by their kind.

    Raises:
        SyntaxProblem: a kind stands there twice.
    """
    seen: dict[str, Part] = {}
    for part in parts:
        if part.kind in seen:
            raise SyntaxProblem(
                "E0120",
                part.span,
                f"`{part.kind}` stands here twice",
                label="the second",
                secondary=((seen[part.kind].span, "the first"),),
            )
        seen[part.kind] = part
    return {kind: part.value for kind, part in seen.items()}


def check_body(items: Sequence[ast.Node]) -> None:
    """Declarations come first, then the phases, each once and in their order.

    Raises:
        SyntaxProblem: they do not.
    """
    last: ast.Phase | None = None
    seen: dict[str, ast.Phase] = {}
    for item in items:
        if isinstance(item, ast.Phase):
            _check_phase(item, last, seen)
            last = item
            seen[item.keyword.name] = item
        elif last is not None:
            first = next(iter(seen.values()))
            raise SyntaxProblem(
                "E0116",
                item.span,
                "a declaration stands before the phases, not after one",
                label="a declaration",
                secondary=((first.keyword.span, "the phases begin here"),),
                help="move it above the first phase",
            )


def _check_phase(phase: ast.Phase, last: ast.Phase | None, seen: dict[str, ast.Phase]) -> None:
    name = phase.keyword.name
    if name in seen:
        raise SyntaxProblem(
            "E0115",
            phase.keyword.span,
            f"the phase `{name}` stands here twice",
            label="the second",
            secondary=((seen[name].keyword.span, "the first"),),
            help="join their statements in one",
        )
    if last is not None and PHASES.index(name) < PHASES.index(last.keyword.name):
        raise SyntaxProblem(
            "E0114",
            phase.keyword.span,
            f"the phase `{name}` comes before `{last.keyword.name}`",
            label="too late",
            secondary=((last.keyword.span, f"`{last.keyword.name}` stands before it"),),
            help="the order is charge, fire, reset: the order in which a step runs them",
        )


def check_definitions(definitions: Sequence[ast.Assignment]) -> None:
    """A surrogate's lines define its primitive, gradient or value, each once.

    Raises:
        SyntaxProblem: they do not.
    """
    seen: dict[str, ast.Assignment] = {}
    for definition in definitions:
        name = definition.target.name
        if name not in DEFINITIONS:
            meant = nearest(name, DEFINITIONS)
            raise SyntaxProblem(
                "E0121",
                definition.target.span,
                f"a surrogate has no `{name}`",
                label="expected `primitive`, `gradient` or `value`",
                help=f"did you mean `{meant}`?" if meant else (),
            )
        if name in seen:
            raise SyntaxProblem(
                "E0121",
                definition.span,
                f"`{name}` is defined twice",
                label="the second",
                secondary=((seen[name].span, "the first"),),
            )
        seen[name] = definition
