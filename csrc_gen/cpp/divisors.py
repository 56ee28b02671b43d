"""Divisions by a number that all neurons share: kernels for divisors that are powers of two multiply instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.c_names import CNames
from neurodsl.csrc_gen.expr_printer import PRODUCT, ExpressionPrinter
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import Scalar
from neurodsl.ir.nodes import Expr, Op, Program, Var


def divisors(programs: Iterable[Program], scalars: Iterable[Scalar]) -> tuple[Scalar, ...]:
    """The scalars without a shape that these programs divide by, in their order."""
    found: set[str] = set()
    waiting: list[Expr] = [assign.value for program in programs for assign in program]
    while waiting:
        e = waiting.pop()
        if isinstance(e, Op):
            waiting.extend(e.args)
            if e.name == "div" and isinstance(e.args[1], Var):
                found.add(e.args[1].name)
    return tuple(s for s in scalars if not s.shape and s.var.name in found)


class DividingPrinter(ExpressionPrinter):
    """Prints divisions by some scalars as those by their `divisor`."""

    def __init__(
        self, names: Mapping[str, str], dividing: Iterable[Scalar], locals: CNames
    ) -> None:
        super().__init__(names)
        self._by = {s.var.name: locals.fresh(f"by_{names[s.var.name]}") for s in dividing}

    def write(self, writer: Writer) -> None:
        """Once a call: the divisors."""
        for name, by in self._by.items():
            writer.line(f"const divisor<real, POWERS> {by}({self._names[name]});")

    def _print(self, e: Expr) -> tuple[str, int]:
        if isinstance(e, Op) and e.name == "div" and isinstance(e.args[1], Var):
            by = self._by.get(e.args[1].name)
            if by is not None:
                return f"{self.text(e.args[0], PRODUCT)} / {by}", PRODUCT
        return super()._print(e)


def powers(
    dividing: Iterable[Scalar], arguments: Iterable[Argument], fields: Mapping[str, str]
) -> str:
    """A condition: all of them are powers of two."""
    listed = list(arguments)
    tests = []
    for scalar in dividing:
        value = next(a for a in listed if a.of == scalar.name and a.role in ("param", "uniform"))
        tensor = next(a for a in listed if a.of == scalar.name and a.role.endswith("_tensor"))
        given, pointer = f"a.{fields[value.name]}", f"a.{fields[tensor.name]}"
        tests.append(f"is_power_of_two({pointer} ? *{pointer} : {given})")
    return " && ".join(tests)
