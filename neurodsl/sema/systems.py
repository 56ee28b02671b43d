"""A system of `d…/dt` lines, written out as assignments by the rule of its solver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from neurodsl.diagnostics import Label, Report
from neurodsl.diagnostics.span import NOWHERE
from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast
from neurodsl.frontend.printer import statement_text
from neurodsl.sema import model as m
from neurodsl.sema.declarations import Declarations
from neurodsl.sema.elaborate import Elaborator, folded, typed
from neurodsl.sema.linear import ZERO, NotLinearError, coefficients
from neurodsl.sema.solvers import Method, method_of, written_out

REAL = m.Type.REAL


class Owner(Protocol):
    """The neuron that a system belongs to."""

    declared: Declarations
    report: Report
    statements: list[m.Statement]
    updated: set[str]
    uses_dt: bool
    systems: list[m.SystemModel]
    system: int | None

    def elaborator(self, text: str) -> Elaborator:
        """For an expression of the phase at hand."""

    def hidden(self, name: str, value: m.Expr, text: str) -> m.Expr:
        """A variable of the compiler's own."""


def add_system(owner: Owner, lines: list[ast.Derivative], phase: m.PhaseName) -> None:
    """Add the statements of a system of adjacent lines; what is wrong with it is reported."""
    system = _System(owner, lines, phase)
    system.check_once()
    method = method_of(lines, owner.report)
    owner.system = len(owner.systems)
    derivatives = system.derivatives({})
    whole = len(derivatives) == len(lines)
    if method is not None and whole and all(system.is_state(line.target) for line in lines):
        system.solve(method, derivatives)
    owner.system = None


class _System:
    def __init__(self, owner: Owner, lines: list[ast.Derivative], phase: m.PhaseName) -> None:
        self.owner, self.lines, self.phase = owner, lines, phase
        self.names = [line.target.name for line in lines]
        self.texts = {line.target.name: statement_text(line) for line in lines}
        owner.updated.update(self.names)

    # --- checks ---

    def check_once(self) -> None:
        """A system has one line a state."""
        seen: dict[str, ast.Identifier] = {}
        for line in self.lines:
            name = line.target.name
            if name in seen:
                self.owner.report.add(
                    "E0413",
                    line.target.span,
                    f"`d{name}/dt` stands twice in one system",
                    label="the second time",
                    secondary=(Label(seen[name].span, "the first time"),),
                    help="adjacent lines are one system: add the two right sides up",
                )
            seen.setdefault(name, line.target)

    def is_state(self, target: ast.Identifier) -> bool:
        """Whether a derivative is that of a state."""
        states = self.owner.declared.states
        if target.name in states:
            return True
        self.owner.report.add(
            "E0410",
            target.span,
            f"`{target.name}` is no state",
            label="only a state has a derivative",
            help=did_you_mean(target.name, states, f"declare it: state {target.name} = 0"),
        )
        return False

    # --- derivatives ---

    def derivatives(
        self, values: Mapping[str, m.Expr], *, quiet: bool = False
    ) -> dict[str, m.Expr]:
        """Each state's derivative, the system's states taken at `values` (as they are where it has none)."""
        found = {}
        for line in self.lines:
            elaborator = self.owner.elaborator(self.texts[line.target.name])
            if values:
                elaborator = replace(
                    elaborator,
                    lookup=_instead(elaborator.lookup, values),
                    members=_instead(elaborator.members, values),
                )
            if quiet:
                elaborator = replace(elaborator, report=Report())
            f = elaborator.real(line.value)
            if f is not None:
                found[line.target.name] = f
        return found

    # --- solving ---

    def solve(self, method: Method, derivatives: dict[str, m.Expr]) -> None:
        self.owner.uses_dt = True
        self.owner.declared.used.update(self.names)
        step: m.Expr = m.Ref("dt", m.SymbolKind.DT, type=REAL, level=m.Level.PARAM)
        if method.steps > 1:
            count = m.Literal(float(method.steps), type=REAL, level=m.Level.NUMBER)
            step = m.Chain(("/",), (step, count), type=REAL, level=m.Level.PARAM)
        why = self._why_not_exact(derivatives)
        steps = f"{method.name}(steps={method.steps})" if method.steps > 1 else method.name
        self.owner.systems.append(m.SystemModel(tuple(derivatives.items()), steps, why))
        for place in range(method.steps):
            if place:
                derivatives = self.derivatives({}, quiet=True)
            if method.name == "exact" and len(self.names) > 1:
                ends = self._matrix_step(derivatives)
            else:
                ends = self._step(method, derivatives, step)
            if ends is None:
                return
            self._assign(ends)

    def _assign(self, ends: dict[str, m.Expr]) -> None:
        alone = len(ends) == 1
        if not alone:
            ends = {
                name: self.owner.hidden(f"{name}_next", value, self.texts[name])
                for name, value in ends.items()
            }
        for line in self.lines:
            name = line.target.name
            self.owner.statements.append(
                m.Statement(
                    name,
                    ends[name],
                    self.phase,
                    self.texts[name],
                    not alone,
                    line.span,
                    self.owner.system,
                )
            )

    def _state(self, name: str) -> m.Expr:
        return m.Ref(name, m.SymbolKind.STATE, type=REAL, level=m.Level.STEP)

    def _step(
        self, method: Method, derivatives: dict[str, m.Expr], step: m.Expr
    ) -> dict[str, m.Expr] | None:
        """The states after one step by a rule."""
        rule = method.rule
        values: dict[str, dict[str, m.Expr]] = {
            name: {"y": self._state(name), "dt": step} for name in self.names
        }
        if rule.linear:
            own = self._own_coefficients(derivatives, method.name)
            if own is None:
                return None
            for name, a in own.items():
                values[name]["a"] = a
        for stage, where in rule.stages:
            if where != "y":
                at = {
                    name: self.owner.hidden(
                        f"{name}_{stage}", written_out(where, values[name]), self.texts[name]
                    )
                    for name in self.names
                }
                derivatives = self.derivatives(at, quiet=True)
            for name, f in derivatives.items():
                if len(rule.stages) > 1:
                    f = self.owner.hidden(f"d{name}_{stage}", f, self.texts[name])
                values[name][stage] = f
        return {name: written_out(rule.result, values[name]) for name in self.names}

    # --- linear systems ---

    @property
    def _hidden(self) -> dict[str, m.Expr]:
        """The compiler's own variables; not the states that an earlier system has given a value, which may be these."""
        states = self.owner.declared.states
        made = (s for s in self.owner.statements if s.hidden and s.target not in states)
        return {s.target: s.value for s in made}

    def _own_coefficients(
        self, derivatives: dict[str, m.Expr], method: str
    ) -> dict[str, m.Expr] | None:
        """What multiplies each state in its own derivative."""
        found = {}
        for line in self.lines:
            name = line.target.name
            try:
                row = coefficients(derivatives[name], [name], self._hidden)
            except NotLinearError as error:
                self._report_not_linear(line, method, error.part)
                return None
            found[name] = row.get(name, ZERO)
        return found

    def _matrix(self, derivatives: dict[str, m.Expr]) -> dict[str, dict[str, m.Expr]]:
        """The system's matrix, row by row.

        Raises:
            NotLinearError: it has none that is the same for all neurons and steps.
        """
        rows = {}
        for name, f in derivatives.items():
            rows[name] = coefficients(f, self.names, self._hidden)
            for c in rows[name].values():
                if c.level is m.Level.STEP:
                    raise NotLinearError(c)
        return rows

    def _matrix_step(self, derivatives: dict[str, m.Expr]) -> dict[str, m.Expr] | None:
        """`x + dt phi(A dt) (A x + b)`, `phi(M) = (exp(M) - 1) / M`."""
        rows: dict[str, dict[str, m.Expr]] = {}
        for line in self.lines:
            name = line.target.name
            try:
                rows |= self._matrix({name: derivatives[name]})
            except NotLinearError as error:
                self._report_not_linear(line, "exact", error.part)
                return None
        dt = m.Ref("dt", m.SymbolKind.DT, type=REAL, level=m.Level.PARAM)
        entries = tuple(
            _product(dt, rows[row].get(column, ZERO)) for row in self.names for column in self.names
        )
        reach = _reach(self.names, rows)
        f = {
            name: self.owner.hidden(f"d{name}", value, self.texts[name])
            for name, value in derivatives.items()
        }
        ends: dict[str, m.Expr] = {}
        for i, name in enumerate(self.names):
            terms: list[m.Expr] = [self._state(name)]
            for j, other in enumerate(self.names):
                if other in reach[name]:
                    keywords = typed(REAL, NOWHERE, dt, *entries)
                    entry = m.MatrixPhi(entries, len(self.names), i, j, **keywords)
                    terms.append(_product(_product(dt, entry), f[other]))
            operators = ("+",) * (len(terms) - 1)
            ends[name] = m.Chain(operators, tuple(terms), **typed(REAL, NOWHERE, *terms))
        return ends

    def _report_not_linear(self, line: ast.Derivative, method: str, part: m.Expr) -> None:
        name = line.target.name
        alone = method == "exponential_euler" or len(self.lines) == 1
        what = f"`{name}`" if alone else ", ".join(f"`{n}`" for n in self.names)
        constant = part.level is m.Level.STEP and not alone
        self.owner.report.add(
            "E0419",
            part.span if part.span != NOWHERE else line.value.span,
            f"`by {method}` needs a derivative that is linear in {what}",
            label="not linear, or with a coefficient that changes" if constant else "not linear",
            secondary=(Label(line.target.span, "the derivative of this state"),),
            help="solve it by rk4, or by exponential_euler where each line is linear in its own state"
            if method == "exact"
            else "solve it by heun, rk2 or rk4",
        )

    def _why_not_exact(self, derivatives: dict[str, m.Expr]) -> str:
        """What keeps `exact` from solving the system; empty if nothing does."""
        try:
            if len(self.names) > 1:
                self._matrix(derivatives)
            else:
                coefficients(derivatives[self.names[0]], self.names, self._hidden)
        except NotLinearError as error:
            names = ", ".join(self.names)
            if not any(
                isinstance(node, m.Ref) and node.name in self.names for node in m.walk(error.part)
            ):
                return "a coefficient changes from step to step or from neuron to neuron"
            return f"the right side is not linear in {names}"
        return ""


def _product(a: m.Expr, b: m.Expr) -> m.Expr:
    if m.Literal(0.0, type=REAL, level=m.Level.NUMBER) in (a, b):
        return ZERO
    return folded(m.Chain(("*",), (a, b), **typed(REAL, NOWHERE, a, b)))


def _reach(names: list[str], rows: dict[str, dict[str, m.Expr]]) -> dict[str, set[str]]:
    """For each state, those whose derivatives its end depends on: itself, and what its row leads to."""
    reach = {name: {name} for name in names}
    for _ in names:
        for name in names:
            for other in list(reach[name]):
                reach[name] |= {c for c, value in rows[other].items() if value != ZERO}
    return reach


def _instead(look: Callable[[ast.Name], Any] | None, values: Mapping[str, m.Expr]) -> Any:
    """A lookup that finds some names elsewhere."""
    if look is None:
        return None

    def found(node: ast.Name) -> Any:
        return values[node.name] if node.name in values else look(node)

    return found
