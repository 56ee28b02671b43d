"""What the library holds, as rows for `neurodsl list`: neurons with their params, surrogates with their formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neurodsl.options import Options
from neurodsl.sema.model import FileModel


@dataclass(frozen=True, slots=True)
class NeuronRow:
    """A neuron of the library; `params` are `name=default` texts."""

    name: str
    summary: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The row as a JSON object."""
        return {
            "name": self.name,
            "summary": self.summary,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "params": list(self.params),
        }


@dataclass(frozen=True, slots=True)
class SurrogateRow:
    """A surrogate of the library: as it is called with its defaults, and its definition."""

    name: str
    call: str
    formula: str

    def as_json(self) -> dict[str, Any]:
        """The row as a JSON object."""
        return {"name": self.name, "call": self.call, "formula": self.formula}


def library_neurons() -> tuple[NeuronRow, ...]:
    """Every neuron of the library, in the library's order."""
    from neurodsl.library import names

    return tuple(_neuron(name) for name in names())


def library_surrogates() -> tuple[SurrogateRow, ...]:
    """Every surrogate of the library, in the order written."""
    from neurodsl.diagnostics import Report
    from neurodsl.frontend import ast, parse
    from neurodsl.frontend.printer import expression_text
    from neurodsl.library import surrogates_source

    name, text = surrogates_source()
    rows = []
    for item in parse(text, name, Report()).items:
        if isinstance(item, ast.Surrogate):
            arguments = ", ".join(
                f"{p.name.name}={expression_text(p.default)}"
                for p in item.parameters[1:]
                if p.default is not None
            )
            formula = "; ".join(
                f"{d.target.name} = {expression_text(d.value)}" for d in item.definitions
            )
            rows.append(SurrogateRow(item.name.name, f"{item.name.name}({arguments})", formula))
    return tuple(rows)


def _neuron(name: str) -> NeuronRow:
    model = next(n for n in _model(name).neurons if n.name == name)
    summary = (model.docstring or "").strip().splitlines() or [""]
    params = tuple(
        p.name if p.value is None else f"{p.name}={_number(p.value)}" for p in model.params
    )
    return NeuronRow(name, summary[0], model.inputs, model.outputs, params)


def _number(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _model(name: str) -> FileModel:
    from neurodsl.driver import analyse_text
    from neurodsl.files import disk_loader
    from neurodsl.library import find

    found = find(name)
    assert found is not None
    return analyse_text(found[1], found[0], Options(), disk_loader).model
