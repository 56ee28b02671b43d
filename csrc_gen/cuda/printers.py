"""Prints expressions in CUDA: exactly as they are written in a forward step, contracted in derivatives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from neurodsl.csrc_gen.cpp.divisors import DividingPrinter, divisors
from neurodsl.csrc_gen.expr_printer import PRODUCT, ExpressionPrinter, functions_called

from neurodsl.ir.kernel_plan import KernelPlan, Scalar
from neurodsl.ir.nodes import Const, Expr, Op, Program, Var

_ATOM = 8
_COMPARISONS = frozenset(("lt", "le", "gt", "ge", "eq", "ne"))
FAST = ("exp", "sigmoid")
"""Functions that have an approximate form for derivatives."""


class ForwardPrinter(DividingPrinter):
    """Prints divisions by some scalars as those by their `divisor`, the members `by`."""

    def __init__(self, names: Mapping[str, str], by: Mapping[str, str]) -> None:
        """`names` spells variables, `by` the divisors of those variables that have one."""
        ExpressionPrinter.__init__(self, names)
        self._by = dict(by)

    def _print(self, e: Expr) -> tuple[str, int]:
        if isinstance(e, Op) and is_distance(e):
            distance = e.args[0]
            assert isinstance(distance, Op)
            left, right = (self.text(a) for a in distance.args)
            return f"reaches<CHECKED>({left}, {right})", _ATOM
        return super()._print(e)


class DerivativePrinter(ExpressionPrinter):
    """Prints `a * b + c` as `fma(a, b, c)`, quotients and exponentials in their approximate form.

    What is compared is printed exactly: a derivative takes the way that the forward step took.
    """

    def __init__(self, names: Mapping[str, str], exact: ExpressionPrinter) -> None:
        super().__init__(names)
        self._exact = exact

    def _print(self, e: Expr) -> tuple[str, int]:
        if not isinstance(e, Op):
            return super()._print(e)
        if e.name in _COMPARISONS:
            return self._exact._print(e)
        if e.name == "div":
            return f"quotient({self.text(e.args[0])}, {self.text(e.args[1])})", _ATOM
        if e.name == "sub" and not self._contracted(e):
            return f"difference({self.text(e.args[0])}, {self.text(e.args[1])})", _ATOM
        if e.name in FAST:
            return f"fast_{e.name}({self.text(e.args[0])})", _ATOM
        if e.name in ("add", "sub"):
            return self._contracted(e) or super()._print(e)
        return super()._print(e)

    def _contracted(self, e: Op) -> tuple[str, int] | None:
        left, right = e.args
        minus = e.name == "sub"
        if not minus and _is_quotient(right):
            return self._with_quotient(right, left), _ATOM
        if not minus and _is_quotient(left):
            return self._with_quotient(left, right), _ATOM
        if _is_product(right):
            a, b = self._factors(right)
            return f"fma({'-' if minus else ''}{a}, {b}, {self.text(left)})", _ATOM
        if _is_product(left):
            a, b = self._factors(left)
            shown = self.text(right, PRODUCT) if minus else self.text(right)
            return f"fma({a}, {b}, {'-' if minus else ''}{shown})", _ATOM
        return None

    def _with_quotient(self, quotient: Expr, other: Expr) -> str:
        assert isinstance(quotient, Op)
        shown = [self.text(a) for a in (*quotient.args, other)]
        return f"add_quotient({', '.join(shown)})"

    def _factors(self, e: Expr) -> tuple[str, str]:
        assert isinstance(e, Op)
        if e.name == "square":
            factor = self.text(e.args[0], _ATOM)
            return factor, factor
        return self.text(e.args[0], _ATOM), self.text(e.args[1])


def is_distance(e: Op) -> bool:
    """Whether it asks of a difference that is written out whether it is 0 or more."""
    first = e.args[0]
    return (
        e.name == "ge" and e.args[1] == Const(0.0) and isinstance(first, Op) and first.name == "sub"
    )


def _is_quotient(e: Expr) -> bool:
    return isinstance(e, Op) and e.name == "div"


def _is_product(e: Expr) -> bool:
    if not isinstance(e, Op):
        return False
    return e.name == "mul" or (e.name == "square" and isinstance(e.args[0], Var))


UNBOUNDED = frozenset(("exp", "expm1", "exprel", "pow", "tan", "log"))
"""Functions that make infinities of finite numbers; a corrected product would make them NaN."""


def corrected_divisors(plan: KernelPlan, programs: Iterable[Program]) -> tuple[Scalar, ...]:
    """The scalars by which these programs may divide with a corrected product."""
    if functions_called([assign.value for assign in plan.forward.step]) & UNBOUNDED:
        return ()
    return divisors(programs, plan.scalars)


def divided_by(names: Mapping[str, str], dividing: Iterable[Scalar]) -> dict[str, str]:
    """The member for each scalar that is a divisor."""
    return {s.var.name: f"by_{names[s.var.name]}" for s in dividing}
