"""Params with a shape in the CUDA kernels: where a thread finds its neuron's value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.shapes import place_of
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import Scalar


def write_arrays(
    writer: Writer,
    scalars: Iterable[Scalar],
    fields: Mapping[str, str],
    arguments: Iterable[Argument],
    names: Mapping[str, str],
    *,
    timed: bool,
) -> None:
    """Each value as a local; those that change with the time where `timed`, the others before the loop."""
    given = {a.of: fields[a.name] for a in arguments if a.role == "param_tensor"}
    for scalar in scalars:
        if scalar.shape and ("time" in scalar.shape) is timed and scalar.name in given:
            place = place_of(scalar.shape, "n")
            local = names[scalar.var.name]
            writer.line(f"const real {local} = a.{given[scalar.name]}[{place}];")
