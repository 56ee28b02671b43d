"""Prints the backward kernels in C++: a block of neurons is run forwards again into scratch, then walked back in time.

Each kernel is instantiated twice: PLAIN gives the gradients of inputs and initial states, FULL those of scalars and
of recorded values too. Sums over neurons are taken block by block, in the blocks' order, whatever the threads.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from neurodsl.csrc_gen.arguments import (
    Argument,
    backward_arguments,
    differentiable,
    initial_value,
)
from neurodsl.csrc_gen.c_names import CNames, backward_names
from neurodsl.csrc_gen.cpp import streaming
from neurodsl.csrc_gen.cpp.arrays import BlockArrays, Parts
from neurodsl.csrc_gen.cpp.layout import (
    PARALLEL_FROM,
    field_names,
    write_scalars,
    write_struct,
)
from neurodsl.csrc_gen.cpp.statements import write_program
from neurodsl.csrc_gen.draws import draw_line
from neurodsl.csrc_gen.expr_printer import ExpressionPrinter
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import BackwardPlan, Binding, KernelPlan
from neurodsl.ir.nodes import Const, Expr, Var


class BackwardPrinter:
    """One backward kernel: `name` is `backward` or `backward_detached`."""

    def __init__(
        self, plan: KernelPlan, name: str, passes: tuple[BackwardPlan, BackwardPlan]
    ) -> None:
        self.plan, self.name, self.passes = plan, name, passes
        self.arguments = backward_arguments(plan, passes, initial_values=True)
        self.fields = field_names(self.arguments)
        self.struct = f"{name}_arguments"
        self.scratch = max(len(chosen.tape) for chosen in passes) if not plan.saved else 0
        self.parts = Parts(differentiable(plan))
        self.summed = [s.name for s in differentiable(plan) if not s.shape]
        self.sums = len(self.summed)
        self.more = ", real* parts" if self.parts else ""

    def write(self, writer: Writer) -> None:
        """The struct, both blocks, and the loop over blocks."""
        write_struct(writer, self.struct, self.arguments)
        writer.line()
        for chosen in self.passes:
            _Block(self, chosen).write(writer)
            writer.line()
        self._driver(writer)
        writer.line()

    def _driver(self, writer: Writer) -> None:
        name = self.name
        writer.line("template <typename real, bool FULL, bool STREAM>")
        with writer.block(
            f"static int {name}_blocks(const {self.struct}<real>& a, double* sums{self.more}) {{"
        ):
            writer.line("const i64 N = a.N, blocks = (N + B - 1) / B;")
            writer.line("int failed = 0;")
            writer.line(
                f"#pragma omp parallel if (blocks > 1 && a.T * N >= {PARALLEL_FROM}) reduction(| : failed)"
            )
            with writer.block("{"):
                writer.line(f"real* scratch = allocate<real>(a.T * B * {self.scratch});")
                writer.line("failed = scratch == nullptr;")
                writer.line("#pragma omp for schedule(static)")
                with writer.block("for (i64 b = 0; b < blocks; ++b) {"):
                    writer.line("if (failed) continue;")
                    writer.line("const i64 n0 = b * B;")
                    writer.line(f"double* sum = FULL ? sums + b * {max(self.sums, 1)} : sums;")
                    with writer.block("if (FULL) {"):
                        self._choose(writer, "full")
                    with writer.block("else {"):
                        self._choose(writer, "plain")
                writer.line("std::free(scratch);")
            writer.line("return failed;")
        writer.line()
        self._run(writer)

    def _choose(self, writer: Writer, which: str) -> None:
        name, more = self.name, ", parts" if self.parts else ""
        stream = "STREAM" if which == "plain" else "false"
        call = f"{name}_{which}<real, true, {stream}>(a, n0, B, scratch, sum{more})"
        writer.line(f"if (N - n0 >= B) {call};")
        call = f"{name}_{which}<real, false, false>(a, n0, int(N - n0), scratch, sum{more})"
        writer.line(f"else {call};")

    def _run(self, writer: Writer) -> None:
        wanted = [a for a in self.arguments if a.role == "grad_param" or a.recorded]
        none, more = (", nullptr", ", parts") if self.parts else ("", "")
        with writer.block(
            f"template <typename real> int {self.name}_run(const {self.struct}<real>& a) {{"
        ):
            made = [f"a.{self.fields[a.name]}" for a in self.arguments if a.role == "grad_input"]
            moved = ("input", "saved", "grad_output", "grad_input")
            arrays = sum(a.role in moved and not a.recorded for a in self.arguments)
            writer.line(f"const bool large = {streaming.condition(made, arrays)};")
            with self._only_where(writer, wanted):
                writer.line(
                    f"if (large) return {self.name}_blocks<real, false, true>(a, nullptr{none});"
                )
                writer.line(f"return {self.name}_blocks<real, false, false>(a, nullptr{none});")
            if not wanted:
                return
            writer.line("const i64 N = a.N, blocks = (N + B - 1) / B;")
            writer.line(f"double* sums = allocate<double>(blocks * {max(self.sums, 1)});")
            writer.line("if (sums == nullptr) return 1;")
            if self.parts:
                writer.line(f"real* parts = allocate<real>({self.parts.size});")
                writer.line("if (parts == nullptr) return std::free(sums), 1;")
            writer.line(f"const int failed = {self.name}_blocks<real, true, false>(a, sums{more});")
            with writer.block("if (!failed) {"):
                for argument in (a for a in self.arguments if a.role == "grad_param"):
                    field = f"a.{self.fields[argument.name]}"
                    if self.parts.has(argument.of):
                        self.parts.add(writer, argument.of, field)
                        continue
                    place = self.summed.index(argument.of)
                    writer.line(
                        f"if ({field}) add_up(sums + {place}, {self.sums}, blocks, {field});"
                    )
            if self.parts:
                writer.line("std::free(parts);")
            writer.line("std::free(sums);")
            writer.line("return failed;")

    def _only_where(self, writer: Writer, wanted: list[Argument]) -> AbstractContextManager[None]:
        """A block for calls that want none of these."""
        if not wanted:
            return nullcontext()
        shown = " || ".join(f"a.{self.fields[a.name]}" for a in wanted)
        return writer.block(f"if (!({shown})) {{")


class _Block:
    """One instance, PLAIN or FULL, of a backward kernel's block."""

    def __init__(self, kernel: BackwardPrinter, chosen: BackwardPlan) -> None:
        self.kernel, self.chosen, self.plan = kernel, chosen, kernel.plan
        given = [scalar.var.name for scalar in self.plan.scalars]
        given += [self.plan.time.name] if self.plan.uses_time else []
        self.locals = CNames()
        self.names = backward_names(chosen, self.locals, given)
        self.printer = ExpressionPrinter(self.names)

    def _arguments(self, *roles: str, recorded: bool = False) -> list[Argument]:
        return [a for a in self.kernel.arguments if a.role in roles and a.recorded is recorded]

    def _field(self, argument: Argument) -> str:
        return f"a.{self.kernel.fields[argument.name]}"

    def write(self, writer: Writer) -> None:
        which = "full" if self.chosen.full else "plain"
        writer.line("template <typename real, bool WHOLE, bool STREAM>")
        head = f"static inline void {self.kernel.name}_{which}("
        more = f"i64 n0, int count, real* scratch, double* sum{self.kernel.more}) {{"
        with writer.block(f"{head}const {self.kernel.struct}<real>& a, {more}"):
            writer.line("const i64 T = a.T, N = a.N;")
            writer.line("const int n = WHOLE ? B : count;")
            write_scalars(writer, self.kernel.arguments, self.names, self.plan.scalars)
            self.arrays = BlockArrays(
                self.plan.scalars,
                self.kernel.fields,
                self.kernel.arguments,
                self.names,
                self.locals,
            )
            self.arrays.gather(writer)
            write_program(writer, self.chosen.prologue, self.printer, self.names)
            if not self.plan.saved and self.chosen.tape:
                self._again(writer)
            self._backwards(writer)
            writer.line("(void)scratch, (void)sum;")

    # --- forwards again ---

    def _again(self, writer: Writer) -> None:
        chosen = self.chosen
        states = [self.locals.fresh(f"{c.name}_now") for c in chosen.recompute_states]
        initial = {a.of: a for a in self._arguments("initial_state")}
        for carry, state in zip(chosen.recompute_states, states, strict=True):
            writer.line(f"alignas(64) real {state}[B];")
            argument = initial[carry.name]
            field = self._field(argument)
            first = f"{field}[n0 + j]"
            if argument.optional:
                value = self._field(initial_value(self.kernel.arguments, argument.of))
                first = f"{field} ? {first} : {value}"
            writer.line(f"for (int j = 0; j < n; ++j) {state}[j] = {first};")
        with writer.block("for (i64 t = 0; t < T; ++t) {"):
            rows = self._input_rows(writer, chosen.recompute_inputs)
            tapes = self._tape_rows(writer, "")
            self._fetch(writer, "t", "n0", "WHOLE", self._arguments("grad_output"))
            self._time(writer)
            self.arrays.of_step(writer)
            writer.line("#pragma omp simd")
            with writer.block("for (int j = 0; j < n; ++j) {"):
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
            field = self._field(inputs[binding.name])
            writer.line(f"const real* __restrict {row} = {field} + t * N + n0;")
            rows.append(row)
        return rows

    def _tape_rows(self, writer: Writer, const: str) -> list[str]:
        rows = []
        saved = {a.of: a for a in self._arguments("saved")}
        count = len(self.chosen.tape)
        for place, var in enumerate(self.chosen.tape):
            row = self.locals.fresh(f"{var.name}_row")
            where = f"scratch + (t * {count} + {place}) * B"
            if self.plan.saved:
                where = f"{self._field(saved[var.name])} + t * N + n0"
            writer.line(f"{const}real* __restrict {row} = {where};")
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

    def _backwards(self, writer: Writer) -> None:
        chosen = self.chosen
        carried = [self.locals.fresh(f"{c.incoming.name}_now") for c in chosen.adjoints]
        finals = self._arguments("grad_final_state")
        for name, argument in zip(carried, finals, strict=True):
            field = self._field(argument)
            writer.line(f"alignas(64) real {name}[B];")
            writer.line(
                f"for (int j = 0; j < n; ++j) {name}[j] = {field} ? {field}[n0 + j] : real(0);"
            )
        writer.line("alignas(64) real zeros[B] = {};")
        writer.line("alignas(64) real unwanted[B];")
        totals = self._totals(writer)
        with writer.block("for (i64 t = T - 1; t >= 0; --t) {"):
            self._step_back(writer, carried, totals)
        writer.line("if (STREAM) end_of_streams();")
        for name, argument in zip(carried, self._arguments("grad_initial_state"), strict=True):
            field = self._field(argument)
            writer.line(f"if ({field}) for (int j = 0; j < n; ++j) {field}[n0 + j] = {name}[j];")
        for name, total in totals.items():
            if self.kernel.parts.has(name):
                where = self.kernel.parts.place(name)
                writer.line(f"for (int j = 0; j < n; ++j) ({where})[n0 + j] = {total}[j];")
                continue
            place = self.kernel.summed.index(name)
            writer.line(f"sum[{place}] = 0;")
            writer.line(f"for (int j = 0; j < n; ++j) sum[{place}] += double({total}[j]);")
        writer.line("(void)zeros, (void)unwanted;")

    def _totals(self, writer: Writer) -> dict[str, str]:
        totals = {}
        for binding in self.chosen.grad_scalars:
            if self.kernel.parts.timed(binding.name):
                continue
            total = self.locals.fresh(f"total_{binding.name}")
            writer.line(f"alignas(64) real {total}[B] = {{}};")
            totals[binding.name] = total
        return totals

    def _step_back(self, writer: Writer, carried: list[str], totals: dict[str, str]) -> None:
        chosen = self.chosen
        tapes = self._tape_rows(writer, "const ")
        inputs = self._input_rows(writer, chosen.reverse_inputs)
        upstream = self._optional_rows(writer, self._arguments("grad_output"), "zeros")
        recorded = self._arguments("grad_output", recorded=True) if chosen.full else []
        upstream += self._optional_rows(writer, recorded, "zeros")
        kept, given = {}, []
        for argument in self._arguments("grad_input"):
            kept[argument.name] = self.locals.fresh(f"{argument.name}_kept")
            row, field = self.locals.fresh(f"{argument.name}_row"), self._field(argument)
            writer.line(f"alignas(64) real {kept[argument.name]}[B];")
            near = f"STREAM || !{field} ? {kept[argument.name]} : {field} + t * N + n0"
            writer.line(f"real* __restrict {row} = {near};")
            given.append(row)
        ahead = self._arguments("saved", "grad_output") if self.plan.saved else []
        if not self.plan.saved and chosen.tape:
            read = {binding.name for binding in chosen.recompute_inputs}
            ahead = [a for a in self._arguments("input") if a.of in read]
        self._fetch(writer, "(T - 1 - t)", "n0 + B", "WHOLE && n0 + 2 * B <= N", ahead)
        self._time(writer)
        self.arrays.of_step(writer)
        parts = self._part_rows(writer)
        writer.line("#pragma omp simd")
        with writer.block("for (int j = 0; j < n; ++j) {"):
            for var, row in zip(chosen.tape, tapes, strict=True):
                writer.line(f"const real {self.names[var.name]} = {row}[j];")
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
            with writer.block("if (STREAM) {"):
                for argument in self._arguments("grad_input"):
                    field, near = self._field(argument), kept[argument.name]
                    call = f"stream_out<int(B * sizeof(real))>({field} + t * N + n0, {near})"
                    writer.line(f"if ({field}) {call};")

    def _fetch(
        self, writer: Writer, t: str, n0: str, guard: str, arguments: list[Argument]
    ) -> None:
        """Ask for rows ahead of their use: the gradients while the states run forwards, then the next block's."""
        if all(a.optional for a in arguments):
            guard = " && ".join([guard, *(self._field(a) for a in arguments)])
        rows = [f"{self._field(a)} + {t} * N + {n0}" for a in arguments]
        streaming.write_fetches(writer, guard, rows)

    def _part_rows(self, writer: Writer) -> dict[str, str]:
        """Where this step's parts of the gradients of params by the time go."""
        rows = {}
        for binding in self.chosen.grad_scalars:
            if self.kernel.parts.timed(binding.name):
                row = rows[binding.name] = self.locals.fresh(f"{binding.name}_part")
                place = self.kernel.parts.place(binding.name)
                writer.line(f"real* {row} = {place} + t * N + n0;")
        return rows

    def _optional_rows(self, writer: Writer, arguments: list[Argument], instead: str) -> list[str]:
        rows = []
        for argument in arguments:
            row = self.locals.fresh(f"{argument.name}_row")
            const = "const " if instead == "zeros" else ""
            field = self._field(argument)
            writer.line(f"{const}real* {row} = {field} ? {field} + t * N + n0 : {instead};")
            rows.append(row)
        return rows
