"""Small programs and their models, for tests of the analysis."""

from __future__ import annotations

from collections.abc import Mapping

from neurodsl.diagnostics import CompileError, Diagnostic
from neurodsl.driver import Analysis, analyse_text
from neurodsl.files import disk_loader
from neurodsl.options import Options
from neurodsl.sema import model as m


def program(
    *,
    top: str = "",
    declarations: str = "state v = 0.0",
    charge: str = "v = v + x",
    fire: str = "s = spike(v - 1)",
    reset: str = "v = 0 if s else v",
) -> str:
    """A neuron `A` with an input `x` and an output `s`; each part may have several lines."""
    lines = [*top.splitlines(), "neuron A:", "    input x", "    output s"]
    lines += [f"    {line}" for line in declarations.splitlines()]
    for name, body in (("charge", charge), ("fire", fire), ("reset", reset)):
        if body:
            lines += [f"    {name}:", *(f"        {line}" for line in body.splitlines())]
    return "\n".join(lines) + "\n"


def analysed(
    text: str, *, files: Mapping[str, str] | None = None, surrogate: str | None = None
) -> Analysis:
    """The analysis of a text called `main.neuron`, with `files` beside it."""

    def loader(importing: str, path: str) -> tuple[str, str]:
        if files is None or path not in files:
            return disk_loader(importing, path)
        return path, files[path]

    return analyse_text(text, "main.neuron", Options(surrogate=surrogate), loader)


def neuron(
    text: str, *, files: Mapping[str, str] | None = None, surrogate: str | None = None
) -> m.NeuronModel:
    """The model of a text's last neuron."""
    return analysed(text, files=files, surrogate=surrogate).model.neurons[-1]


def found(
    text: str, *, files: Mapping[str, str] | None = None, surrogate: str | None = None
) -> tuple[Diagnostic, ...]:
    """All that is said about a text."""
    try:
        return analysed(text, files=files, surrogate=surrogate).diagnostics
    except CompileError as error:
        return error.diagnostics


def codes(
    text: str, *, files: Mapping[str, str] | None = None, surrogate: str | None = None
) -> list[str]:
    """The codes of all that is said about a text, in order."""
    return [diagnostic.code for diagnostic in found(text, files=files, surrogate=surrogate)]
