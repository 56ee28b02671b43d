"""Replaces names in a typed expression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from neurodsl.sema import model as m


def rewrite(e: m.Expr, change: Callable[[m.Ref], m.Expr]) -> m.Expr:
    """The expression with each name replaced."""
    if isinstance(e, m.Ref):
        return change(e)
    changed: dict[str, Any] = {}
    for field in fields(e):
        part = getattr(e, field.name)
        if isinstance(part, m.Typed):
            changed[field.name] = rewrite(part, change)  # type: ignore[arg-type]
        elif isinstance(part, tuple) and part and isinstance(part[0], m.Typed):
            changed[field.name] = tuple(rewrite(item, change) for item in part)
    return replace(e, **changed) if changed else e
