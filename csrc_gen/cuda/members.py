"""The members of a thread's struct that both passes have: scalars, divisors, values of params with a shape, states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.c_names import OF_KERNELS
from neurodsl.csrc_gen.cpp.layout import field_names
from neurodsl.csrc_gen.cuda.arguments import STREAMS
from neurodsl.csrc_gen.cuda.printers import is_distance
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import Scalar
from neurodsl.ir.nodes import Expr, IRType, Op, Var

RESERVED = """io V K RECORDED SINGLE LENGTH WHOLE CHECKED pack words load store load_values store_values get put fixed
divisor quotient checked fma first args length steps segment finish again keep BLOCK STEPS fast_exp
fast_sigmoid signed_distance sums warps address in_packs corrects zero at count stride pin place_type at
kept_at difference add_quotient reaches is_finite block_sum add_shared threads begin VALUE blocks_for
least most half_bits bfloat16_bits""".split()  # noqa: SIM905
"""Names of CUDA texts beside those of C++ ones."""

DERIVED = rf"{OF_KERNELS}|^(own|by|kept)_|_(pack|type)$"
"""What CUDA texts make of other names; a variable of a neuron that is called so gets another name."""


def pointer_type(argument: Argument) -> str:
    """What an array's elements are: `io`, `real`, or what is named."""
    if argument.role in STREAMS and argument.type == "real*":
        return "io"
    return argument.type[:-1]


def write_arguments(writer: Writer, name: str, arguments: tuple[Argument, ...]) -> None:
    """The arguments of a kernel as one struct."""
    spelt = field_names(arguments)
    with writer.block(f"template <typename io, typename real> struct {name} {{", "};"):
        for argument in arguments:
            writer.line(f"{declared(argument, spelt[argument.name])};")


def declared(argument: Argument, name: str, restrict: str = "") -> str:
    """An argument as it is declared."""
    if not argument.is_pointer:
        return f"{argument.type} {name}"
    const = "const " if argument.access == "read" else ""
    return f"{const}{pointer_type(argument)}*{restrict} {name}"


@dataclass(frozen=True, slots=True)
class Members:
    """What a kernel's threads know of the call: its scalars, where they are in the arguments, their names."""

    arguments: tuple[Argument, ...]
    names: Mapping[str, str]
    scalars: tuple[Scalar, ...]
    by: Mapping[str, str]
    read: tuple[Expr, ...]
    """What the threads work out."""
    neuron: str = "n + j"
    """The j-th neuron of a thread."""
    narrow: str = "(V > 1)"
    """Whether 32 bits count the elements of an array."""

    @property
    def fields(self) -> dict[str, str]:
        """Each argument's field."""
        return field_names(self.arguments)

    @property
    def _values(self) -> dict[str, Argument]:
        return {a.of: a for a in self.arguments if a.role in ("param", "uniform")}

    @property
    def plain(self) -> list[Scalar]:
        """Scalars without a shape that the kernel has, in order."""
        return [s for s in self.scalars if not s.shape and s.name in self._values]

    @property
    def fixed(self) -> list[Scalar]:
        """Scalars that kernels are compiled for: booleans, and those that are usually 0 and only added or chosen."""
        loose = {name for e in self.read for name in _in_other_places(e)}
        return [
            s
            for s in self.plain
            if s.var.type is IRType.BOOL
            or (s.default == 0 and not s.is_uniform and s.var.name not in loose)
        ]

    @property
    def template(self) -> str:
        """What follows `int V` in the list of a thread's template parameters."""
        types = "".join(f", typename {self.names[s.var.name]}_type" for s in self.fixed)
        return ", bool CHECKED" + types

    @property
    def passed(self) -> str:
        """The same parameters, passed on."""
        return ", CHECKED" + "".join(f", {self.names[s.var.name]}_type" for s in self.fixed)

    @property
    def usual(self) -> tuple[str, str]:
        """The condition that all `fixed` have their usual value, and the types that say so."""
        tests, types = [], []
        for scalar in self.fixed:
            if scalar.var.type is IRType.BOOL:
                tests.append(f"{'' if scalar.default else '!'}a.{self._field(scalar)}")
                types.append(f"fixed<{'true' if scalar.default else 'false'}>")
            else:
                tests.append(f"({self.value(scalar)}) == real(0)")
                types.append("zero<real>")
        return " && ".join(tests), "".join(f", {type}" for type in types)

    @property
    def loose(self) -> str:
        """The types of `fixed` where they may have any value."""
        boolean = [s.var.type is IRType.BOOL for s in self.fixed]
        return "".join(", bool" if one else ", real" for one in boolean)

    def _field(self, scalar: Scalar) -> str:
        return self.fields[self._values[scalar.name].name]

    def value(self, scalar: Scalar) -> str:
        """A scalar's value, from the tensor where there is one."""
        value = f"a.{self._field(scalar)}"
        if scalar.var.type is IRType.BOOL:
            return f"{value} != 0"
        pointers = {a.of: a for a in self.arguments if a.role.endswith("_tensor")}
        pointer = f"a.{self.fields[pointers[scalar.name].name]}"
        return f"{pointer} ? *{pointer} : {value}"

    @property
    def divisors(self) -> str:
        """The divisors as parameters of a function."""
        return "".join(f", const divisor<real>& own_{by}" for by in self.by.values())

    @property
    def divided(self) -> str:
        """The divisors as they are given to a function."""
        return "".join(f", own_{by}" for by in self.by.values())

    def write_divisors(self, writer: Writer) -> None:
        """Once a kernel: the divisors as locals."""
        scalars = {s.var.name: s for s in self.plain}
        for name, by in self.by.items():
            writer.line(f"const divisor<real> own_{by}({self.value(scalars[name])});")

    def shaped(self, *, timed: bool) -> list[tuple[Scalar, str]]:
        """Params with a shape and their fields."""
        given = {a.of: self.fields[a.name] for a in self.arguments if a.role == "param_tensor"}
        return [
            (s, given[s.name])
            for s in self.scalars
            if s.shape and ("time" in s.shape) is timed and s.name in given
        ]

    def declare(self, writer: Writer) -> None:
        """One line a member."""
        writer.line(f"typedef typename count<{self.narrow}>::type place_type;")
        writer.line("const place_type stride;")
        writer.line("place_type at;")
        for scalar in self.plain:
            name = self.names[scalar.var.name]
            boolean = scalar.var.type is IRType.BOOL
            type = f"{name}_type" if scalar in self.fixed else "bool" if boolean else "real"
            writer.line(f"const {type} {name};")
        for by in self.by.values():
            writer.line(f"const checked<real, CHECKED> {by};")
        for scalar, _ in self.shaped(timed=False):
            writer.line(f"real {self.names[scalar.var.name]}_of[V];")
        if any("channel" in scalar.shape for scalar, _ in self.shaped(timed=True)):
            writer.line("int64_t channel_of[V];")

    def initialise(self) -> list[str]:
        """The constructor's initialisers."""
        made = ["stride(static_cast<place_type>(a.N))"]
        made += [f"{self.names[s.var.name]}({self.value(s)})" for s in self.plain]
        return made + [f"{by}(own_{by})" for by in self.by.values()]

    @property
    def _channel(self) -> str:
        return f"({self.neuron}) / a.inner % a.C"

    def gather(self, writer: Writer) -> None:
        """In the constructor: values of params with a shape."""
        for scalar, field in self.shaped(timed=False):
            place = f"({self.neuron}) % (a.C * a.inner)"
            if "neuron" not in scalar.shape:
                place = self._channel
            name = self.names[scalar.var.name]
            writer.line(f"for (int j = 0; j < V; ++j) {name}_of[j] = a.{field}[{place}];")
        if any("channel" in scalar.shape for scalar, _ in self.shaped(timed=True)):
            writer.line(f"for (int j = 0; j < V; ++j) channel_of[j] = {self._channel};")

    def read_shaped(self, writer: Writer) -> None:
        """In a step, for neuron j: the values as locals."""
        for scalar, _ in self.shaped(timed=False):
            name = self.names[scalar.var.name]
            writer.line(f"const real {name} = {name}_of[j];")
        for scalar, field in self.shaped(timed=True):
            place = "t * a.C + channel_of[j]" if "channel" in scalar.shape else "t"
            writer.line(f"const real {self.names[scalar.var.name]} = a.{field}[{place}];")


def conditions(
    members: Members, dividing: Iterable[Scalar], packed: Iterable[Argument]
) -> tuple[str, str]:
    """The conditions under which steps check nothing, and V neurons of these arrays may move together."""
    tests = [f"corrects({members.value(scalar)})" for scalar in dividing]
    thresholds = {name for e in members.read for name in _thresholds(e)}
    tests += [f"is_finite({members.value(s)})" for s in members.plain if s.var.name in thresholds]
    places = " | ".join(f"address(a.{members.fields[a.name]})" for a in packed)
    return " && ".join(tests), f"in_packs(a.T, a.N, V, {places or 'uint64_t(0)'})"


def _in_other_places(e: Expr) -> Iterator[str]:
    """Names of variables that are read elsewhere than in a difference or as what is chosen."""
    if isinstance(e, Var):
        yield e.name
    if not isinstance(e, Op):
        return
    for place, argument in enumerate(e.args):
        free = e.name == "sub" or (e.name == "select" and place > 0)
        if not (free and isinstance(argument, Var)):
            yield from _in_other_places(argument)


def _thresholds(e: Expr) -> Iterator[str]:
    """Names of variables that distances are measured from."""
    if not isinstance(e, Op):
        return
    if is_distance(e):
        distance = e.args[0]
        assert isinstance(distance, Op)
        if isinstance(distance.args[1], Var):
            yield distance.args[1].name
    for argument in e.args:
        yield from _thresholds(argument)
