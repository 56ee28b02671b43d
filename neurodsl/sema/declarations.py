"""What a neuron declares: inputs, consts, params, states; their values worked out as far as they are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from neurodsl.diagnostics import Label, Report
from neurodsl.diagnostics.suggest import nearest
from neurodsl.frontend import ast
from neurodsl.frontend.printer import interval_text
from neurodsl.sema import model as m
from neurodsl.sema.builtins import BUILTINS
from neurodsl.sema.checks.params import check_boolean_param, check_via_range
from neurodsl.sema.elaborate import Elaborator
from neurodsl.sema.evaluate import evaluate
from neurodsl.sema.imports import Scope
from neurodsl.sema.inherit import FlatNeuron
from neurodsl.sema.noise import NoiseLine, noise_line

SHAPES = ((), ("channel",), ("neuron",), ("time",), ("time", "channel"))
VIA = ("sigmoid", "softplus", "exp")


@dataclass(slots=True)
class Declarations:
    """The declared names of one neuron, in order."""

    report: Report
    flat: FlatNeuron
    shapes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Shapes of params that are declared without one, by name."""
    inputs: list[str] = field(default_factory=list)
    consts: dict[str, m.Literal] = field(default_factory=dict)
    params: dict[str, m.ParamModel] = field(default_factory=dict)
    states: dict[str, m.StateModel] = field(default_factory=dict)
    functions: dict[str, tuple[ast.Function, Scope]] = field(default_factory=dict)
    noises: dict[str, tuple[str, NoiseLine]] = field(default_factory=dict)
    feedbacks: dict[str, ast.Identifier] = field(default_factory=dict)
    poisoned: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def read(self) -> None:
        """Work through the declarations."""
        for name, declaration in self.flat.declarations.items():
            if isinstance(declaration, ast.Function):
                self.functions[name] = declaration, self.flat.scopes[name]
        for name, declaration in self.flat.declarations.items():
            if name in BUILTINS:
                self.refuse_function_name(identifier(declaration))
            match declaration:
                case ast.Input():
                    self.inputs.append(name)
                case ast.Const():
                    self._const(name, declaration)
                case ast.Param():
                    self._param(name, declaration)
                case ast.Feedback():
                    self.feedbacks[name] = declaration.source
                case ast.Noise():
                    line = noise_line(declaration, self._elaborator(name, params=True))
                    if line is None:
                        self.poisoned.add(name)
                    else:
                        self.noises[name] = line

        for name, declaration in self.flat.declarations.items():
            if isinstance(declaration, ast.State):  # made of params, wherever those stand
                self._state(name, declaration)

    def refuse_function_name(self, name: ast.Identifier) -> None:
        """A declared name must not be a function's."""
        self.report.add(
            "E0204",
            name.span,
            f"`{name.name}` is a function of the language",
            label="a name of the language",
            help=f"choose another, such as `{name.name}_`",
        )

    def value(self, node: ast.Name, *, params: bool) -> m.Expr | str | None:
        """A const's or param's value as an expression, for defaults and initial values."""
        name = node.name
        self.used.add(name)
        if name in self.poisoned:
            return None
        if name in self.consts:
            return self.consts[name]
        if params and name in self.params:
            return self.param_ref(name, node)
        if name in self.flat.declarations or name in ("dt", "t"):
            self._report_too_early(node, params=params)
            return None
        return "not declared in this neuron"

    def _report_too_early(self, node: ast.Name, *, params: bool) -> None:
        """A declared name that has no value where declarations are worked out."""
        declaration = self.flat.declarations.get(node.name)
        what = "a param" if isinstance(declaration, ast.Param) else "a const"
        above = isinstance(declaration, ast.Const) or (
            params and isinstance(declaration, ast.Param)
        )
        allowed = "consts and params" if params else "consts"
        self.report.add(
            "E0208",
            node.span,
            f"`{node.name}` has no value here",
            label=f"{what} is declared further down" if above else f"only {allowed} have one",
            secondary=()
            if declaration is None
            else (Label(identifier(declaration).span, "declared here"),),
            help="move its declaration above this one" if above else (),
        )

    def param_ref(self, name: str, node: ast.Name) -> m.Ref:
        """A use of a param."""
        param = self.params[name]
        level = m.Level.STEP if param.shape else m.Level.PARAM
        return m.Ref(name, m.SymbolKind.PARAM, type=param.type, level=level, span=node.span)

    def _elaborator(self, name: str, *, params: bool) -> Elaborator:
        scope = self.flat.scopes[name]
        return Elaborator(
            self.report,
            scope,
            lambda node: self.value(node, params=params),
            lambda: [*self.consts, *(self.params if params else ()), "pi", "inf"],
            functions=scope.functions,
            locals=self.functions,
            members=lambda node: self.value(node, params=params),
        )

    def _const(self, name: str, node: ast.Const) -> None:
        value = self._elaborator(name, params=False).expression(node.value)
        if isinstance(value, m.Literal):
            self.consts[name] = value
        elif value is not None and value.type is m.Type.BOOLEAN:
            known = evaluate(value, {})
            self.consts[name] = m.Literal(
                float(bool(known)), type=m.Type.BOOLEAN, level=m.Level.NUMBER, span=node.span
            )
        else:
            self.poisoned.add(name)

    def _param(self, name: str, node: ast.Param) -> None:
        shape = self._shape(node)
        if shape is None:
            self.poisoned.add(name)
            return
        elaborator = self._elaborator(name, params=True)
        default = None if node.default is None else elaborator.expression(node.default)
        if node.default is not None and default is None:
            self.poisoned.add(name)
            return
        if default is not None and default.level is m.Level.STEP and not self.shapes:
            self._report_array(default, f"the default of `{name}`")
            self.poisoned.add(name)
            return
        known = {key: p.value for key, p in self.params.items() if p.value is not None}
        value = None if default is None else evaluate(default, known)
        type = m.Type.REAL if default is None else default.type
        if type is m.Type.BOOLEAN and value is not None:
            value = bool(value)
        interval = None if node.interval is None else self._interval(name, node.interval)
        via = self._via(node.via)
        self.params[name] = m.ParamModel(
            name,
            type,
            default,
            value,
            interval,
            node.learnable is not None,
            via,
            node.name.span,
            shape,
        )
        check_boolean_param(node, type, self.report)
        check_via_range(node, self.params[name], self.report)
        if type is m.Type.BOOLEAN:
            return
        if interval is not None and isinstance(value, float | int) and not _inside(value, interval):
            self.report.add(
                "E0404",
                node.default.span if node.default is not None else node.name.span,
                f"the default of `{name}` lies outside its interval",
                label=f"this is {value:g}, which is not in {interval.text}",
                help="change the default or the interval",
            )

    def _interval(self, name: str, node: ast.Interval) -> m.IntervalModel | None:
        elaborator = self._elaborator(name, params=False)
        ends = [elaborator.real(end) for end in (node.low, node.high)]
        if not all(isinstance(end, m.Literal) for end in ends):
            return None
        low, high = (end.value for end in ends if isinstance(end, m.Literal))
        if low > high:
            self.report.add(
                "E0408",
                node.span,
                "the interval is empty",
                label=f"{low:g} is more than {high:g}",
                help="write the smaller end first",
            )
            return None
        return m.IntervalModel(low, high, node.low_open, node.high_open, interval_text(node))

    def _via(self, node: ast.Identifier | None) -> str | None:
        if node is None or node.name in VIA:
            return None if node is None else node.name
        self.report.add(
            "E0307",
            node.span,
            f"`via {node.name}` is not possible",
            label="no such map",
            help=f"choose from {', '.join(VIA)}",
        )
        return None

    def _state(self, name: str, node: ast.State) -> None:
        value = self._elaborator(name, params=True).real(node.initial)
        if value is None:
            value = m.Literal(0.0, type=m.Type.REAL, level=m.Level.NUMBER)
        timed = [
            e for e in m.walk(value) if isinstance(e, m.Ref) and "time" in self.shape_of(e.name)
        ]
        if timed:
            self._report_array(timed[0], f"the first value of `{name}`")
        self.states[name] = m.StateModel(name, value, node.name.span)

    def shape_of(self, name: str) -> tuple[str, ...]:
        """A param's shape; () for a scalar and for what is no param."""
        return self.params[name].shape if name in self.params else ()

    def _shape(self, node: ast.Param) -> tuple[str, ...] | None:
        shape = tuple(axis.name for axis in node.shape)
        if shape in SHAPES:
            return shape or self.shapes.get(node.name.name, ())
        close = nearest(shape[0], [s[0] for s in SHAPES if s]) if len(shape) == 1 else None
        self.report.add(
            "E0422",
            node.shape[0].span,
            f"no param has the shape [{', '.join(shape)}]",
            label="no such shape",
            help=f"did you mean `{close}`?"
            if close
            else "write [channel], [neuron], [time] or [time, channel]",
        )
        return None

    def _report_array(self, e: m.Expr, what: str) -> None:
        self.report.add(
            "E0423",
            e.span,
            f"{what} must be one number",
            label="this has a value for each channel, neuron or time step",
            help="use params without a shape",
        )


def _inside(value: float, interval: m.IntervalModel) -> bool:
    above = value > interval.low if interval.low_open else value >= interval.low
    below = value < interval.high if interval.high_open else value <= interval.high
    return above and below and not math.isnan(value)


def identifier(declaration: ast.Declaration) -> ast.Identifier:
    """The name that a declaration declares."""
    if isinstance(declaration, ast.Input | ast.Output):
        return declaration.names[0]
    return declaration.name
