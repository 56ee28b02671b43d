"""`neurodsl show`: each stage of the compiler as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass

from neurodsl.diagnostics import Diagnostic, Report, Span
from neurodsl.driver import Analysis, analyse_text, compile_analysis, plan_neurons
from neurodsl.files import disk_loader
from neurodsl.options import Options

SUFFIXES = {"cpp": ".cpp", "cuda": ".cu", "python": ".py"}


def stage_text(
    text: str, name: str, stage: str, options: Options
) -> tuple[str, tuple[Diagnostic, ...], dict[str, str]]:
    """One stage of a program as text, and what was found on the way there.

    Args:
        text: the program.
        name: what diagnostics call it.
        stage: `ast model adjoint ir cpp cuda python latex`.
        options: of the compilation.

    Raises:
        CompileError: the program is wrong.
    """
    if stage == "ast":
        report = Report()
        report.sources[name] = text
        return _ast(text, name, report), tuple(report), report.sources
    analysis = analyse_text(text, name, options, disk_loader)
    return _STAGES[stage](analysis, options), analysis.diagnostics, analysis.sources


def _ast(text: str, name: str, report: Report) -> str:
    from neurodsl.frontend import parse

    return tree_text(parse(text, name, report))


def _model(analysis: Analysis, options: Options) -> str:
    parts = []
    for neuron in analysis.model.neurons:
        parts.append("\n".join([*neuron.equations, "", f"# neuron {neuron.name}, as understood:"]))
        parts.append(tree_text(neuron))
    return "\n".join(parts)


def _ir(analysis: Analysis, options: Options) -> str:
    from neurodsl.ir.pprint import print_forward

    return "\n\n".join(print_forward(plan) for _, plan in plan_neurons(analysis.model, options))


def _adjoint(analysis: Analysis, options: Options) -> str:
    from neurodsl.ir.pprint import print_backward

    return "\n\n".join(print_backward(plan) for _, plan in plan_neurons(analysis.model, options))


def _latex(analysis: Analysis, options: Options) -> str:
    from neurodsl.csrc_gen.latex import adjoint_latex, latex

    planned = plan_neurons(analysis.model, options)
    return "\n\n".join(f"{latex(neuron)}\n\n{adjoint_latex(plan)}" for neuron, plan in planned)


def _generated(stage: str) -> Callable[[Analysis, Options], str]:
    def text(analysis: Analysis, options: Options) -> str:
        compilation = compile_analysis(analysis, options)
        return next(f.text for f in compilation.files if f.suffix == SUFFIXES[stage])

    return text


_STAGES: dict[str, Callable[[Analysis, Options], str]] = {
    "model": _model,
    "ir": _ir,
    "adjoint": _adjoint,
    "latex": _latex,
    **{stage: _generated(stage) for stage in SUFFIXES},
}


def tree_text(node: object, indent: int = 0, label: str = "") -> str:
    """A tree of dataclasses, a node a line, its place behind it: `Assignment  16:9`."""
    lead = "  " * indent + (f"{label}: " if label else "")
    if is_dataclass(node) and not isinstance(node, type):
        span = getattr(node, "span", None)
        place = f"  {span.line}:{span.column}" if isinstance(span, Span) else ""
        plain: list[tuple[str, object]] = []
        deep: list[tuple[str, object]] = []
        for field in fields(node):
            value = getattr(node, field.name)
            if field.name == "span" or value is None or value == ():
                continue
            (deep if _is_tree(value) else plain).append((field.name, value))
        shown = "".join(f" {key}={_leaf(value)}" for key, value in plain)
        lines = [f"{lead}{type(node).__name__}{shown}{place}"]
        lines += [tree_text(value, indent + 1, key) for key, value in deep]
        return "\n".join(lines)
    if isinstance(node, tuple):
        return "\n".join([lead.rstrip(), *(tree_text(item, indent + 1) for item in node)])
    return lead + _leaf(node)


def _is_tree(value: object) -> bool:
    if isinstance(value, tuple):
        return any(_is_tree(item) for item in value) or len(value) > 8
    return is_dataclass(value) and not isinstance(value, type)


def _leaf(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_leaf(item) for item in value) + ")"
    return repr(getattr(value, "value", value))
