"""The adjoint of one step as LaTeX, printed from the plan: what `backward` does with the gradients of step t + 1."""

from __future__ import annotations

from neurodsl.csrc_gen.latex.equations import name, number

from neurodsl.ir.kernel_plan import KernelPlan
from neurodsl.ir.nodes import Const, Expr, IRType, Op, Var
from neurodsl.sema.model import Type

_SELECT, _LOGIC, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(8)
_BINARY = {
    "add": ("+", _SUM),
    "sub": ("-", _SUM),
    "mul": (r"\cdot", _PRODUCT),
    "lt": ("<", _COMPARE),
    "le": (r"\le", _COMPARE),
    "gt": (">", _COMPARE),
    "ge": (r"\ge", _COMPARE),
    "eq": ("=", _COMPARE),
    "ne": (r"\ne", _COMPARE),
    "and": (r"\land", _LOGIC),
    "or": (r"\lor", _LOGIC),
}


def adjoint_latex(plan: KernelPlan) -> str:
    """One `aligned` block. A bar is a gradient; of an output and of a state after the step it is given."""
    backward = plan.backward_full
    lines = [
        rf"% adjoint of {plan.neuron}, step by step from the last to the first",
        r"\begin{aligned}",
    ]
    programs = (backward.prologue, backward.reverse)
    for assign in (assign for program in programs for assign in program):
        lines.append(rf"{_name(assign.target.name)} &= {_text(assign.value)} \\")
    for carry in backward.adjoints:
        lines.append(rf"\bar{{{name(carry.name)}}}_{{t-1}} &= {_text(carry.outgoing)} \\")
    lines.append(r"\end{aligned}")
    return "\n".join(lines)


def _name(text: str) -> str:
    """A variable; a gradient as its variable with a bar."""
    for prefix in ("adj_", "grad_"):
        if text.startswith(prefix):
            return rf"\bar{{{name(text.removeprefix(prefix))}}}"
    return name(text)


def _text(e: Expr, outer: int = _SELECT) -> str:
    text, own = _print(e)
    return rf"\left({text}\right)" if own < outer else text


def _print(e: Expr) -> tuple[str, int]:
    if isinstance(e, Var):
        return _name(e.name), _ATOM
    if isinstance(e, Const):
        boolean = e.type is IRType.BOOL
        value = float(e.value)
        return number(value, Type.BOOLEAN if boolean else Type.REAL), _ATOM if value >= 0 else _SIGN
    if e.name in _BINARY:
        sign, own = _BINARY[e.name]
        return f"{_text(e.args[0], own)} {sign} {_text(e.args[1], own + 1)}", own
    return _other(e)


def _other(e: Op) -> tuple[str, int]:
    match e.name:
        case "div":
            return rf"\frac{{{_text(e.args[0])}}}{{{_text(e.args[1])}}}", _ATOM
        case "neg":
            return f"-{_text(e.args[0], _SIGN)}", _SIGN
        case "not":
            return rf"\lnot {_text(e.args[0], _POWER)}", _SIGN
        case "to_real":
            return _print(e.args[0])
        case "square" | "cube":
            return f"{_text(e.args[0], _ATOM)}^{{{2 if e.name == 'square' else 3}}}", _POWER
        case "pow":
            return f"{_text(e.args[0], _ATOM)}^{{{_text(e.args[1])}}}", _POWER
        case "select":
            condition, a, b = (_text(argument) for argument in e.args)
            body = rf"{a} & \text{{if }} {condition} \\ {b} & \text{{otherwise}}"
            return rf"\begin{{cases}} {body} \end{{cases}}", _ATOM
    arguments = ", ".join(_text(argument) for argument in e.args)
    return rf"\operatorname{{{e.name}}}\left({arguments}\right)", _ATOM
