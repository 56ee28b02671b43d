"""Prints one instance of a backward kernel's block: its neurons forwards again into scratch, then back in time.

Where there are checkpoints, that goes segment by segment, from the last to the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from neurodsl.csrc_gen.arguments import Argument, initial_value
from neurodsl.csrc_gen.c_names import CNames, backward_names
from neurodsl.csrc_gen.cpp import streaming, tails
from neurodsl.csrc_gen.cpp.arrays import BlockArrays, Parts
from neurodsl.csrc_gen.cpp.divisors import DividingPrinter
from neurodsl.csrc_gen.cpp.layout import EVERY, field_names, write_scalars
from neurodsl.csrc_gen.cpp.statements import write_program
from neurodsl.csrc_gen.draws import draw_line
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import BackwardPlan, Binding, KernelPlan, Scalar
from neurodsl.ir.nodes import Const, Expr, Var


class BackwardBlock:
    """One instance, PLAIN or FULL, of a backward kernel's block."""

    def __init__(
        self,
        *,
        plan: KernelPlan,
        name: str,
        chosen: BackwardPlan,
        arguments: tuple[Argument, ...],
        dividing: tuple[Scalar, ...],
        parts: Parts,
        summed: list[str],
    ) -> None:
        """`dividing`: scalars that are divided by; `parts`, `summed`: gradients of params with and without a shape."""
        self.plan, self.name, self.chosen, self.arguments = plan, name, chosen, arguments
        self.parts, self.summed = parts, summed
        self.fields = field_names(arguments)
        given = [scalar.var.name for scalar in self.plan.scalars]
        given += [self.plan.time.name] if self.plan.uses_time else []
        self.locals = CNames()
        self.names = backward_names(chosen, self.locals, given)
        self.printer = DividingPrinter(self.names, dividing, self.locals)
        self.checkpoints = [a for a in arguments if a.every > 1]
        self.recomputes = not plan.saved and bool(chosen.tape)

    def _arguments(self, *roles: str, recorded: bool = False) -> list[Argument]:
        return [
            a for a in self.arguments if a.role in roles and a.recorded is recorded and a.every == 1
        ]

    def _field(self, argument: Argument) -> str:
        return f"a.{self.fields[argument.name]}"

    def write(self, writer: Writer) -> None:
        """The function."""
        which = "full" if self.chosen.full else "plain"
        writer.line("template <typename real, bool WHOLE, bool POWERS>")
        head = f"static inline void {self.name}_{which}("
        more = ", real* parts" if self.parts else ""
        more = f"i64 n0, int count, bool stream, real* scratch, double* sum{more}) {{"
        with writer.block(f"{head}const {self.name}_arguments<real>& a, {more}"):
            writer.line("const i64 T = a.T, N = a.N;")
            writer.line(tails.WIDTH)
            write_scalars(writer, self.arguments, self.names, self.plan.scalars)
            self.printer.write(writer)
            self.arrays = BlockArrays(
                self.plan.scalars, self.fields, self.arguments, self.names, self.locals
            )
            self.arrays.gather(writer)
            write_program(writer, self.chosen.prologue, self.printer, self.names)
            carried = self._begin(writer)
            totals = self._totals(writer)
            with self._segments(writer):
                if self.recomputes:
                    self._again(writer)
                with writer.block("for (i64 t = end - 1; t >= begin; --t) {"):
                    self._step_back(writer, carried, totals)
            self._finish(writer, carried, totals)
            writer.line("(void)scratch, (void)sum;")

    @contextmanager
    def _segments(self, writer: Writer) -> Iterator[None]:
        """The loop over segments of time, the last first; without checkpoints there is one."""
        if not self.recomputes:
            writer.line("const i64 begin = 0, end = T;")
            yield
            return
        if not self.checkpoints:
            writer.line("const i64 begin = 0, end = T, next_begin = 0;")
            yield
            return
        given = " && ".join(self._field(a) for a in self.checkpoints)
        writer.line(f"const i64 length = {given} && T > {EVERY} ? {EVERY} : T;")
        writer.line("const i64 next_begin = length ? (T - 1) / length * length : 0;")
        with writer.block("for (i64 begin = next_begin; begin >= 0; begin -= length) {"):
            writer.line("const i64 end = begin + length < T ? begin + length : T;")
            writer.line(
                "const i64 from = begin ? begin - length : next_begin, at = begin ? n0 : n0 + B;"
            )
            yield
            writer.line("if (length == 0) break;")

    # --- forwards again ---

    def _again(self, writer: Writer) -> None:
        chosen = self.chosen
        states = [self.locals.fresh(f"{c.name}_now") for c in chosen.recompute_states]
        initial = {a.of: a for a in self._arguments("initial_state")}
        kept = {a.of: a for a in self.checkpoints}
        for carry, state in zip(chosen.recompute_states, states, strict=True):
            writer.line(f"alignas(64) real {state}[B];")
            argument = initial[carry.name]
            field = self._field(argument)
            value = None
            if argument.optional:
                value = self._field(initial_value(self.arguments, argument.of))
            if carry.name not in kept:
                tails.write_filled(writer, state, field, "n0", otherwise=value)
                continue
            at = f"(begin / {EVERY} - 1) * N + n0"
            with writer.block("if (begin) {"):
                tails.write_filled(writer, state, self._field(kept[carry.name]), at)
            with writer.block("else {"):
                tails.write_filled(writer, state, field, "n0", otherwise=value)
        with writer.block("for (i64 t = begin; t < end; ++t) {"):
            rows = self._input_rows(writer, chosen.recompute_inputs)
            tapes = self._tape_rows(writer, "")
            self._fetch_gradients(writer)
            self._time(writer)
            self.arrays.of_step(writer)
            writer.line("#pragma omp simd")
            with writer.block(tails.LOOP):
                self.arrays.of_neuron(writer)
                self._read(writer, chosen.recompute_inputs, rows)
                for carry, state in zip(chosen.recompute_states, states, strict=True):
                    writer.line(f"const real {self.names[carry.incoming.name]} = {state}[j];")
                write_program(writer, chosen.recompute, self.printer, self.names)
                for var, row in zip(chosen.tape, tapes, strict=True):
                    writer.line(f"{row}[j] = {self.names[var.name]};")
                for carry, state in zip(chosen.recompute_states, states, strict=True):
                    writer.line(f"{state}[j] = {self.printer.text(carry.outgoing)};")

    def _input_rows(self, writer: Writer, bindings: tuple[Binding, ...]) -> list[str]:
        inputs = {a.of: a for a in self._arguments("input")}
        rows = []
        for binding in bindings:
            if binding.name not in inputs:
                rows.append("")
                continue
            row = self.locals.fresh(f"{binding.name}_row")
            where = f"{self._field(inputs[binding.name])} + t * N + n0"
            kept = self.locals.fresh(f"{binding.name}_kept")
            tails.write_row(writer, "real", row, where, kept)
            rows.append(row)
        return rows

    def _tape_rows(self, writer: Writer, const: str) -> list[str]:
        rows = []
        saved = {a.of: a for a in self._arguments("saved")}
        count = len(self.chosen.tape)
        for place, var in enumerate(self.chosen.tape):
            row, type = self.locals.fresh(f"{var.name}_row"), "real"
            where = f"scratch + ((t - begin) * {count} + {place}) * B"
            if self.plan.saved:
                where = f"{self._field(saved[var.name])} + t * N + n0"
                type = "std::uint16_t" if saved[var.name].type == "uint16_t*" else type
                tails.write_row(writer, type, row, where, self.locals.fresh(f"{var.name}_kept"))
                rows.append(row)
                continue
            writer.line(f"{const}{type}* __restrict {row} = {where};")
            rows.append(row)
        return rows

    def _time(self, writer: Writer) -> None:
        if self._arguments("first_step"):
            name = self.names[self.plan.time.name]
            writer.line(f"const real {name} = real(a.first_step + t);")
            writer.line(f"(void){name};")

    def _read(self, writer: Writer, bindings: tuple[Binding, ...], rows: list[str]) -> None:
        for binding, row in zip(bindings, rows, strict=True):
            if row:
                writer.line(f"const real {self._name(binding.value)} = {row}[j];")
            else:
                writer.line(draw_line(binding, self.plan.draws, self.names, "n0 + j"))

    def _name(self, e: Expr) -> str:
        assert isinstance(e, Var)
        return self.names[e.name]

    # --- backwards ---

    def _begin(self, writer: Writer) -> list[str]:
        """What is carried back from step to step, with the gradients of the final states in it."""
        carried = [self.locals.fresh(f"{c.incoming.name}_now") for c in self.chosen.adjoints]
        finals = self._arguments("grad_final_state")
        for name, argument in zip(carried, finals, strict=True):
            field = self._field(argument)
            writer.line(f"alignas(64) real {name}[B];")
            tails.write_filled(writer, name, field, "n0", otherwise="real(0)")
        writer.line("alignas(64) real zeros[B] = {};")
        writer.line("(void)zeros;")
        return carried

    def _finish(self, writer: Writer, carried: list[str], totals: dict[str, str]) -> None:
        """The gradients of initial states, and the block's part of those of params."""
        writer.line("if (stream) end_of_streams();")
        for name, argument in zip(carried, self._arguments("grad_initial_state"), strict=True):
            field = self._field(argument)
            tails.write_back(writer, field, "n0", name, guard=field)
        for name, total in totals.items():
            if self.parts.has(name):
                where = self.parts.place(name)
                writer.line(f"for (int j = 0; j < n; ++j) ({where})[n0 + j] = {total}[j];")
                continue
            place = self.summed.index(name)
            writer.line(f"sum[{place}] = 0;")
            writer.line(f"for (int j = 0; j < n; ++j) sum[{place}] += double({total}[j]);")

    def _totals(self, writer: Writer) -> dict[str, str]:
        totals = {}
        for binding in self.chosen.grad_scalars:
            if self.parts.timed(binding.name):
                continue
            total = self.locals.fresh(f"total_{binding.name}")
            writer.line(f"alignas(64) real {total}[B] = {{}};")
            totals[binding.name] = total
        return totals

    def _step_back(self, writer: Writer, carried: list[str], totals: dict[str, str]) -> None:
        chosen = self.chosen
        tapes = self._tape_rows(writer, "const ")
        inputs = self._input_rows(writer, chosen.reverse_inputs)
        upstream = self._optional_rows(writer, self._arguments("grad_output"))
        recorded = self._arguments("grad_output", recorded=True) if chosen.full else []
        upstream += self._optional_rows(writer, recorded)
        kept, given = {}, []
        for argument in self._arguments("grad_input"):
            kept[argument.name] = self.locals.fresh(f"{argument.name}_kept")
            row, field = self.locals.fresh(f"{argument.name}_row"), self._field(argument)
            writer.line(f"alignas(64) real {kept[argument.name]}[B];")
            near = f"!WHOLE || stream || !{field} ? {kept[argument.name]} : {field} + t * N + n0"
            writer.line(f"real* __restrict {row} = {near};")
            given.append(row)
        self._fetch_next(writer)
        self._time(writer)
        self.arrays.of_step(writer)
        parts = self._part_rows(writer)
        writer.line("#pragma omp simd")
        with writer.block(tails.LOOP):
            for var, row in zip(chosen.tape, tapes, strict=True):
                value = f"real(of_bfloat16({row}[j]))" if self._is_half else f"{row}[j]"
                writer.line(f"const real {self.names[var.name]} = {value};")
            self.arrays.of_neuron(writer)
            self._read(writer, chosen.reverse_inputs, inputs)
            self._read(writer, (*chosen.grad_outputs, *chosen.grad_recorded), upstream)
            for carry, name in zip(chosen.adjoints, carried, strict=True):
                writer.line(f"const real {self.names[carry.incoming.name]} = {name}[j];")
            write_program(writer, chosen.reverse, self.printer, self.names)
            for binding, row in zip(chosen.grad_inputs, given, strict=True):
                writer.line(f"{row}[j] = {self.printer.text(binding.value)};")
            for binding in chosen.grad_scalars:
                value = self.printer.text(binding.value)
                if binding.name in parts:
                    writer.line(f"{parts[binding.name]}[j] = {value};")
                elif binding.value != Const(0.0):
                    writer.line(f"{totals[binding.name]}[j] += {value};")
            for carry, name in zip(chosen.adjoints, carried, strict=True):
                writer.line(f"{name}[j] = {self.printer.text(carry.outgoing)};")
        if kept:
            with writer.block("if (stream) {"):
                for argument in self._arguments("grad_input"):
                    field, near = self._field(argument), kept[argument.name]
                    call = f"stream_out<int(B * sizeof(real))>({field} + t * N + n0, {near})"
                    writer.line(f"if ({field}) {call};")
        with writer.block("if (!WHOLE) {"):
            for argument in self._arguments("grad_input"):
                field, near = self._field(argument), kept[argument.name]
                writer.line(f"if ({field}) give({field} + t * N + n0, {near}, count);")
            for name, row in parts.items():
                writer.line(f"give({self.parts.place(name)} + t * N + n0, {row}, count);")

    def _fetch(
        self, writer: Writer, t: str, n0: str, guard: str, arguments: list[Argument]
    ) -> None:
        """Ask for rows ahead of their use."""
        if all(a.optional for a in arguments):
            guard = " && ".join([guard, *(self._field(a) for a in arguments)])
        rows = [f"{self._field(a)} + {t} * N + {n0}" for a in arguments]
        streaming.write_fetches(writer, guard, rows)

    @property
    def _is_half(self) -> bool:
        return any(a.type == "uint16_t*" for a in self._arguments("saved"))

    def _fetch_gradients(self, writer: Writer) -> None:
        """While the states run forwards: gradients of the segment before, or of the next block, the last step first.

        This block's own would come too late: few steps pass until the first of them is read.
        """
        ahead = self._arguments("grad_output")
        if not self.checkpoints:
            self._fetch(writer, "(T - 1 - t)", "n0 + B", streaming.NEXT_BLOCK, ahead)
            return
        writer.line("const i64 back = (begin ? begin : T) - 1 - (t - begin);")
        self._fetch(writer, "back", "at", "WHOLE && back >= from && at + B <= N", ahead)

    def _fetch_next(self, writer: Writer) -> None:
        """Ask for what is read next: the inputs of the segment before, or the next block's rows."""
        if not self.recomputes:
            if self.plan.saved:
                ahead = self._arguments("saved", "grad_output")
                self._fetch(writer, "(T - 1 - t)", "n0 + B", streaming.NEXT_BLOCK, ahead)
            return
        read = {binding.name for binding in self.chosen.recompute_inputs}
        ahead = [a for a in self._arguments("input") if a.of in read]
        if not self.checkpoints:
            self._fetch(writer, "(T - 1 - t)", "n0 + B", streaming.NEXT_BLOCK, ahead)
            return
        writer.line("const i64 soon = from + end - 1 - t;")
        self._fetch(writer, "soon", "at", "WHOLE && soon < T && at + B <= N", ahead)

    def _part_rows(self, writer: Writer) -> dict[str, str]:
        """Where this step's parts of the gradients of params by the time go."""
        rows = {}
        for binding in self.chosen.grad_scalars:
            if self.parts.timed(binding.name):
                row = rows[binding.name] = self.locals.fresh(f"{binding.name}_part")
                kept, place = self.locals.fresh(f"{row}_kept"), self.parts.place(binding.name)
                writer.line(f"alignas(64) real {kept}[B];")
                writer.line(f"real* {row} = WHOLE ? {place} + t * N + n0 : {kept};")
        return rows

    def _optional_rows(self, writer: Writer, arguments: list[Argument]) -> list[str]:
        rows = []
        for argument in arguments:
            row = self.locals.fresh(f"{argument.name}_row")
            kept = self.locals.fresh(f"{argument.name}_kept")
            field, where = self._field(argument), f"{self._field(argument)} + t * N + n0"
            writer.line(f"alignas(64) real {kept}[B];")
            writer.line(f"if (!WHOLE && {field}) take<B>({kept}, {where}, count, real(0));")
            there = f"WHOLE ? {where} : {kept}"
            writer.line(f"const real* {row} = {field} ? ({there}) : zeros;")
            rows.append(row)
        return rows
