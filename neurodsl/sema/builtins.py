"""THE op table: every function and operator of the language, a row each. It imports nothing but the standard library.

Checks, printers and derivatives all read this table. A row says what a user may write (name, arguments), what comes
out (a real, unless `rule` says otherwise), and how the targets spell it. The derivative of an elementary function is
kept under the same name in `neurodsl/symbolic`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """What a function makes of its arguments."""

    ELEMENTARY = "elementary"
    """Reals (or spikes, as 0/1) in, a real out: stays a call in the model."""
    POWER = "power"
    """`pow(a, b)` is `a ^ b`."""
    SELECT = "select"
    """`where(c, a, b)` is `a if c else b`."""
    DETACH = "detach"
    """Any type in, the same out, without a gradient."""
    SPIKE = "spike"
    """A real, or `a > b`, or `a >= b` in; a spike out; the second argument is a surrogate."""


@dataclass(frozen=True, slots=True)
class Builtin:
    """One function of the language."""

    name: str
    arguments: tuple[str, ...]
    """Names of the arguments, by which they may be given too."""
    doc: str
    rule: Rule = Rule.ELEMENTARY
    minimum: int = -1
    """How few arguments; -1: all that are named."""
    maximum: int | None = -1
    """How many arguments; -1: all that are named; None: any number."""
    differentiable: bool = True
    """Whether any gradient passes. A function that is not has derivative 0 everywhere."""
    exact: bool = False
    """Whether float32 and float64 give the bits of the same call in eager PyTorch on the CPU."""
    cpp: str = ""
    cuda: str = ""
    torch: str = ""
    """The function's name in each target; empty where the model has a node of its own for it."""

    @property
    def fewest(self) -> int:
        """The smallest number of arguments."""
        return len(self.arguments) if self.minimum < 0 else self.minimum

    @property
    def most(self) -> int | None:
        """The largest number of arguments; None where there is no limit."""
        return len(self.arguments) if self.maximum == -1 else self.maximum


def _elementary(
    name: str,
    arguments: str,
    doc: str,
    *,
    torch: str = "",
    maximum: int | None = -1,
    differentiable: bool = True,
    exact: bool = False,
) -> Builtin:
    return Builtin(
        name,
        tuple(arguments.split()),
        doc,
        maximum=maximum,
        differentiable=differentiable,
        exact=exact,
        cpp=f"fn_{name}",
        cuda=f"fn_{name}",
        torch=torch or f"torch.{name}",
    )


_ROWS: tuple[Builtin, ...] = (
    _elementary("exp", "x", "e to the power x"),
    _elementary("log", "x", "the natural logarithm"),
    _elementary("expm1", "x", "exp(x) - 1, exact near 0"),
    _elementary("log1p", "x", "log(1 + x), exact near 0"),
    _elementary("exprel", "x", "(exp(x) - 1) / x, and 1 at 0", torch="exprel"),
    _elementary("sqrt", "x", "the square root, correctly rounded", torch="torch.sqrt"),
    _elementary("rsqrt", "x", "1 / sqrt(x), each step correctly rounded", exact=True),
    _elementary("abs", "x", "the absolute value; its gradient at 0 is 0", exact=True),
    _elementary("sign", "x", "-1, 0 or 1", differentiable=False, exact=True),
    _elementary("floor", "x", "rounded down", differentiable=False, exact=True),
    _elementary("ceil", "x", "rounded up", differentiable=False, exact=True),
    _elementary("round", "x", "rounded, halves to even", differentiable=False, exact=True),
    _elementary(
        "min",
        "a b",
        "the smallest of two or more; ties share the gradient",
        torch="torch.minimum",
        maximum=None,
        exact=True,
    ),
    _elementary(
        "max",
        "a b",
        "the largest of two or more; ties share the gradient",
        torch="torch.maximum",
        maximum=None,
        exact=True,
    ),
    _elementary(
        "clip",
        "x low high",
        "x, but no less than low and no more than high",
        torch="torch.clamp",
        exact=True,
    ),
    Builtin("pow", ("base", "exponent"), "base ^ exponent", Rule.POWER),
    _elementary("sin", "x", "the sine"),
    _elementary("cos", "x", "the cosine"),
    _elementary("tan", "x", "the tangent"),
    _elementary("atan", "x", "the inverse tangent"),
    _elementary("erf", "x", "the error function"),
    _elementary("sigmoid", "x", "1 / (1 + exp(-x))"),
    _elementary("tanh", "x", "the hyperbolic tangent"),
    _elementary("softplus", "x", "log(1 + exp(x)), without overflow", torch="softplus"),
    _elementary("relu", "x", "max(x, 0); its gradient at 0 is 0", exact=True),
    _elementary(
        "heaviside",
        "x",
        "1 where x >= 0, else 0, without a gradient",
        torch="heaviside",
        differentiable=False,
        exact=True,
    ),
    Builtin("where", ("condition", "a", "b"), "a where the condition holds, else b", Rule.SELECT),
    Builtin("detach", ("x",), "x, without its gradient", Rule.DETACH),
    Builtin(
        "spike",
        ("u", "surrogate"),
        "1 where u >= 0, else 0; backward, the surrogate's derivative at u",
        Rule.SPIKE,
        minimum=1,
    ),
)

BUILTINS: dict[str, Builtin] = {row.name: row for row in _ROWS}
"""Every function of the language by name, in the order of the reference."""

ELEMENTARY: tuple[str, ...] = tuple(r.name for r in _ROWS if r.rule is Rule.ELEMENTARY)
"""The functions that a model's Call may name, and that the intermediate representation has operators for."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator of the intermediate representation that is no function call, and its sign in C-like languages."""

    name: str
    symbol: str
    arity: int
    boolean: bool = False
    """Whether a boolean comes out."""
    differentiable: bool = True


_OPERATORS: tuple[Operator, ...] = (
    Operator("add", "+", 2),
    Operator("sub", "-", 2),
    Operator("mul", "*", 2),
    Operator("div", "/", 2),
    Operator("neg", "-", 1),
    Operator("square", "", 1),
    Operator("cube", "", 1),
    Operator("pow", "", 2),
    Operator("lt", "<", 2, boolean=True, differentiable=False),
    Operator("le", "<=", 2, boolean=True, differentiable=False),
    Operator("gt", ">", 2, boolean=True, differentiable=False),
    Operator("ge", ">=", 2, boolean=True, differentiable=False),
    Operator("eq", "==", 2, boolean=True, differentiable=False),
    Operator("ne", "!=", 2, boolean=True, differentiable=False),
    Operator("and", "&&", 2, boolean=True, differentiable=False),
    Operator("or", "||", 2, boolean=True, differentiable=False),
    Operator("not", "!", 1, boolean=True, differentiable=False),
    Operator("select", "?:", 3),
    Operator("to_real", "", 1),
)

OPERATORS: dict[str, Operator] = {row.name: row for row in _OPERATORS}
"""The operators of the intermediate representation by name."""

RESERVED: tuple[str, ...] = (
    "if",
    "else",
    "and",
    "or",
    "not",
    "true",
    "false",
    "inf",
    "pi",
    "dt",
    "t",
)
"""The words that no declaration may use."""
