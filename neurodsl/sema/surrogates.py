"""Surrogates: their definitions as models, and their uses with arguments."""

from __future__ import annotations

from dataclasses import dataclass, field

from neurodsl.diagnostics import Report
from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast
from neurodsl.sema import model as m
from neurodsl.sema.calls import bind
from neurodsl.sema.checks.surrogates import check_agreement
from neurodsl.sema.elaborate import Elaborator
from neurodsl.sema.imports import Scope


@dataclass(slots=True)
class Surrogates:
    """Makes each surrogate's model once; `replacement` stands for every surrogate that is written."""

    report: Report
    builtin: Scope
    replacement: tuple[ast.Expression, Scope] | None = None
    _models: dict[int, m.SurrogateModel | None] = field(default_factory=dict)

    def use(self, call: ast.Expression | None, owner: Elaborator) -> m.SurrogateUse | None:
        """What the second argument of `spike` means."""
        if self.replacement is None:
            return self._named(call, owner)
        use = self._named(self.replacement[0], owner)
        written = None if call is None else self._named(call, owner)
        if use is None or written is None or written.surrogate.value is None:
            return use
        if use.surrogate.value is None:
            self._report_levels(self.replacement[0], written.surrogate.name)
            return None
        return use

    def _report_levels(self, node: ast.Expression, written: str) -> None:
        """One that fires in 0 and 1 cannot stand for one of several levels."""
        self.report.add(
            "E0420",
            node.span,
            f"the surrogate must have a `value`, as `{written}` has",
            label="fires 0 or 1",
            help=f"the neuron is written for the levels of `{written}`: give a surrogate that has a `value` too",
        )

    def _named(self, call: ast.Expression | None, owner: Elaborator) -> m.SurrogateUse | None:
        if call is None:
            found: tuple[ast.Surrogate, Scope] = self.builtin.surrogates["atan"]
            node = ast.Call(ast.Identifier("atan", span=found[0].span), (), span=found[0].span)
        elif isinstance(call, ast.Call):
            node = call
        else:
            hint = f"`{call.name}()`" if isinstance(call, ast.Name) else "`atan(alpha=2.0)`"
            self._wrong(call, f"a surrogate is written as a call, such as {hint}")
            return None
        name = node.function.name
        known = {**self.builtin.surrogates, **owner.scope.surrogates}
        if name not in known:
            self.report.add(
                "E0206",
                node.function.span,
                f"unknown surrogate `{name}`",
                label="no surrogate of this name",
                help=did_you_mean(name, known, f"there are {', '.join(known)}"),
            )
            return None
        return self._applied(node, *known[name], owner)

    def _wrong(self, node: ast.Expression, hint: str) -> None:
        self.report.add("E0206", node.span, "not a surrogate", label="this is none", help=hint)

    def _applied(
        self, node: ast.Call, surrogate: ast.Surrogate, home: Scope, owner: Elaborator
    ) -> m.SurrogateUse | None:
        model = self.model(surrogate, home)
        parameters = surrogate.parameters[1:]
        names = tuple(p.name.name for p in parameters)
        fewest = sum(p.default is None for p in parameters)
        given = bind(owner, node, names, fewest, len(names))
        if given is None or model is None:
            return None
        arguments = []
        for (key, default), _ in zip(model.parameters, names, strict=True):
            value = owner.real(given[key]) if key in given else default
            if value is None:
                return None
            if value.level is m.Level.STEP:
                self.report.add(
                    "E0407",
                    given[key].span,
                    f"`{key}` must be the same for all neurons and steps",
                    label="this changes from step to step",
                    help="use numbers, consts and params",
                )
                return None
            arguments.append(value)
        return m.SurrogateUse(model, tuple(arguments))

    def model(self, surrogate: ast.Surrogate, home: Scope) -> m.SurrogateModel | None:
        """A surrogate's model; None if it was reported."""
        key = id(surrogate)
        if key not in self._models:
            self._models[key] = self._made(surrogate, home)
        return self._models[key]

    def _made(self, surrogate: ast.Surrogate, home: Scope) -> m.SurrogateModel | None:
        names = [p.name.name for p in surrogate.parameters]
        if not self._has_parameters(surrogate):
            return None
        values: dict[str, m.Expr] = {
            name: m.Ref(
                name,
                m.SymbolKind.ARGUMENT,
                type=m.Type.REAL,
                level=m.Level.PARAM if place else m.Level.STEP,
            )
            for place, name in enumerate(names)
        }
        inside = Elaborator(
            self.report,
            home,
            lambda n: values.get(n.name, "not a parameter of this surrogate"),
            lambda: names,
            functions=home.functions,
        )
        constants = Elaborator(
            self.report, home, lambda n: "a default is a constant", list, functions=home.functions
        )
        defaults = [
            (p.name.name, None if p.default is None else constants.real(p.default))
            for p in surrogate.parameters[1:]
        ]
        lines: dict[str, m.Expr | None] = {}
        for definition in surrogate.definitions:
            what = definition.target.name
            lines[what] = inside.real(definition.value)
            if lines[what] is None:
                return None
        return self._checked(surrogate, names, tuple(defaults), lines)

    def _has_parameters(self, surrogate: ast.Surrogate) -> bool:
        """A surrogate needs `u` at least."""
        from neurodsl.sema.checks.functions import check_parameters

        check_parameters(surrogate.name, surrogate.parameters, self.report)
        if surrogate.parameters:
            return True
        self.report.add(
            "E0406",
            surrogate.name.span,
            f"the surrogate `{surrogate.name.name}` has no `u`",
            label="needs a first parameter: what the spike is a step of",
            help=f"write `surrogate {surrogate.name.name}(u):`",
        )
        return False

    def _checked(
        self,
        surrogate: ast.Surrogate,
        names: list[str],
        defaults: tuple[tuple[str, m.Expr | None], ...],
        lines: dict[str, m.Expr | None],
    ) -> m.SurrogateModel | None:
        if not lines.keys() - {"value"}:
            self.report.add(
                "E0409",
                surrogate.name.span,
                f"`{surrogate.name.name}` says nothing of its gradient",
                label="needs a `primitive` or a `gradient`",
                help="`primitive = …` is differentiated; `gradient = …` is taken as it is",
            )
            return None
        for what in ("primitive", "value"):
            line = lines.get(what)
            if line is None or line.level is m.Level.STEP:
                continue
            self.report.add(
                "E0406",
                line.span,
                f"the {what} does not depend on `{names[0]}`",
                label="its derivative is 0 everywhere"
                if what == "primitive"
                else "the same whatever fires",
                help=f"write it as a function of `{names[0]}`",
            )
            return None
        first = names[0]
        parts = [
            None if p is None else renamed(p, first)
            for p in (lines.get(key) for key in ("primitive", "gradient", "value"))
        ]
        model = m.SurrogateModel(
            surrogate.name.name,
            defaults,
            parts[0],
            parts[1],
            parts[2],
            span=surrogate.name.span,
        )
        check_agreement(model, self.report)
        return model


def renamed(e: m.Expr, first: str) -> m.Expr:
    """The surrogate's first parameter is called `u` in the model, whatever the user calls it."""
    if first == "u":
        return e
    from neurodsl.sema.rewrite import rewrite

    def change(ref: m.Ref) -> m.Expr:
        name = "u" if ref.name == first else f"{ref.name}_" if ref.name == "u" else ref.name
        return m.Ref(name, ref.kind, type=ref.type, level=ref.level, span=ref.span)

    return rewrite(e, change)
