"""The coefficients of an expression that is linear in some states: what multiplies each of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from neurodsl.sema import model as m
from neurodsl.sema.elaborate import folded, typed
from neurodsl.sema.model import walk

ONE = m.Literal(1.0, type=m.Type.REAL, level=m.Level.NUMBER)
ZERO = m.Literal(0.0, type=m.Type.REAL, level=m.Level.NUMBER)


class NotLinearError(Exception):
    """Raised with the part of an expression that is not linear."""

    def __init__(self, part: m.Expr) -> None:
        super().__init__()
        self.part = part


def coefficients(
    e: m.Expr, states: Collection[str], hidden: Mapping[str, m.Expr]
) -> dict[str, m.Expr]:
    """For each state that `e` depends on, its coefficient; none of them depends on `states`.

    Args:
        e: a right side.
        states: the names.
        hidden: the values of variables that the compiler made, which may depend on the states.

    Raises:
        NotLinearError: `e` is not linear in the states.
    """
    return _Linear(frozenset(states), hidden).of(e)


class _Linear:
    def __init__(self, states: frozenset[str], hidden: Mapping[str, m.Expr]) -> None:
        self.states, self.hidden = states, hidden

    def depends(self, e: m.Expr) -> bool:
        return any(
            node.name in self.states
            or (node.name in self.hidden and self.depends(self.hidden[node.name]))
            for node in walk(e)
            if isinstance(node, m.Ref)
        )

    def of(self, e: m.Expr) -> dict[str, m.Expr]:
        if not self.depends(e):
            return {}
        match e:
            case m.Ref() if e.name in self.states:
                return {e.name: ONE}
            case m.Ref():
                return self.of(self.hidden[e.name])
            case m.Negate():
                return {name: negated(c) for name, c in self.of(e.operand).items()}
            case m.Chain() if e.operators[0] in "+-":
                return self._sum(e)
            case m.Chain():
                return self._product(e)
            case m.Select() if not self.depends(e.condition):
                then, otherwise = self.of(e.then), self.of(e.otherwise)
                names = dict.fromkeys([*then, *otherwise])
                return {
                    name: _select(e, then.get(name, ZERO), otherwise.get(name, ZERO))
                    for name in names
                }
        raise NotLinearError(e)

    def _sum(self, e: m.Chain) -> dict[str, m.Expr]:
        found: dict[str, m.Expr] = {}
        for operator, operand in zip(("+", *e.operators), e.operands, strict=True):
            for name, c in self.of(operand).items():
                if name in found:
                    keywords = typed(m.Type.REAL, e.span, found[name], c)
                    found[name] = folded(m.Chain((operator,), (found[name], c), **keywords))
                else:
                    found[name] = c if operator == "+" else negated(c)
        return found

    def _product(self, e: m.Chain) -> dict[str, m.Expr]:
        places = [place for place, operand in enumerate(e.operands) if self.depends(operand)]
        if len(places) > 1 or (places[0] > 0 and e.operators[places[0] - 1] == "/"):
            raise NotLinearError(e)
        place = places[0]
        found = {}
        for name, c in self.of(e.operands[place]).items():
            operands = (*e.operands[:place], c, *e.operands[place + 1 :])
            found[name] = _chain(e.operators, operands, e)
        return found


def negated(e: m.Expr) -> m.Expr:
    """`-e`."""
    return folded(m.Negate(e, **typed(m.Type.REAL, e.span, e)))


def _chain(operators: tuple[str, ...], operands: tuple[m.Expr, ...], e: m.Chain) -> m.Expr:
    while len(operands) > 1 and operands[0] == ONE and operators[0] == "*":
        operators, operands = operators[1:], operands[1:]
    kept = [(o, p) for o, p in zip(operators, operands[1:], strict=True) if (o, p) != ("*", ONE)]
    if not kept:
        return operands[0]
    operands = (operands[0], *(p for _, p in kept))
    keywords = typed(m.Type.REAL, e.span, *operands)
    return folded(m.Chain(tuple(o for o, _ in kept), operands, **keywords))


def _select(e: m.Select, then: m.Expr, otherwise: m.Expr) -> m.Expr:
    keywords = typed(m.Type.REAL, e.span, e.condition, then, otherwise)
    return replace(e, then=then, otherwise=otherwise, **keywords)
