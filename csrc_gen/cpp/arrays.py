"""Params with a shape in the C++ kernels: gathered once a block, and their gradients added up in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.c_names import CNames
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import Scalar

ADD_TO = """// Adds what each neuron gave to the value that it shares, N = rows * C * inner, in a fixed order.
template <typename real> static void add_to(const real* parts, i64 N, i64 C, i64 inner, real* total) {
    if (N == 0) return;
    const i64 rows = N / (C * inner);
    for (i64 c = 0; c < C; ++c) {
        double all = 0;
        for (i64 b = 0; b < rows; ++b)
            for (i64 i = 0; i < inner; ++i) all += double(parts[(b * C + c) * inner + i]);
        total[c] += real(all);
    }
}"""


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
            if shape in _PLACES:
                writer.line(f"alignas(64) real {self.held[name]}[B];")
                writer.line(
                    f"for (int j = 0; j < n; ++j) {self.held[name]}[j] = {field}[{_PLACES[shape]}];"
                )
        if any(shape == ("time", "channel") for shape, _, _ in self.rows):
            writer.line(f"i64 {self.channel}[B];")
            writer.line(f"for (int j = 0; j < n; ++j) {self.channel}[j] = {_PLACES[('channel',)]};")

    def of_step(self, writer: Writer) -> None:
        """Once a time step."""
        for shape, name, field in self.rows:
            if shape == ("time",):
                writer.line(f"const real {name} = {field}[t];")
                writer.line(f"(void){name};")

    def of_neuron(self, writer: Writer) -> None:
        """For each neuron and step."""
        for shape, name, field in self.rows:
            if shape in _PLACES:
                writer.line(f"const real {name} = {self.held[name]}[j];")
            elif shape == ("time", "channel"):
                writer.line(f"const real {name} = {field}[t * a.C + {self.channel}[j]];")


_PLACES = {
    ("channel",): "(n0 + j) / a.inner % a.C",
    ("neuron",): "(n0 + j) % (a.C * a.inner)",
}


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
        place = self.place(name)
        match self._shapes[name]:
            case ("channel",):
                text = f"add_to({place}, N, a.C, a.inner, {field});"
            case ("neuron",):
                text = f"add_to({place}, N, a.C * a.inner, i64(1), {field});"
            case ("time",):
                text = f"for (i64 t = 0; t < a.T; ++t) add_to({place} + t * N, N, i64(1), N, {field} + t);"
            case _:
                text = (
                    f"for (i64 t = 0; t < a.T; ++t) "
                    f"add_to({place} + t * N, N, a.C, a.inner, {field} + t * a.C);"
                )
        writer.line(f"if ({field}) {text}")
