"""What the C++ kernels of a neuron share: block width, the struct of arguments, rows of `[T, N]` arrays."""

from __future__ import annotations

from collections.abc import Iterable

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.c_names import CNames
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import KernelPlan, Scalar
from neurodsl.ir.nodes import Expr, IRType, Op

COUNTS = {"steps": "T", "neurons": "N", "channels": "C", "inner": "inner", "seed": "seed"}
"""Arguments that have the same name in every C++ kernel, by role; in the manifest another one where a param has it."""

EVERY = 32
"""Steps between two checkpoints."""

PARALLEL_FROM = 32768
"""Neuron-steps from which threads pay."""


def block_width(plan: KernelPlan) -> int:
    """Neurons a block: their states and rows stay in registers and the first cache."""
    return 128 if len(plan.states) <= 2 else 64


LONG = 1000
"""Operations, variables and numbers of a step, there and back, from which one copy of a kernel compiles for seconds."""


def is_long(plan: KernelPlan) -> bool:
    """Whether the kernels are so long that whole blocks have no instance of their own."""
    chosen = plan.backward_full
    programs = (plan.forward.step, chosen.recompute, chosen.reverse)
    return sum(_size(a.value) for program in programs for a in program) >= LONG


def _size(e: Expr) -> int:
    return 1 + sum(_size(a) for a in e.args) if isinstance(e, Op) else 1


def field_names(arguments: Iterable[Argument]) -> dict[str, str]:
    """Each argument's spelling in C++, by its name in the manifest."""
    names = CNames()
    return {a.name: COUNTS.get(a.role) or names.fresh(a.name) for a in arguments}


def declaration(argument: Argument, spelt: str, real: str) -> str:
    """An argument as it is declared: what is only read is const."""
    if not argument.is_pointer:
        return f"{argument.type.replace('real', real)} {spelt}"
    const = "const " if argument.access == "read" else ""
    return f"{const}{argument.type[:-1].replace('real', real)}* {spelt}"


def write_struct(writer: Writer, name: str, arguments: tuple[Argument, ...]) -> None:
    """The arguments of a kernel as one struct."""
    spelt = field_names(arguments)
    with writer.block(f"template <typename real> struct {name} {{", "};"):
        for argument in arguments:
            writer.line(f"{declaration(argument, spelt[argument.name], 'real')};")


def write_entries(
    writer: Writer,
    symbol: str,
    struct: str,
    call: str,
    arguments: tuple[Argument, ...],
    taken: tuple[Argument, ...],
) -> None:
    """The C functions of a kernel, for float and for double; `taken` is what its struct has, the rest of it null."""
    spelt = field_names(arguments)
    texts = [spelt.get(a.name, "nullptr") for a in taken]
    for suffix, real in (("f32", "float"), ("f64", "double")):
        listed = [declaration(a, spelt[a.name], real) for a in arguments]
        with writer.block(f"int {symbol}_{suffix}("):
            writer.lines(_wrapped(listed, ") {"))
            values = _wrapped(texts, "};")
            writer.line(f"const {struct}<{real}> a = {{")
            with writer.indented():
                writer.lines(values)
            writer.line(f"return {call}<{real}>(a);")
        writer.line()
        with writer.block(f"int {symbol}_{suffix}_slots(const slot* v) {{"):
            from_slots = [_from_slot(a, f"v[{i}]", real) for i, a in enumerate(arguments)]
            writer.line(f"return {symbol}_{suffix}(")
            with writer.indented():
                writer.lines(_wrapped(from_slots, ");"))
        writer.line()


def _from_slot(argument: Argument, slot: str, real: str) -> str:
    if not argument.is_pointer:
        kind = "count" if argument.type.startswith("int") else "number"
        return f"{argument.type.replace('real', real)}({slot}.{kind})"
    type = argument.type[:-1].replace("real", real)
    if argument.access == "read":
        return f"static_cast<const {type}*>({slot}.address)"
    return f"static_cast<{type}*>(const_cast<void*>({slot}.address))"


def _wrapped(items: list[str], tail: str) -> list[str]:
    """Items separated by commas, in lines of at most 100 characters, `tail` after the last."""
    lines, current = [], ""
    for place, item in enumerate(items):
        text = item + ("," if place + 1 < len(items) else tail)
        if current and len(current) + len(text) > 100:
            lines.append(current)
            current = text
        else:
            current = f"{current} {text}" if current else text
    return [*lines, current]


def write_scalars(
    writer: Writer,
    arguments: tuple[Argument, ...],
    names: dict[str, str],
    scalars: Iterable[Scalar],
) -> None:
    """Each scalar as a local: the tensor's value where there is one."""
    spelt = field_names(arguments)
    by_value = {a.of: a for a in arguments if a.role in ("param", "uniform")}
    by_pointer = {a.of: a for a in arguments if a.role in ("param_tensor", "uniform_tensor")}
    for scalar in scalars:
        argument = by_value.get(scalar.name)
        if argument is None or scalar.shape:
            continue
        local, value = names[scalar.var.name], f"a.{spelt[argument.name]}"
        if scalar.var.type is IRType.BOOL:
            writer.line(f"const bool {local} = {value} != 0;")
        else:
            pointer = f"a.{spelt[by_pointer[scalar.name].name]}"
            writer.line(f"const real {local} = {pointer} ? *{pointer} : {value};")
