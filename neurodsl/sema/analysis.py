"""From a parsed file to its model: imports, inheritance, each neuron, and what is checked about all of it."""

from __future__ import annotations

from collections.abc import Mapping

from neurodsl.diagnostics import CompileError, Diagnostic, Report, Severity, Span
from neurodsl.frontend import ast
from neurodsl.sema import model as m
from neurodsl.sema.checks.functions import check_function, check_function_name
from neurodsl.sema.checks.gradients import check_inputs, check_learnable, check_outputs
from neurodsl.sema.checks.phases import check_fire
from neurodsl.sema.imports import Files, Loader, Scope
from neurodsl.sema.inherit import FlatNeuron, flatten
from neurodsl.sema.neuron import NeuronBuilder
from neurodsl.sema.surrogates import Surrogates


def analyse(
    tree: ast.File,
    *,
    name: str,
    text: str,
    report: Report,
    loader: Loader,
    surrogate: str | None,
    shapes: Mapping[str, tuple[str, ...]] | None = None,
) -> m.FileModel:
    """Check a parsed file and give its model; what is wrong is in `report`, all of it.

    Args:
        tree: the syntax tree.
        name: of the text, as diagnostics show it.
        text: the file's.
        report: where diagnostics go.
        loader: (importing text's name, path) -> (name, text); OSError if there is none.
        shapes: of params that are declared without one.
        surrogate: replaces every spike's, such as `sigmoid(alpha=4.0)`; None leaves them as written.

    Raises:
        CompileError: an import failed, or `surrogate` is no expression.
    """
    files = Files(report, loader)
    scope = files.scope(tree, name, text)
    if any(d.code.startswith(("E01", "E05")) for d in report.errors):
        _tidy(report, name)  # what could not be imported is not unknown, too
        report.raise_if_errors()
    builtin = files.library_surrogates()
    surrogates = Surrogates(report, builtin, _replacement(surrogate, scope, report))
    _check_functions(tree, scope, surrogates)
    neurons = []
    for item in tree.items:
        if isinstance(item, ast.Neuron) and scope.neurons[item.name.name][0] is item:
            built = _neuron(item, scope, report, surrogates, shapes or {})
            if built is not None:
                neurons.append(built)
    models = [
        surrogates.model(item, scope) for item in tree.items if isinstance(item, ast.Surrogate)
    ]
    own = tuple(model for model in models if model is not None)
    if not neurons and not own and not report.errors:
        _nothing(tree, name, report)
    _tidy(report, name)
    return m.FileModel(name, tuple(neurons), own, tuple(files.texts.items()))


def _nothing(tree: ast.File, name: str, report: Report) -> None:
    """The file defines nothing of its own; there may be nothing at all in it."""
    report.add(
        "E0411",
        tree.span if tree.items else Span(name, 1, 1, 1, 1),
        "the file has no neuron" if tree.items else "the file is empty, comments aside",
        label="nothing to compile",
        help="a neuron begins with a line such as `neuron LIF:`; "
        "`neurodsl explain E0411` shows a whole one",
    )


def _check_functions(tree: ast.File, scope: Scope, surrogates: Surrogates) -> None:
    for item in tree.items:
        if isinstance(item, ast.Function):
            check_function_name(item, surrogates.report)
            check_function(item, scope, surrogates)


def _tidy(report: Report, name: str) -> None:
    """Each finding once (a child repeats its parent's), in the order of the source; warnings of this file alone."""
    found: dict[tuple[object, ...], Diagnostic] = {}
    for d in report.diagnostics:
        if d.severity is Severity.ERROR or d.span.source in (name, "<surrogate>"):
            found.setdefault((d.code, d.span, d.message), d)
    report.diagnostics[:] = sorted(found.values(), key=lambda d: (d.span.source != name, d.span))


def _replacement(
    surrogate: str | None, scope: Scope, report: Report
) -> tuple[ast.Expression, Scope] | None:
    if surrogate is None:
        return None
    from neurodsl.frontend import parse_expression

    name = "<surrogate>"
    report.sources[name] = surrogate
    if not surrogate.strip():
        report.add(
            "E0206",
            Span(name, 1, 1, 1, 1),
            "the surrogate is empty",
            help="a surrogate is written as a call, such as `atan(alpha=2.0)`",
        )
        report.raise_if_errors()
    try:
        return parse_expression(surrogate, name, report), scope
    except CompileError:
        report.raise_if_errors()
        raise


def _neuron(
    item: ast.Neuron,
    scope: Scope,
    report: Report,
    surrogates: Surrogates,
    shapes: Mapping[str, tuple[str, ...]],
) -> m.NeuronModel | None:
    flat = flatten(item, scope, report)
    if flat is None:
        return None
    before = len(report.diagnostics)
    names = [*flat.declarations, "dt", "t"]
    own = {
        function.name.name: (function, flat.scopes[function.name.name])
        for function in flat.declarations.values()
        if isinstance(function, ast.Function)
    }
    for function, home in own.values():
        check_function(function, home, surrogates, locals=own, members=names)
    builder = NeuronBuilder(flat, report, surrogates, shapes)
    model = builder.build()
    _check_whole(item, model, report)
    found = report.diagnostics[before:]
    if not any(d.severity is Severity.ERROR for d in found):
        _check_flow(flat, model, report)
        for what, name in builder.unused():
            report.add(
                "W0601",
                name.span,
                f"the {what} `{name.name}` is never used",
                label="nothing reads this",
                help="remove it, or use it",
            )
    return model


def _check_flow(flat: FlatNeuron, model: m.NeuronModel, report: Report) -> None:
    """What can be said of a neuron that is right in itself."""
    inputs = {
        name: declaration.span
        for name, declaration in flat.declarations.items()
        if isinstance(declaration, ast.Input)
    }
    check_learnable(model, report)
    check_inputs(model, inputs, report)
    check_outputs(model, report)
    check_fire(model, report)


def _check_whole(item: ast.Neuron, model: m.NeuronModel, report: Report) -> None:
    """A neuron needs an input, an output, and something that happens."""
    for what, there in (("input", model.inputs), ("output", model.outputs)):
        if not there and not report.errors:
            report.add(
                "E0412",
                item.name.span,
                f"`{item.name.name}` has no {what}",
                label=f"needs an `{what}` line",
                help=f"write `{what} {'x' if what == 'input' else 's'}`",
            )
