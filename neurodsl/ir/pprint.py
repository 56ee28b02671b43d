"""Programs and plans as text, for `neurodsl show` and for reading while a compiler is mended."""

from __future__ import annotations

from collections.abc import Iterable

from neurodsl.ir.kernel_plan import BackwardPlan, Binding, KernelPlan
from neurodsl.ir.nodes import Const, Expr, IRType, Op, Program, Var

_SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
    "and": "and",
    "or": "or",
}


def print_expression(e: Expr) -> str:
    """An expression, every operation in brackets."""
    if isinstance(e, Var):
        return e.name
    if isinstance(e, Const):
        return str(e.value).lower() if e.type is IRType.BOOL else f"{e.value!r}"
    args = [print_expression(a) for a in e.args]
    match e.name:
        case "neg":
            return f"(-{args[0]})"
        case "not":
            return f"(not {args[0]})"
        case "select":
            return f"({args[1]} if {args[0]} else {args[2]})"
    if e.name in _SIGNS:
        return f"({args[0]} {_SIGNS[e.name]} {args[1]})"
    return f"{e.name}({', '.join(args)})"


def print_program(program: Program, indent: str = "  ") -> str:
    """A program, an assignment a line; the user's statement as a comment above what it became."""
    lines: list[str] = []
    note: str | None = None
    for assign in program:
        if assign.note is not None and assign.note != note:
            lines.append(f"{indent}# {assign.note}")
        note = assign.note or note
        text = print_expression(assign.value)
        if isinstance(assign.value, Op) and text.startswith("("):
            text = text[1:-1]
        type = "bool" if assign.target.type is IRType.BOOL else "real"
        lines.append(f"{indent}{assign.target.name}: {type} = {text}")
    return "\n".join(lines) if lines else f"{indent}(nothing)"


def print_forward(plan: KernelPlan) -> str:
    """The forward step: scalars, the program, what comes out."""
    forward = plan.forward
    lines = [f"neuron {plan.neuron}: forward step"]
    for scalar in plan.scalars:
        origin = f" = {scalar.expression}" if scalar.is_uniform else ""
        lines.append(f"  scalar {scalar.var.name}{origin}")
    lines += [f"  input  {b.name}" for b in forward.inputs]
    lines += [f"  state  {c.name}" for c in forward.states]
    lines.append(print_program(forward.step))
    lines += [f"  output {b.name} = {print_expression(b.value)}" for b in forward.outputs]
    lines += [f"  next   {c.name} = {print_expression(c.outgoing)}" for c in forward.states]
    return "\n".join(lines)


def print_backward(plan: KernelPlan) -> str:
    """The backward passes: what is kept, what is worked out again, the adjoint."""
    parts = [_backward(plan, plan.backward_full, "backward")]
    if plan.detached_full is not None:
        parts.append(_backward(plan, plan.detached_full, "backward, reset detached"))
    return "\n\n".join(parts)


def _backward(plan: KernelPlan, backward: BackwardPlan, title: str) -> str:
    lines = [f"neuron {plan.neuron}: {title} (save={plan.policy.value})"]
    lines.append("  once a call:")
    lines.append(print_program(backward.prologue, "    "))
    tape = ", ".join(var.name for var in backward.tape) or "nothing"
    if plan.policy.value == "inputs":
        lines.append(f"  worked out again, forwards (kept for each step: {tape}):")
        lines.append(print_program(backward.recompute, "    "))
    else:
        lines.append(f"  read from memory: {tape}")
    lines.append("  backwards:")
    lines.append(print_program(backward.reverse, "    "))
    lines += _given("gradient of input", backward.grad_inputs)
    lines += [
        f"  gradient of {c.name}, one step earlier = {print_expression(c.outgoing)}"
        for c in backward.adjoints
    ]
    lines += _given("gradient of scalar", backward.grad_scalars)
    return "\n".join(lines)


def _given(what: str, bindings: Iterable[Binding]) -> list[str]:
    return [f"  {what} {b.name} = {print_expression(b.value)}" for b in bindings]


def derivative_table(plan: KernelPlan) -> tuple[tuple[str, str], ...]:
    """(statement, its derivatives in words) for each statement of the forward step that has any."""
    from neurodsl.ir.adjoint import linear_terms
    from neurodsl.symbolic.partials import partials

    scalars = frozenset(scalar.var.name for scalar in plan.scalars)
    rows = []
    for assign in plan.forward.step:
        found: list[str] = []
        for negative, term in linear_terms(assign.value):
            sign = "-" if negative else ""
            if isinstance(term, Var):
                found.append(f"d/d{term.name} = {sign}1")
            elif isinstance(term, Op):
                found += [
                    f"d/d{var.name} = {sign}{print_expression(derivative)}"
                    for var, derivative in partials(term, scalars)
                ]
        if found:
            rows.append(
                (f"{assign.target.name} = {print_expression(assign.value)}", "; ".join(found))
            )
    return tuple(rows)
