"""Replace names in a model's expression, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from neurodsl.sema import model as m


def substitute(e: m.Expr, value: Callable[[m.Ref], m.Expr | None]) -> m.Expr | None:
    """The expression with each name replaced by `value(name)`; None as soon as that is None for one."""
    if isinstance(e, m.Literal):
        return e
    if isinstance(e, m.Ref):
        return value(e)
    if isinstance(e, m.Spike):
        return None
    changed: dict[str, Any] = {}
    for field in fields(e):
        part = getattr(e, field.name)
        if isinstance(part, m.Typed):
            changed[field.name] = new = substitute(part, value)  # type: ignore[arg-type]
            if new is None:
                return None
        elif isinstance(part, tuple) and part and isinstance(part[0], m.Typed):
            parts = tuple(substitute(item, value) for item in part)
            if None in parts:
                return None
            changed[field.name] = parts
    return replace(e, **changed)
