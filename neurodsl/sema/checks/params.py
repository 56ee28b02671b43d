"""A param's parts must fit each other: its type, interval, `learnable` and `via`."""

from __future__ import annotations

import math

from neurodsl.diagnostics import Report
from neurodsl.frontend import ast
from neurodsl.sema import model as m

_RANGES = {"sigmoid": (0.0, 1.0), "softplus": (0.0, math.inf), "exp": (0.0, math.inf)}
"""The open interval of what each map gives."""


def check_boolean_param(node: ast.Param, type: m.Type, report: Report) -> None:
    """A boolean has no interval and cannot be learnt."""
    if type is not m.Type.BOOLEAN:
        return
    for part, what in ((node.interval, "lie in an interval"), (node.learnable, "be learnt")):
        if part is not None:
            report.add(
                "E0308",
                part.span,
                f"the boolean param `{node.name.name}` cannot {what}",
                label="for numbers only",
                help="take this off, or make the default a number",
            )


def check_via_range(node: ast.Param, param: m.ParamModel, report: Report) -> None:
    """What is learnt through a map must begin at a value that the map gives."""
    if param.via is None or node.via is None or isinstance(param.value, bool | None):
        return
    low, high = _RANGES[param.via]
    if not low < param.value < high:
        report.add(
            "E0404",
            node.default.span if node.default is not None else node.name.span,
            f"the default of `{param.name}` is no value of `{param.via}`",
            label=f"this is {param.value:g}, and `{param.via}` gives ({low:g}, {high:g})",
            help="change the default, or take another map",
        )
