"""Puts the bodies of called functions in the places of the calls.

nvcc leaves the slow paths of the mathematical functions as functions (`__internal_trig_reduction_slowpathd`). Each call
gets a copy of its own with its own registers, variables and labels, so that threads in different calls stay apart. The
parameters of a call become local memory of the thread.
"""

from __future__ import annotations

from dataclasses import replace

from ptxsim.syntax import (
    Address,
    Call,
    Instruction,
    Kernel,
    Module,
    Operand,
    Pair,
    PtxError,
    Register,
    Symbol,
    Variable,
    Vector,
)

_DEEPEST = 16


def inline_calls(module: Module, kernel: Kernel, depth: int = 0) -> Kernel:
    """The kernel with no call of a known function left; the same object if there was none.

    Raises:
        PtxError: for recursion.
    """
    known = {at: call for at, call in kernel.calls.items() if call.function in module.kernels}
    if not known:
        return kernel
    if depth > _DEEPEST:
        raise PtxError(f"{kernel.name}: recursive calls")
    out = Kernel(kernel.name, kernel.parameters, kernel.is_entry, kernel.results)
    out.registers, out.variables = dict(kernel.registers), list(kernel.variables)
    moved = []
    for index, instruction in enumerate(kernel.code):
        moved.append(len(out.code))
        if index in known:
            called = inline_calls(module, module.kernels[known[index].function], depth + 1)
            _insert(out, called, known[index], f"@{index}", instruction)
        else:
            out.code.append(instruction)
    moved.append(len(out.code))
    out.labels |= {label: moved[at] for label, at in kernel.labels.items()}
    return out


def _insert(out: Kernel, called: Kernel, call: Call, suffix: str, caller: Instruction) -> None:
    """Append a copy of `called`, its names made unique by `suffix`."""
    if caller.guard is not None:
        raise PtxError(f"not supported: a guarded call, '{caller.text}'")
    names = {p.name: a for p, a in zip(called.parameters, call.arguments, strict=True)}
    names |= {r.name: a for r, a in zip(called.results, call.results, strict=True)}
    names |= {name: name + suffix for name in called.registers}
    names |= {v.name: v.name + suffix for v in called.variables}
    out.registers |= {name + suffix: kind for name, kind in called.registers.items()}
    out.variables += [_renamed_variable(v, suffix) for v in called.variables]
    start, end = len(out.code), f"end of {called.name}{suffix}"
    for instruction in called.code:
        if instruction.opcode == "bra":
            (target,) = instruction.operands
            assert isinstance(target, Symbol)
            operands: tuple[Operand, ...] = (Symbol(target.name + suffix),)
        elif instruction.opcode == "ret":
            operands = (Symbol(end),)
        else:
            operands = tuple(_renamed(operand, names) for operand in instruction.operands)
        guard = instruction.guard and Register(
            names[instruction.guard.name], instruction.guard.negated
        )
        opcode = "bra" if instruction.opcode == "ret" else instruction.opcode
        out.code.append(replace(instruction, opcode=opcode, operands=operands, guard=guard))
    out.labels |= {label + suffix: start + at for label, at in called.labels.items()}
    out.labels[end] = len(out.code)


def _renamed_variable(variable: Variable, suffix: str) -> Variable:
    return replace(variable, name=variable.name + suffix)


def _renamed(operand: Operand, names: dict[str, str]) -> Operand:
    if isinstance(operand, Register):
        return Register(names.get(operand.name, operand.name), operand.negated)
    if isinstance(operand, Symbol):
        return Symbol(names.get(operand.name, operand.name))
    if isinstance(operand, Address):
        return Address(_renamed(operand.base, names), operand.offset)
    if isinstance(operand, Vector):
        return Vector(tuple(_renamed(item, names) for item in operand.items))
    if isinstance(operand, Pair):
        return Pair(_renamed(operand.first, names), _renamed(operand.second, names))
    return operand
