"""Prints the forward kernels in C++: a block of neurons goes through all time steps with its states in registers."""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import (
    Argument,
    Pass,
    forward_arguments,
    initial_value,
)
from neurodsl.csrc_gen.c_names import CNames, forward_names
from neurodsl.csrc_gen.cpp import streaming, tails
from neurodsl.csrc_gen.cpp.arrays import BlockArrays
from neurodsl.csrc_gen.cpp.divisors import DividingPrinter, divisors, powers
from neurodsl.csrc_gen.cpp.layout import (
    EVERY,
    PARALLEL_FROM,
    field_names,
    is_long,
    write_scalars,
    write_struct,
)
from neurodsl.csrc_gen.cpp.statements import write_program
from neurodsl.csrc_gen.draws import draw_line
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import Binding, KernelPlan
from neurodsl.ir.nodes import Var


def forward_entries(plan: KernelPlan) -> list[tuple[Pass, tuple[Argument, ...]]]:
    """The forward kernels of a neuron and their arguments; one that saves only where something is saved."""
    passes = (Pass.FORWARD, Pass.FORWARD_TRAIN)
    return [
        (which, forward_arguments(plan, which, initial_values=True, every=EVERY))
        for which in passes[: 2 if plan.saved or plan.checkpoints else 1]
    ]


class ForwardPrinter:
    """One forward kernel: `forward`, or `forward_train`, which writes the tape too.

    Checkpoints are written by `forward` itself, where there is a place for them.
    """

    def __init__(self, plan: KernelPlan, which: Pass) -> None:
        self.plan, self.which = plan, which
        taken = Pass.FORWARD_TRAIN if plan.checkpoints else which
        self.arguments = forward_arguments(plan, taken, initial_values=True, every=EVERY)
        self.fields = field_names(self.arguments)
        self.struct = f"{which.value}_arguments"
        given = [scalar.var.name for scalar in plan.scalars]
        given += [plan.time.name] if plan.uses_time else []
        self.locals = CNames()
        self.names = forward_names(plan.forward, self.locals, given)
        self.dividing = divisors([plan.forward.step], plan.scalars)
        self.printer = DividingPrinter(self.names, self.dividing, self.locals)
        self.rows: dict[str, str] = {}

    def write(self, writer: Writer) -> None:
        """The struct, the block, and the loop over blocks."""
        write_struct(writer, self.struct, self.arguments)
        writer.line()
        self._block(writer)
        writer.line()
        self._driver(writer)
        writer.line()

    def _of_role(self, *roles: str) -> list[Argument]:
        return [a for a in self.arguments if a.role in roles and a.every == 1]

    def _block(self, writer: Writer) -> None:
        writer.line("template <typename real, bool WHOLE, bool RECORD, bool STREAM, bool POWERS>")
        head = f"static inline void {self.which.value}_block(const {self.struct}<real>& a, i64 n0, int count) {{"
        with writer.block(head):
            writer.line("const i64 T = a.T, N = a.N;")
            writer.line(tails.WIDTH)
            write_scalars(writer, self.arguments, self.names, self.plan.scalars)
            self.printer.write(writer)
            self.arrays = BlockArrays(
                self.plan.scalars, self.fields, self.arguments, self.names, self.locals
            )
            self.arrays.gather(writer)
            states = [self.locals.fresh(f"{c.name}_now") for c in self.plan.forward.states]
            for state in states:
                writer.line(f"alignas(64) real {state}[B];")
            for state, argument in zip(states, self._of_role("initial_state"), strict=True):
                value = None
                if argument.optional:
                    given = initial_value(self.arguments, argument.of)
                    value = f"a.{self.fields[given.name]}"
                field = f"a.{self.fields[argument.name]}"
                tails.write_filled(writer, state, field, "n0", otherwise=value)
            self.kept = {
                a.name: self.locals.fresh(f"{a.name}_kept")
                for a in self._of_role("output", "saved", "recorded")
            }
            for argument in self._of_role("output", "saved", "recorded"):
                name = self.kept[argument.name]
                writer.line(f"alignas(64) {_type(argument)} {name}[B];")
                writer.line(f"(void){name};")
            with writer.block("for (i64 t = 0; t < T; ++t) {"):
                self._checkpoints(writer, states)
                self._rows(writer)
                ahead = [f"a.{self.fields[a.name]} + row + B" for a in self._of_role("input")]
                streaming.write_fetches(writer, streaming.NEXT_BLOCK, ahead)
                self.arrays.of_step(writer)
                self._step(writer, states)
                self._give(writer)
            writer.line("if (STREAM) end_of_streams();")
            for state, argument in zip(states, self._of_role("final_state"), strict=True):
                tails.write_back(writer, f"a.{self.fields[argument.name]}", "n0", state)

    def _give(self, writer: Writer) -> None:
        """What was worked out in memory of the block's own goes where it belongs."""
        with writer.block("if (STREAM) {"):
            for argument in self._of_role("output"):
                target = f"a.{self.fields[argument.name]} + row"
                kept = self.kept[argument.name]
                writer.line(f"stream_out<int(B * sizeof(real))>({target}, {kept});")
        with writer.block("if (!WHOLE) {"):
            for argument in self._of_role("output", "saved", "recorded"):
                field, kept = f"a.{self.fields[argument.name]}", self.kept[argument.name]
                guard = f"if (RECORD && {field}) " if argument.role == "recorded" else ""
                writer.line(f"{guard}give({field} + row, {kept}, count);")

    def _checkpoints(self, writer: Writer, states: list[str]) -> None:
        """The states before every so many steps, where there is a place for them."""
        kept = [a for a in self.arguments if a.every > 1]
        if not kept:
            return
        given = " && ".join(f"a.{self.fields[a.name]}" for a in kept)
        by_name = dict(zip((c.name for c in self.plan.forward.states), states, strict=True))
        with writer.block(f"if (t && t % {EVERY} == 0 && {given}) {{"):
            writer.line(f"const i64 at = (t / {EVERY} - 1) * N + n0;")
            for argument in kept:
                field, state = f"a.{self.fields[argument.name]}", by_name[argument.of]
                tails.write_back(writer, field, "at", state)

    def _rows(self, writer: Writer) -> None:
        """Pointers to this step's rows of what is read and written."""
        writer.line("const i64 row = t * N + n0;")
        for argument in self._of_role("input", "output", "saved", "recorded"):
            local = self.rows[argument.name] = self.locals.fresh(f"{argument.name}_row")
            type, field = _type(argument), f"a.{self.fields[argument.name]}"
            if argument.role == "input":
                kept = self.locals.fresh(f"{argument.name}_kept")
                tails.write_row(writer, type, local, f"{field} + row", kept)
                continue
            there = {"output": "WHOLE && !STREAM", "recorded": f"WHOLE && RECORD && {field}"}
            restrict = "" if argument.role == "recorded" else " __restrict"
            kept = self.kept[argument.name]
            where = f"{there.get(argument.role, 'WHOLE')} ? {field} + row : {kept}"
            writer.line(f"{type}*{restrict} {local} = {where};")
        if any(a.role == "first_step" for a in self.arguments):
            writer.line(f"const real {self.names[self.plan.time.name]} = real(a.first_step + t);")

    def _step(self, writer: Writer, states: list[str]) -> None:
        forward = self.plan.forward
        writer.line("#pragma omp simd")
        with writer.block(tails.LOOP):
            self.arrays.of_neuron(writer)
            for binding in forward.inputs:
                assert isinstance(binding.value, Var)
                if binding.name not in self.rows:
                    writer.line(draw_line(binding, self.plan.draws, self.names, "n0 + j"))
                    continue
                name = self.names[binding.value.name]
                writer.line(f"const real {name} = {self.rows[binding.name]}[j];")
            for carry, state in zip(forward.states, states, strict=True):
                writer.line(f"const real {self.names[carry.incoming.name]} = {state}[j];")
            write_program(writer, forward.step, self.printer, self.names)
            self._stores(writer, "output", forward.outputs)
            for argument in self._of_role("saved"):
                value = self.names[argument.of]
                value = f"to_bfloat16({value})" if argument.type == "uint16_t*" else value
                writer.line(f"{self.rows[argument.name]}[j] = {value};")
            if forward.recordable:
                with writer.block("if (RECORD) {"):
                    self._stores(writer, "recorded", forward.recordable)
            for carry, state in zip(forward.states, states, strict=True):
                writer.line(f"{state}[j] = {self.printer.text(carry.outgoing)};")

    def _stores(self, writer: Writer, role: str, bindings: tuple[Binding, ...]) -> None:
        for argument, binding in zip(self._of_role(role), bindings, strict=True):
            writer.line(f"{self.rows[argument.name]}[j] = {self.printer.text(binding.value)};")

    def _driver(self, writer: Writer) -> None:
        which, struct = self.which.value, self.struct
        writer.line("template <typename real, bool RECORD, bool STREAM, bool POWERS>")
        with writer.block(f"static void {which}_blocks(const {struct}<real>& a) {{"):
            writer.line("const i64 N = a.N, blocks = (N + B - 1) / B;")
            head = f"in_parallel(blocks, a.T * N >= {PARALLEL_FROM}, [&](i64 first, i64 last) {{"
            with writer.block(head, "});"), writer.block("for (i64 b = first; b < last; ++b) {"):
                writer.line("const i64 n0 = b * B;")
                writer.line("const int count = N - n0 < B ? int(N - n0) : B;")
                one = is_long(self.plan)
                whole = f"{which}_block<real, true, RECORD, STREAM, POWERS>(a, n0, B)"
                own = "POWERS" if one else "false"
                rest = f"{which}_block<real, false, RECORD, false, {own}>(a, n0, count)"
                tails.write_calls(writer, whole, rest, one=one)
        writer.line()
        with writer.block(f"template <typename real> int {which}_run(const {struct}<real>& a) {{"):
            self._choose(writer)
            writer.line("return 0;")

    def _choose(self, writer: Writer) -> None:
        """Which instance of the kernel serves a call."""
        which = self.which.value
        wanted = " || ".join(f"a.{self.fields[a.name]}" for a in self._of_role("recorded"))
        written = [f"a.{self.fields[a.name]}" for a in self._of_role("output")]
        writer.line(f"const bool large = {streaming.condition(written, 1)};")
        if wanted:
            writer.line(f"if ({wanted}) {which}_blocks<real, true, false, false>(a);")
        chosen = powers(self.dividing, self.arguments, self.fields)
        otherwise = "else " if wanted else ""
        call = f"{which}_blocks<real, false"
        writer.line(f"{otherwise}if (large) {call}, is_float<real>, false>(a);")
        if chosen:
            writer.line(f"else if ({chosen}) {call}, false, is_float<real>>(a);")
        writer.line(f"else {call}, false, false>(a);")


def _type(argument: Argument) -> str:
    return "std::uint16_t" if argument.type == "uint16_t*" else "real"
