"""One neuron's model: its statements in order, ODEs expanded, every name resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from neurodsl.diagnostics import Label, Report
from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast
from neurodsl.frontend.printer import statement_text
from neurodsl.sema import model as m
from neurodsl.sema.builtins import BUILTINS, RESERVED
from neurodsl.sema.declarations import Declarations, identifier
from neurodsl.sema.elaborate import Elaborator
from neurodsl.sema.equations import equations
from neurodsl.sema.imports import Scope
from neurodsl.sema.inherit import FlatNeuron
from neurodsl.sema.limits import Limits
from neurodsl.sema.surrogates import Surrogates
from neurodsl.sema.systems import add_system

Kind = m.SymbolKind


class NeuronBuilder:
    """Walks a neuron's phases."""

    def __init__(
        self,
        flat: FlatNeuron,
        report: Report,
        surrogates: Surrogates,
        shapes: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.flat, self.report = flat, report
        self.declared = Declarations(report, flat, shapes)
        self.surrogates = surrogates
        self.locals: dict[str, tuple[m.Type, m.Level]] = {}
        self.first: dict[str, ast.Identifier] = {}
        self.statements: list[m.Statement] = []
        self.updated: set[str] = set()
        self.uses: list[m.SurrogateModel] = []
        self.uses_t = self.uses_dt = False
        self.noises: list[m.NoiseModel] = []
        self.systems: list[m.SystemModel] = []
        self.system: int | None = None
        self.phase, self.scope = m.PhaseName.CHARGE, Scope("")
        self.limits = Limits()
        self.later: dict[str, ast.Identifier] = {}
        for name in m.PhaseName:
            if name.value in flat.phases:
                for statement in flat.phases[name.value][0].statements:
                    self.later.setdefault(statement.target.name, statement.target)
        self.taken = {*flat.declarations, *self.later, *BUILTINS, *RESERVED}

    def build(self) -> m.NeuronModel:
        """The model. Where something was reported it is not whole."""
        self.declared.read()
        self._draw()
        for name in m.PhaseName:
            if name.value in self.flat.phases:
                phase, scope = self.flat.phases[name.value]
                self._phase(phase, scope, name)
        neuron, declared = self.flat.neuron, self.declared
        outputs, feedbacks = self._outputs(), self._feedbacks()
        self._check_states()
        return m.NeuronModel(
            name=neuron.name.name,
            docstring=self.flat.docstring,
            inputs=(*declared.inputs, *declared.feedbacks),
            outputs=outputs,
            params=tuple(declared.params.values()),
            states=tuple(declared.states.values()),
            statements=tuple(self.statements),
            equations=equations(self.flat),
            surrogates=tuple(self.uses),
            local_types=tuple((name, type) for name, (type, _) in self.locals.items()),
            uses_t=self.uses_t,
            uses_dt=self.uses_dt,
            noises=tuple(self.noises),
            feedbacks=feedbacks,
            systems=tuple(self.systems),
            span=neuron.name.span,
        )

    # --- names ---

    def _lookup(self, node: ast.Name) -> m.Expr | str | None:
        name, declared = node.name, self.declared
        if name in self.locals and name not in declared.poisoned:
            declared.used.add(name)
            type, level = self.locals[name]
            return m.Ref(name, Kind.LOCAL, type=type, level=level, span=node.span)
        value = self._member(node)
        return self._missing(node) if isinstance(value, str) else value

    def _member(self, node: ast.Name) -> m.Expr | str | None:
        """What is declared, which the neuron's own functions see too."""
        name, declared = node.name, self.declared
        declared.used.add(name)
        if name in declared.poisoned:
            return None
        if name in declared.consts:
            return declared.consts[name]
        if name in declared.params:
            return declared.param_ref(name, node)
        if name in declared.inputs or name in declared.feedbacks:
            return _ref(name, Kind.INPUT, node)
        if name in declared.states:
            return _ref(name, Kind.STATE, node)
        if name == "t":
            self.uses_t = True
            return _ref("t", Kind.T, node)
        if name == "dt":
            self.uses_dt = True
            return m.Ref("dt", Kind.DT, type=m.Type.REAL, level=m.Level.PARAM, span=node.span)
        return "not declared in this neuron"

    def _missing(self, node: ast.Name) -> str | None:
        if node.name not in self.later:
            return "not declared in this neuron"
        self.report.add(
            "E0203",
            node.span,
            f"`{node.name}` is used before it is assigned",
            label="has no value yet",
            secondary=(Label(self.later[node.name].span, "assigned here first"),),
            help="statements run from top to bottom; a `state` keeps a value from the step before",
        )
        return None

    def _names(self) -> list[str]:
        declared = self.declared
        known = [
            *declared.inputs,
            *declared.feedbacks,
            *declared.consts,
            *declared.params,
            *declared.states,
        ]
        return [*known, *self.locals, "dt", "t", "pi"]

    def elaborator(self, text: str) -> Elaborator:
        """For an expression of the phase at hand, in the statement `text`."""
        scope = self.scope

        def hidden(name: str, value: m.Expr) -> m.Expr:
            return self.hidden(name, value, text)

        return Elaborator(
            self.report,
            scope,
            self._lookup,
            self._names,
            self._surrogate,
            scope.functions,
            self.declared.functions,
            self._member,
            hidden,
            limits=self.limits,
        )

    def _surrogate(self, call: ast.Expression | None, owner: Elaborator) -> m.SurrogateUse | None:
        use = self.surrogates.use(call, owner)
        if use is not None and all(use.surrogate is not known for known in self.uses):
            self.uses.append(use.surrogate)
        return use

    def hidden(self, name: str, value: m.Expr, text: str) -> m.Expr:
        """A variable of the compiler's own."""
        base, number = name, 1
        while name in self.taken:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        self.statements.append(
            m.Statement(name, value, self.phase, text, True, value.span, self.system)
        )
        return m.Ref(name, Kind.LOCAL, type=value.type, level=value.level, span=value.span)

    # --- statements ---

    def _phase(self, phase: ast.Phase, scope: Scope, name: m.PhaseName) -> None:
        self.scope, self.phase = scope, name
        for is_system, group in groupby(
            phase.statements, key=lambda statement: isinstance(statement, ast.Derivative)
        ):
            if is_system:
                add_system(self, [s for s in group if isinstance(s, ast.Derivative)], name)
            else:
                for statement in group:
                    self._assignment(statement)

    def _assignment(self, statement: ast.Statement) -> None:
        text = statement_text(statement)
        value = self.elaborator(text).expression(statement.value)
        target = statement.target.name
        if not self._may_assign(statement.target):
            return
        if target not in self.declared.states:
            self.first.setdefault(target, statement.target)
            if value is None:
                self.declared.poisoned.add(target)
                return
            self.declared.poisoned.discard(target)
            self.locals[target] = (value.type, value.level)
        elif value is None:
            self.updated.add(target)
            return
        elif value.type is m.Type.BOOLEAN:
            self.report.add(
                "E0302",
                statement.value.span,
                "a boolean where a number is needed",
                label=f"the state `{target}` is a real",
                help="write `1 if … else 0`",
            )
            return
        self.updated.add(target)
        self.statements.append(m.Statement(target, value, self.phase, text, False, statement.span))

    def _draw(self) -> None:
        """Each `noise` is a local: what is drawn, moved and scaled as the declaration says."""
        for name, (kind, line) in self.declared.noises.items():
            draw = f"{name}_draw"
            while draw in self.taken:
                draw += "_"
            self.taken.add(draw)
            self.noises.append(m.NoiseModel(draw, kind))
            value = line.value(m.Ref(draw, Kind.NOISE, type=m.Type.REAL, level=m.Level.STEP))
            self.locals[name] = (m.Type.REAL, m.Level.STEP)
            self.statements.append(
                m.Statement(name, value, m.PhaseName.CHARGE, line.text, False, line.span)
            )

    def _may_assign(self, target: ast.Identifier) -> bool:
        name, declared = target.name, self.declared
        kind = (
            "an input"
            if name in declared.inputs
            else "a param"
            if name in declared.params
            else "a const"
            if name in declared.consts
            else "what is drawn"
            if name in declared.noises
            else "what is fed back"
            if name in declared.feedbacks
            else None
        )
        if kind is None:
            if name in BUILTINS:
                declared.refuse_function_name(target)
                return False
            return True
        self.report.add(
            "E0401",
            target.span,
            f"cannot assign to {kind}",
            label=f"`{name}` is {kind}",
            secondary=(Label(identifier(self.flat.declarations[name]).span, "declared here"),),
            help="assign to a state, or to a new name",
        )
        return False

    # --- ends ---

    def _outputs(self) -> tuple[str, ...]:
        if self.flat.outputs is None:
            return ()
        found = []
        for output in self.flat.outputs.names:
            name = output.name
            self.declared.used.add(name)
            if name in found:
                self.report.add("E0202", output.span, f"the output `{name}` is listed twice")
            elif name in self.locals and self.locals[name][0] is m.Type.BOOLEAN:
                self.report.add(
                    "E0302",
                    output.span,
                    f"the output `{name}` is a boolean",
                    label="an output is a number or a spike",
                    help=f"assign `1 if … else 0` to `{name}`",
                )
            elif name in self.declared.states or name in self.locals:
                found.append(name)
            elif name not in self.declared.poisoned:
                self.report.add(
                    "E0403",
                    output.span,
                    f"the output `{name}` is never assigned",
                    label="has no value at the end of the step",
                    help=self._what_to_assign(name),
                )
        return tuple(found)

    def _what_to_assign(self, name: str) -> tuple[str, ...] | str:
        """For an output that has no value: what is declared otherwise cannot be given one."""
        if name in self.flat.declarations:
            own = f"{name}_out"
            return f"`{name}` cannot be assigned: write `{own} = {name}` in a phase, and `output {own}`"
        return did_you_mean(name, [*self.locals, *self.declared.states], f"assign it: {name} = …")

    def _feedbacks(self) -> tuple[tuple[str, str], ...]:
        found = []
        for name, source in self.declared.feedbacks.items():
            self.declared.used.add(source.name)
            known = self.locals.get(source.name, (m.Type.REAL, None))[0]
            there = source.name in self.locals or source.name in self.declared.states
            if there and known is not m.Type.BOOLEAN:
                found.append((name, source.name))
            elif source.name not in self.declared.poisoned:
                self.report.add(
                    "E0421",
                    source.span,
                    f"`{source.name}` has no value to feed back",
                    label="a boolean" if there else "no state, and never assigned",
                    help=did_you_mean(
                        source.name,
                        [*self.locals, *self.declared.states],
                        "feed back a spike or a state",
                    ),
                )
        return tuple(found)

    def _check_states(self) -> None:
        for name, state in self.declared.states.items():
            if name not in self.updated:
                self.report.add(
                    "E0402",
                    state.span,
                    f"the state `{name}` is never updated",
                    label="keeps its first value for ever",
                    help=f"assign it in a phase, or make it `param {name} = …`",
                )

    def unused(self) -> Iterator[tuple[str, ast.Identifier]]:
        """(what, name) of what is declared or assigned and never read; what is inherited is let be."""
        for name, declaration in self.flat.declarations.items():
            if name in self.declared.used or name in self.flat.inherited:
                continue
            if isinstance(declaration, ast.Input):
                yield "input", declaration.names[0]
            elif isinstance(declaration, ast.Noise | ast.Feedback):
                yield type(declaration).__name__.lower(), declaration.name
            elif isinstance(declaration, ast.Param):
                yield "param", declaration.name
        for name, first in self.first.items():
            if name not in self.declared.used:
                yield "local", first


def _ref(name: str, kind: Kind, node: ast.Name) -> m.Ref:
    return m.Ref(name, kind, type=m.Type.REAL, level=m.Level.STEP, span=node.span)
