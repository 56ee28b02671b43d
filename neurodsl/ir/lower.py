"""From a neuron's model to the program of its forward step, in the order that the user wrote.

Nothing is rearranged: a chain is worked out from the left, as eager PyTorch does it. What depends on params alone
becomes a scalar that the host works out; in a chain, that is the longest beginning that does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from neurodsl.ir.kernel_plan import Binding, Carry
from neurodsl.ir.lowered import LoweredStep, SpikeRule
from neurodsl.ir.names import Names
from neurodsl.ir.nodes import (
    MAX_DEPTH,
    MAX_SIZE,
    Assign,
    Const,
    Expr,
    IRType,
    Op,
    Program,
    Var,
)
from neurodsl.ir.scalars import ScalarTable
from neurodsl.ir.substitute import substitute
from neurodsl.ir.trees import DETACH, measure
from neurodsl.sema import model as m
from neurodsl.sema.evaluate import evaluate

BOOL, REAL = IRType.BOOL, IRType.REAL

_ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
_COMPARE = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


def lower(neuron: m.NeuronModel, *, spiking: bool, detach_reset: bool) -> LoweredStep:
    """Lower one neuron.

    Args:
        neuron: the model.
        spiking: False makes every spike its surrogate's primitive, a real.
        detach_reset: in `reset` lines, a name of type spike reads without its gradient.

    Raises:
        ValueError: `spiking` is False and a surrogate has no primitive.
    """
    return _Lowering(neuron, spiking=spiking, detach_reset=detach_reset).run()


class _Lowering:
    """The state of one lowering: what each name stands for now, and the assignments made so far."""

    def __init__(self, neuron: m.NeuronModel, *, spiking: bool, detach_reset: bool) -> None:
        self.neuron = neuron
        self.spiking = spiking
        self.detach_reset = detach_reset
        self.names = Names()
        self.inputs = {name: Var(self.names.fresh(name)) for name in neuron.inputs}
        self.incoming = {s.name: Var(self.names.fresh(s.name)) for s in neuron.states}
        self.scalars = ScalarTable(neuron, self.names)
        self.time = Var(self.names.fresh("t"))
        self.draws = {noise.name: Var(self.names.fresh(noise.name)) for noise in neuron.noises}
        self.values: dict[str, Expr] = {**self.inputs, **self.incoming, **self.draws}
        self.hosted: dict[str, m.Expr] = {}
        self.assigns: list[Assign] = []
        self.spikes: dict[str, SpikeRule] = {}
        self.note: str | None = None
        self.phase = m.PhaseName.CHARGE
        self.target = "value"
        self.uses_time = False

    def run(self) -> LoweredStep:
        for statement in self.neuron.statements:
            self.statement(statement)
        real = {name for name, type in self.neuron.local_types if type is m.Type.REAL}
        recordable = [s.name for s in self.neuron.states]
        recordable += [name for name, _ in self.neuron.local_types if name in real]
        return LoweredStep(
            Program(tuple(self.assigns)),
            tuple(Binding(name, var) for name, var in self.inputs.items()),
            tuple(Binding(name, var) for name, var in self.draws.items()),
            tuple(
                Carry(name, var, self.as_real(self.values[name]))
                for name, var in self.incoming.items()
            ),
            tuple(Binding(name, self.as_real(self.values[name])) for name in self.neuron.written),
            tuple(Binding(name, self.as_real(self.values[name])) for name in recordable),
            self.scalars.scalars(),
            self.time,
            self.uses_time,
            self.spikes,
            self.names,
            self._infinite(),
        )

    def _infinite(self) -> frozenset[str]:
        params = [s.var.name for s in self.scalars.scalars() if s.default in (math.inf, -math.inf)]
        states = [
            self.incoming[state.name].name
            for state in self.neuron.states
            if any(isinstance(e, m.Literal) and math.isinf(e.value) for e in m.walk(state.initial))
        ]
        return frozenset(params + states)

    # --- statements ---

    def statement(self, statement: m.Statement) -> None:
        self.note, self.phase, self.target = statement.text, statement.phase, statement.target
        hosted = self.on_host(statement.value)
        if hosted is not None:
            self.hosted[statement.target] = hosted
        else:
            self.hosted.pop(statement.target, None)
        value = self.expression(statement.value)
        if isinstance(value, Op) and value.name != DETACH:
            value = self.assign(statement.target, value)
        self.values[statement.target] = value

    def assign(self, base: str, value: Expr) -> Var:
        target = Var(self.names.fresh(base), value.type)
        self.assigns.append(Assign(target, value, self.note))
        return target

    # --- scalars ---

    def on_host(self, expression: m.Expr) -> m.Expr | None:
        """The expression over params alone, locals replaced; None if it depends on more."""
        if expression.level is m.Level.STEP and not isinstance(expression, m.Ref):
            return None
        return substitute(expression, self.host_value)

    def host_value(self, ref: m.Ref) -> m.Expr | None:
        if ref.kind in (m.SymbolKind.PARAM, m.SymbolKind.DT):
            return None if ref.level is m.Level.STEP else ref
        return self.hosted.get(ref.name)

    def scalar(self, hosted: m.Expr) -> Expr:
        """A hosted expression as a constant, a param, or a uniform."""
        boolean = hosted.type is m.Type.BOOLEAN
        value = evaluate(hosted, {})
        if value is not None:
            return Const(bool(value), BOOL) if boolean else Const(float(value))
        if isinstance(hosted, m.Ref):
            return self.scalars.param(hosted.name)
        return self.scalars.uniform(hosted)

    # --- expressions ---

    def expression(self, e: m.Expr) -> Expr:
        hosted = self.on_host(e)
        if hosted is not None:
            return self.scalar(hosted)
        lowered = _RULES[type(e)](self, e)
        return lowered if not isinstance(lowered, Op) or _fits(lowered) else self.flat(lowered)

    def flat(self, op: Op) -> Op:
        """The operation with its larger arguments moved into variables."""
        return replace(
            op,
            args=tuple(
                self.assign(self.target, a) if isinstance(a, Op) and measure(a)[1] > 3 else a
                for a in op.args
            ),
        )

    def real(self, e: m.Expr) -> Expr:
        return self.as_real(self.expression(e))

    def as_real(self, value: Expr) -> Expr:
        if value.type is REAL:
            return value
        if isinstance(value, Const):
            return Const(1.0 if value.value else 0.0)
        return Op("to_real", (value,))

    def condition(self, e: m.Expr) -> Expr:
        """A boolean; a spike that is a real (spiking=False) counts where it is not 0."""
        value = self.expression(e)
        return value if value.type is BOOL else Op("ne", (value, Const(0.0)), BOOL)

    def variable(self, value: Expr) -> Expr:
        """A value that may be read twice."""
        return self.assign(self.target, value) if isinstance(value, Op) else value

    def ref(self, e: m.Ref) -> Expr:
        if e.kind is m.SymbolKind.T:
            self.uses_time = True
            return self.time
        if e.kind is m.SymbolKind.PARAM:
            return self.scalars.param(e.name)
        value = self.values[e.name]
        detached = self.detach_reset and self.phase is m.PhaseName.RESET
        if detached and e.type in m.SPIKES:
            return Op(DETACH, (value,), value.type)
        return value

    def chain(self, e: m.Chain) -> Expr:
        count = _hosted_beginning(self, e)
        if count > 1:
            begin = replace(
                e,
                operators=e.operators[: count - 1],
                operands=e.operands[:count],
                level=m.Level.PARAM,
            )
            total = self.expression(begin)
        else:
            count, total = 1, self.real(e.operands[0])
        for operator, operand in zip(e.operators[count - 1 :], e.operands[count:], strict=True):
            total = Op(_ARITHMETIC[operator], (total, self.real(operand)))
            if not _fits(total):
                total = self.flat(total)
        return total

    def power(self, e: m.Power) -> Expr:
        base = self.real(e.base)
        exponent = self.real(e.exponent)
        if not isinstance(exponent, Const):
            return Op("pow", (base, exponent))
        one = Const(1.0)
        match exponent.value:
            case 1.0:
                return base
            case 2.0:
                return Op("square", (base,))
            case 3.0:
                return Op("cube", (base,))
            case 0.5:
                return Op("sqrt", (base,))
            case -0.5:
                return Op("rsqrt", (base,))
            case -1.0:
                return Op("div", (one, base))
            case -2.0:
                return Op("div", (one, Op("square", (base,))))
        return Op("pow", (base, exponent))

    def comparison(self, e: m.Comparison) -> Expr:
        sides = [self.real(operand) for operand in e.operands]
        sides[1:-1] = [self.variable(side) for side in sides[1:-1]]
        pairs = [
            Op(_COMPARE[operator], (a, b), BOOL)
            for operator, a, b in zip(e.operators, sides, sides[1:], strict=False)
        ]
        return self.joined("and", pairs)

    def logic(self, e: m.Logic) -> Expr:
        return self.joined(e.operator, [self.condition(operand) for operand in e.operands])

    def joined(self, operator: str, parts: list[Op] | list[Expr]) -> Expr:
        total: Expr = parts[0]
        for part in parts[1:]:
            joined = Op(operator, (total, part), BOOL)
            total = joined if _fits(joined) else self.flat(joined)
        return total

    def select(self, e: m.Select) -> Expr:
        condition = self.expression(e.condition)
        then, otherwise = self.expression(e.then), self.expression(e.otherwise)
        if condition.type is REAL:  # a spike under spiking=False
            return self.blend(condition, self.as_real(then), self.as_real(otherwise))
        if then.type is not otherwise.type or e.type is m.Type.REAL:
            then, otherwise = self.as_real(then), self.as_real(otherwise)
        return Op("select", (condition, then, otherwise), then.type)

    def blend(self, spike: Expr, then: Expr, otherwise: Expr) -> Expr:
        spike = self.variable(spike)
        rest = Op("mul", (Op("sub", (Const(1.0), spike)), otherwise))
        return Op("add", (Op("mul", (spike, then)), rest))

    def negation(self, e: m.Not) -> Expr:
        value = self.expression(e.operand)
        if value.type is REAL:
            return Op("sub", (Const(1.0), value))
        return Op("not", (value,), BOOL)

    def call(self, e: m.Call) -> Expr:
        arguments = [self.real(argument) for argument in e.arguments]
        if e.function not in ("min", "max"):
            return Op(e.function, tuple(arguments))
        total = arguments[0]
        for argument in arguments[1:]:
            if isinstance(total, Op) and total.name == e.function:
                total = self.flat(total)  # its derivative has that of each argument twice
            total = Op(e.function, (total, argument))
        if isinstance(total, Op) and not _fits(total):
            total = self.flat(total)
        return total

    def detach(self, e: m.Detach) -> Expr:
        value = self.expression(e.operand)
        return value if isinstance(value, Const) else Op(DETACH, (value,), value.type)

    def spike(self, e: m.Spike) -> Expr:
        argument = self.real(e.argument)
        u = argument if isinstance(argument, Var) else self.assign("u", argument)
        model = e.surrogate.surrogate
        primitive, gradient, value = (
            None if part is None else self.surrogate(part, u, e.surrogate)
            for part in (model.primitive, model.gradient, model.value)
        )
        if not self.spiking:
            if primitive is None:
                raise ValueError(f"the surrogate {model.name} has no primitive")
            return primitive
        if value is not None:
            s = self.assign(self.target, self.as_real(value))
            self.spikes[s.name] = SpikeRule(u, primitive, gradient, model.name)
            return s
        if e.compared is None:
            sides: tuple[Expr, Expr] = (u, Const(0.0))
        else:
            sides = (self.real(e.compared[0]), self.real(e.compared[1]))
        fired = Op("gt" if e.strict else "ge", sides, BOOL)
        s = self.assign(self.target, fired)
        self.spikes[s.name] = SpikeRule(u, primitive, gradient, model.name)
        return s

    def surrogate(self, part: m.Expr, u: Var, use: m.SurrogateUse) -> Expr:
        """A surrogate's definition at `u`, its parameters replaced by the arguments given."""
        inner = _SurrogateLowering(self, u, use)
        return inner.expression(part)


class _SurrogateLowering(_Lowering):
    """Lowers a surrogate's definition: `u` is a variable, parameters are scalars. Nothing is assigned."""

    def __init__(self, outer: _Lowering, u: Var, use: m.SurrogateUse) -> None:
        self.outer = outer
        self.neuron, self.spiking, self.detach_reset = outer.neuron, outer.spiking, False
        self.names, self.scalars, self.time = outer.names, outer.scalars, outer.time
        self.uses_time, self.note, self.phase, self.target = False, None, outer.phase, "u"
        self.assigns, self.spikes = [], {}
        self.values = {"u": u}
        parameters = [name for name, _ in use.surrogate.parameters]
        self.hosted = {}
        for name, argument in zip(parameters, use.arguments, strict=True):
            hosted = outer.on_host(argument)
            assert hosted is not None, f"argument {name} of {use.surrogate.name} is no scalar"
            self.hosted[name] = hosted

    def host_value(self, ref: m.Ref) -> m.Expr | None:
        return self.hosted.get(ref.name) if ref.kind is m.SymbolKind.ARGUMENT else None

    def expression(self, e: m.Expr) -> Expr:
        hosted = self.on_host(e)
        return self.scalar(hosted) if hosted is not None else _RULES[type(e)](self, e)

    def flat(self, op: Op) -> Op:
        return op

    def variable(self, value: Expr) -> Expr:
        return value


def _hosted_beginning(lowering: _Lowering, e: m.Chain) -> int:
    count = 0
    for operand in e.operands:
        if lowering.on_host(operand) is None:
            break
        count += 1
    return count


def _fits(op: Op) -> bool:
    depth, size = measure(op)
    return depth <= MAX_DEPTH and size <= MAX_SIZE


_RULES: dict[type, Callable[..., Expr]] = {
    m.Literal: lambda lowering, e: lowering.scalar(e),
    m.Ref: _Lowering.ref,
    m.Negate: lambda lowering, e: Op("neg", (lowering.real(e.operand),)),
    m.Not: _Lowering.negation,
    m.Chain: _Lowering.chain,
    m.Power: _Lowering.power,
    m.Comparison: _Lowering.comparison,
    m.Logic: _Lowering.logic,
    m.Select: _Lowering.select,
    m.Call: _Lowering.call,
    m.Detach: _Lowering.detach,
    m.Spike: _Lowering.spike,
}
