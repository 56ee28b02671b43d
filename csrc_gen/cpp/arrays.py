"""Params with a shape in the C++ kernels: gathered once a block, and their gradients added up in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.c_names import CNames
from neurodsl.csrc_gen.shapes import add_to_call, place_of
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import Scalar

NEURON = "(n0 + j)"


class BlockArrays:
    """What a block of neurons reads of params with a shape."""

    def __init__(
        self,
        scalars: Iterable[Scalar],
        fields: Mapping[str, str],
        arguments: Iterable[Argument],
        names: Mapping[str, str],
        locals: CNames,
    ) -> None:
        given = {a.of: f"a.{fields[a.name]}" for a in arguments if a.role == "param_tensor"}
        self.rows = [
            (s.shape, names[s.var.name], given[s.name])
            for s in scalars
            if s.shape and s.name in given
        ]
        self.held = {name: locals.fresh(f"{name}_all") for _, name, _ in self.rows}
        self.channel = locals.fresh("channel_of")

    def gather(self, writer: Writer) -> None:
        """Once a block: the values of its neurons, side by side."""
        for shape, name, field in self.rows:
            if "time" not in shape:
                writer.line(f"alignas(64) real {self.held[name]}[B];")
                writer.line(
                    f"for (int j = 0; j < n; ++j) {self.held[name]}[j] = {field}[{place_of(shape, NEURON)}];"
                )
                self._pad(writer, self.held[name])
        if any(shape == ("time", "channel") for shape, _, _ in self.rows):
            writer.line(f"i64 {self.channel}[B];")
            writer.line(
                f"for (int j = 0; j < n; ++j) {self.channel}[j] = {place_of(('channel',), NEURON)};"
            )
            self._pad(writer, self.channel)

    @staticmethod
    def _pad(writer: Writer, values: str) -> None:
        """Beside a block that is not whole stand values of its first neuron."""
        writer.line(f"for (int j = n; j < width; ++j) {values}[j] = {values}[0];")

    def of_step(self, writer: Writer) -> None:
        """Once a time step."""
        for shape, name, field in self.rows:
            if shape == ("time",):
                writer.line(f"const real {name} = {field}[t];")
                writer.line(f"(void){name};")

    def of_neuron(self, writer: Writer) -> None:
        """For each neuron and step."""
        for shape, name, field in self.rows:
            if "time" not in shape:
                writer.line(f"const real {name} = {self.held[name]}[j];")
            elif shape == ("time", "channel"):
                writer.line(f"const real {name} = {field}[t * a.C + {self.channel}[j]];")


class Parts:
    """Each neuron's part of the gradients of params with a shape: where it is left, and what adds it up."""

    def __init__(self, scalars: Iterable[Scalar]) -> None:
        shaped = [s for s in scalars if s.shape]
        self._fixed = [s.name for s in shaped if "time" not in s.shape]
        self._timed = [s.name for s in shaped if "time" in s.shape]
        self._shapes = {s.name: s.shape for s in shaped}

    def __bool__(self) -> bool:
        return bool(self._shapes)

    def has(self, name: str) -> bool:
        """Whether a scalar of this name has a shape."""
        return name in self._shapes

    def timed(self, name: str) -> bool:
        """Whether there is a part for each step."""
        return name in self._timed

    @property
    def size(self) -> str:
        """How many numbers there are in all."""
        return f"N * ({len(self._fixed)} + a.T * {len(self._timed)})"

    def place(self, name: str) -> str:
        """Where the parts of one begin, `[N]` or `[T, N]`."""
        if name in self._fixed:
            return f"parts + {self._fixed.index(name)} * N"
        return f"parts + ({len(self._fixed)} + {self._timed.index(name)} * a.T) * N"

    def add(self, writer: Writer, name: str, field: str) -> None:
        """Add the parts up into the gradient."""
        call = add_to_call(self._shapes[name], self.place(name), field)
        writer.line(f"if ({field}) {call}")
