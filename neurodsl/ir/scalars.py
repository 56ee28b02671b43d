"""Values common to all neurons: params as they are, and compounds of params that the host works out (uniforms)."""

from __future__ import annotations

from collections.abc import Callable

from neurodsl.ir.kernel_plan import Scalar
from neurodsl.ir.names import Names
from neurodsl.ir.nodes import IRType, Var
from neurodsl.ir.phi_text import phi_text
from neurodsl.sema import model as m


class ScalarTable:
    """The scalars that a lowering has met: each param once, each compound once, by its text."""

    def __init__(self, neuron: m.NeuronModel, names: Names) -> None:
        self._names = names
        self._params = {param.name: param for param in neuron.params}
        self._order = [param.name for param in neuron.params]
        self._direct: dict[str, Scalar] = {}
        self._uniforms: dict[str, Scalar] = {}

    def param(self, name: str) -> Var:
        """The variable of a param, or of `dt`."""
        if name not in self._direct:
            param = self._params.get(name)
            boolean = param is not None and param.type is m.Type.BOOLEAN
            var = Var(self._names.fresh(name), IRType.BOOL if boolean else IRType.REAL)
            default = 1.0 if param is None else param.value
            shape = () if param is None else param.shape
            self._direct[name] = Scalar(name, var, default=default, shape=shape)
        return self._direct[name].var

    def uniform(self, expression: m.Expr) -> Var:
        """The variable of a compound; `expression` names params and `dt` alone."""
        text = manifest_text(expression)
        if text not in self._uniforms:
            name = f"u{len(self._uniforms)}"
            type = IRType.BOOL if expression.type is m.Type.BOOLEAN else IRType.REAL
            var = Var(self._names.fresh(name), type)
            self._uniforms[text] = Scalar(name, var, expression=text, origin=expression)
        return self._uniforms[text].var

    def scalars(self) -> tuple[Scalar, ...]:
        """Params in the order declared, `dt`, then uniforms."""
        order = [*self._order, "dt"]
        direct = tuple(self._direct[name] for name in order if name in self._direct)
        return direct + tuple(self._uniforms.values())


# --- the manifest's expression language -------------------------------------------------------

_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(9)
_CONDITIONAL = -1

_MATH = {"abs": "fabs", "ceil": "ceil", "floor": "floor", "round": "nearbyint"} | {
    name: name
    for name in ("exp", "log", "expm1", "log1p", "sqrt", "sin", "cos", "tan", "atan", "erf", "tanh")
}
"""Functions of the language that math.h has."""

_COMPOSED = {
    "rsqrt": "1 / sqrt({0})",
    "exprel": "expm1({0}) / ({0}) if ({0}) != 0 else 1",
    "sigmoid": "1 / (1 + exp(-({0})))",
    "softplus": "fmax({0}, 0) + log1p(exp(-fabs({0})))",
    "relu": "0 if ({0}) <= 0 else ({0})",
    "sign": "1 if ({0}) > 0 else -1 if ({0}) < 0 else ({0})",
    "heaviside": "1 if ({0}) >= 0 else 0",
}


def manifest_text(node: m.Expr, outer: int = _CONDITIONAL) -> str:
    """An expression over params in the manifest's language: Python's operators, math.h's functions."""
    text, own = _TEXT[type(node)](node)
    return f"({text})" if own < outer else text


def number_text(value: float) -> str:
    """A number: shortest text that reads back as the same float64; infinities as divisions."""
    if value != value:
        return "(0.0 / 0.0)"
    if value in (float("inf"), float("-inf")):
        return "(1.0 / 0.0)" if value > 0 else "(-1.0 / 0.0)"
    return repr(int(value)) if value == int(value) and 0 < abs(value) < 1e15 else repr(value)


def _literal(node: m.Literal) -> tuple[str, int]:
    if node.type is m.Type.BOOLEAN:
        return ("true" if node.value else "false"), _ATOM
    return number_text(node.value), _ATOM if node.value >= 0 else _SIGN


def _chain(node: m.Chain) -> tuple[str, int]:
    own = _SUM if node.operators[0] in "+-" else _PRODUCT
    parts = [manifest_text(node.operands[0], own)]
    for operator, operand in zip(node.operators, node.operands[1:], strict=True):
        parts.append(f"{operator} {manifest_text(operand, own + 1)}")
    return " ".join(parts), own


def _comparison(node: m.Comparison) -> tuple[str, int]:
    sides = [manifest_text(operand, _SUM) for operand in node.operands]
    pairs = [
        f"{a} {operator} {b}"
        for a, operator, b in zip(sides, node.operators, sides[1:], strict=False)
    ]
    return " and ".join(pairs), _COMPARISON if len(pairs) == 1 else _AND


def _logic(node: m.Logic) -> tuple[str, int]:
    own = _AND if node.operator == "and" else _OR
    joined = f" {node.operator} ".join(manifest_text(operand, own + 1) for operand in node.operands)
    return joined, own


def _not(node: m.Not) -> tuple[str, int]:
    if node.type is m.Type.SPIKE:
        return f"1 - {manifest_text(node.operand, _PRODUCT)}", _SUM
    return f"not {manifest_text(node.operand, _NOT)}", _NOT


def _select(node: m.Select) -> tuple[str, int]:
    then, condition = manifest_text(node.then, _OR), manifest_text(node.condition, _OR)
    return f"{then} if {condition} else {manifest_text(node.otherwise)}", _CONDITIONAL


def _call(node: m.Call) -> tuple[str, int]:
    arguments = [manifest_text(argument) for argument in node.arguments]
    if node.function in ("min", "max"):
        return _extreme(node.function, arguments), _CONDITIONAL
    if node.function == "clip":
        inner = _extreme("max", arguments[:2])
        return _extreme("min", [inner, arguments[2]]), _CONDITIONAL
    if node.function in _COMPOSED:
        return _COMPOSED[node.function].format(arguments[0]), _CONDITIONAL
    return f"{_MATH[node.function]}({', '.join(arguments)})", _ATOM


def _extreme(which: str, arguments: list[str]) -> str:
    """`min` and `max` that pass NaN, as comparisons: fmin and fmax would drop it."""
    sign = "<" if which == "min" else ">"
    text = arguments[0]
    for other in arguments[1:]:
        text = f"({text}) if ({text}) {sign} ({other}) or ({text}) != ({text}) else ({other})"
    return text


def _spike(node: m.Spike) -> tuple[str, int]:
    left, right = node.compared or (node.argument, None)
    sign = ">" if node.strict else ">="
    other = "0" if right is None else manifest_text(right, _SUM)
    return f"1 if {manifest_text(left, _SUM)} {sign} {other} else 0", _CONDITIONAL


def _phi(node: m.MatrixPhi) -> tuple[str, int]:
    entries = tuple(manifest_text(e) for e in node.entries)
    return phi_text(entries, node.size, node.row, node.column), _CONDITIONAL


_TEXT: dict[type, Callable[..., tuple[str, int]]] = {
    m.Literal: _literal,
    m.Ref: lambda node: (node.name, _ATOM),
    m.Negate: lambda node: (f"-{manifest_text(node.operand, _SIGN)}", _SIGN),
    m.Not: _not,
    m.Chain: _chain,
    m.Power: lambda node: (
        f"{manifest_text(node.base, _ATOM)} ** {manifest_text(node.exponent, _SIGN)}",
        _POWER,
    ),
    m.Comparison: _comparison,
    m.Logic: _logic,
    m.Select: _select,
    m.Call: _call,
    m.Detach: lambda node: _TEXT[type(node.operand)](node.operand),
    m.MatrixPhi: _phi,
    m.Spike: _spike,
}
