"""Prints what one thread of a CUDA backward kernel does: the struct of its neurons and one segment of time steps."""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.c_names import CNames, backward_names
from neurodsl.csrc_gen.cpp.layout import field_names
from neurodsl.csrc_gen.cpp.statements import write_program
from neurodsl.csrc_gen.cuda.members import DERIVED, RESERVED, Members
from neurodsl.csrc_gen.cuda.printers import (
    DerivativePrinter,
    ForwardPrinter,
    corrected_divisors,
    divided_by,
)
from neurodsl.csrc_gen.cuda.segment import Segment
from neurodsl.csrc_gen.draws import draw_line
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import BackwardPlan, Binding, KernelPlan
from neurodsl.ir.nodes import Expr, IRType, Var

DEVICE = "__device__ __forceinline__"


class BackwardThread:
    """One instance, plain or full."""

    def __init__(
        self,
        plan: KernelPlan,
        kernel: str,
        chosen: BackwardPlan,
        arguments: tuple[Argument, ...],
        every: int,
    ) -> None:
        self.plan, self.kernel, self.chosen, self.every = plan, kernel, chosen, every
        self.name = f"{kernel}_{'full' if chosen.full else 'plain'}"
        self.arguments, self.fields = arguments, field_names(arguments)
        given = [scalar.var.name for scalar in plan.scalars]
        given += [plan.time.name] if plan.uses_time else []
        self.locals = CNames(RESERVED, DERIVED)
        self.names = backward_names(chosen, self.locals, given)
        self.dividing = corrected_divisors(plan, [chosen.recompute, chosen.reverse])
        by = divided_by(self.names, self.dividing)
        read = [a.value for p in (chosen.recompute, chosen.reverse) for a in p]
        read += [b.value for b in (*chosen.grad_inputs, *chosen.grad_scalars)]
        read += [c.outgoing for c in (*chosen.adjoints, *chosen.recompute_states)]
        read += [a.value for a in chosen.prologue]
        self.members = Members(arguments, self.names, plan.scalars, by, tuple(read))
        self.exact = ForwardPrinter(self.names, by)
        self.fast = DerivativePrinter(self.names, self.exact)
        self.shapes = {scalar.name: scalar.shape for scalar in plan.scalars}
        self.states = [self.locals.fresh(f"{c.name}_now") for c in chosen.recompute_states]
        self.adjoints = [self.locals.fresh(f"{c.incoming.name}_now") for c in chosen.adjoints]
        totals = [b for b in chosen.grad_scalars if "time" not in self.shapes[b.name]]
        self.totals = {b.name: self.locals.fresh(f"total_{b.name}") for b in totals}

    @property
    def sums(self) -> dict[str, str]:
        """Of scalars without a shape: the member that holds what this thread gives to the gradient."""
        return {name: total for name, total in self.totals.items() if not self.shapes[name]}

    def of_role(self, role: str, *, recorded: bool = False) -> list[Argument]:
        """Arguments of one role, in order."""
        return [a for a in self.arguments if a.role == role and a.recorded is recorded]

    def field(self, argument: Argument) -> str:
        """An argument in the text."""
        return f"a.{self.fields[argument.name]}"

    def name_of(self, e: Expr) -> str:
        """A variable in the text."""
        assert isinstance(e, Var)
        return self.names[e.name]

    def part(self, name: str) -> Argument:
        """Where the neurons' parts of a gradient go."""
        return next(a for a in self.of_role("workspace") if a.of == f"ws_grad_{name}")

    @property
    def checkpoints(self) -> dict[str, Argument]:
        """By state."""
        return {a.of: a for a in self.of_role("saved") if a.every > 1}

    @property
    def kept(self) -> list[Argument]:
        """What forward_train wrote of every step."""
        return [a for a in self.of_role("saved") if a.every == 1]

    @property
    def moved(self) -> list[Argument]:
        """The arrays that this instance reads or writes in packs."""
        roles = ["input", "initial_state", "saved", "grad_output", "grad_final_state"]
        roles += ["grad_input", "grad_initial_state"]
        made = [a for role in roles for a in self.of_role(role)]
        if self.chosen.full:
            made += self.of_role("grad_output", recorded=True)
            made += [self.part(b.name) for b in self.chosen.grad_scalars if self.shapes[b.name]]
        return made

    @property
    def whole(self) -> str:
        """What has to be there where a thread takes several neurons."""
        outputs = self.of_role("grad_output")
        parts = [self.field(outputs[0])] if len(outputs) == 1 else []
        parts += [self.field(a) for a in self.of_role("grad_input")]
        parts += [f"(a.T <= K || {self.field(a)})" for a in self.checkpoints.values()]
        return "".join(f" && {part}" for part in parts)

    def loaded(self) -> list[Argument]:
        """The inputs that this instance reads."""
        chosen = self.chosen
        read = {b.name for b in (*chosen.recompute_inputs, *chosen.reverse_inputs)}
        return [a for a in self.of_role("input") if a.of in read]

    @staticmethod
    def element(argument: Argument) -> str:
        """The elements of an array that moves in packs."""
        if argument.role != "saved":
            return "io"
        return "bfloat16_bits" if argument.type == "uint16_t*" else "real"

    def place(self, argument: Argument) -> str:
        """Where a row of an array is."""
        field = self.field(argument)
        if self.element(argument) == "bfloat16_bits":
            field = f"reinterpret_cast<const bfloat16_bits*>({field})"
        return f"{field} + (at + row * stride)"

    def pack(self, argument: Argument) -> str:
        """The packs of an array's rows."""
        return f"{self.fields[argument.name]}_pack"

    def drawn(self, writer: Writer, bindings: tuple[Binding, ...]) -> None:
        """Draw again what the forward step drew."""
        given = {a.of for a in self.of_role("input")}
        for binding in bindings:
            if binding.name not in given:
                writer.line(draw_line(binding, self.plan.draws, self.names, "n + j"))

    def time(self, writer: Writer) -> None:
        """The time as a real."""
        if self.of_role("first_step"):
            writer.line(f"const real {self.names[self.plan.time.name]} = real(a.first_step + t);")

    def write(self, writer: Writer) -> None:
        """The struct."""
        members = self.members
        writer.line(f"template <typename io, typename real, int V, int K{members.template}>")
        with writer.block(f"struct {self.name}_thread {{", "};"):
            writer.line(f"const {self.kernel}_arguments<io, real>& a;")
            writer.line("const int64_t n;")
            members.declare(writer)
            for assign in self.chosen.prologue:
                type = "bool" if assign.target.type is IRType.BOOL else "real"
                writer.line(f"{type} {self.names[assign.target.name]};")
            for adjoint in self.adjoints:
                writer.line(f"real {adjoint}[V];")
            if self.checkpoints:
                writer.line("place_type kept_at;")
            for name, total in self.totals.items():
                writer.line(f"real {total}{'[V]' if self.shapes[name] else ''};")
            writer.line()
            self._constructor(writer)
            if self.chosen.recompute or self.chosen.tape:
                self._again(writer)
            if self.states:
                self._start(writer)
            writer.line()
            Segment(self).write(writer)
            writer.line()
            self._finish(writer)

    def _constructor(self, writer: Writer) -> None:
        starts = ["a(args)", "n(first)", *self.members.initialise()]
        arguments = (
            f"const {self.kernel}_arguments<io, real>& args, int64_t first{self.members.divisors}"
        )
        head = f"{DEVICE} {self.name}_thread({arguments})"
        writer.line(head)
        with writer.block(f"    : {', '.join(starts)} {{"):
            writer.line("const int64_t last = (a.T - 1) / K;  // the last segment")
            writer.line("at = static_cast<place_type>(last * K * a.N + n);")
            if self.checkpoints:
                writer.line("kept_at = static_cast<place_type>((last - 1) * a.N + n);")
            self.members.gather(writer)
            for assign in self.chosen.prologue:
                name = self.names[assign.target.name]
                writer.line(f"{name} = {self.fast.text(assign.value)};")
                if assign.target.type is IRType.REAL:
                    writer.line(f"pin({name});")
            finals = self.of_role("grad_final_state")
            for adjoint, argument in zip(self.adjoints, finals, strict=True):
                field = self.field(argument)
                writer.line("#pragma unroll")
                writer.line(f"for (int j = 0; j < V; ++j) {adjoint}[j] = real(0);")
                writer.line(f"if ({field}) load_values({adjoint}, {field} + n);")
            for name, total in self.totals.items():
                if self.shapes[name]:
                    writer.line(f"for (int j = 0; j < V; ++j) {total}[j] = real(0);")
                else:
                    writer.line(f"{total} = real(0);")

    def _again(self, writer: Writer) -> None:
        """One step forward again, of one neuron: states go on, what the way back reads is kept."""
        if self.kept:
            return
        chosen = self.chosen
        inputs = {b.name: b for b in chosen.recompute_inputs}
        given = [a for a in self.loaded() if a.of in inputs]
        listed = ["int64_t t", "int j"]
        listed += [f"const real {self.name_of(inputs[a.of].value)}" for a in given]
        listed += [f"real& {state}" for state in self.states]
        listed += [f"real& kept_{place}" for place in range(len(chosen.tape))]
        writer.line()
        with writer.block(f"{DEVICE} void again({', '.join(listed)}) {{"):
            self.members.read_shaped(writer)
            self.drawn(writer, chosen.recompute_inputs)
            for carry, state in zip(chosen.recompute_states, self.states, strict=True):
                writer.line(f"const real {self.name_of(carry.incoming)} = {state};")
            self.time(writer)
            write_program(writer, chosen.recompute, self.exact, self.names)
            for place, var in enumerate(chosen.tape):
                writer.line(f"kept_{place} = {self.names[var.name]};")
            for carry, state in zip(chosen.recompute_states, self.states, strict=True):
                writer.line(f"{state} = {self.exact.text(carry.outgoing)};")

    def _start(self, writer: Writer) -> None:
        """The states before step `begin`."""
        chosen, checkpoints = self.chosen, self.checkpoints
        initial = {a.of: a for a in self.of_role("initial_state")}
        writer.line()
        listed = [f"real (&{state})[V]" for state in self.states]
        with writer.block(f"{DEVICE} void start(int64_t begin, {', '.join(listed)}) {{"):
            fields = [self.field(a) for a in checkpoints.values()]
            writer.line(
                f"const bool there = begin && {' && '.join(fields)};"
                if fields
                else "const bool there = false;"
            )
            for carry, state in zip(chosen.recompute_states, self.states, strict=True):
                first = f"{self.field(initial[carry.name])} + n"
                kept = checkpoints.get(carry.name)
                place = f"there ? {self.field(kept)} + kept_at : {first}" if kept else first
                writer.line(f"load_values({state}, {place});")
            with writer.block("if (V == 1 && !there) {"):
                self._replay(writer)

    def _replay(self, writer: Writer) -> None:
        """From the first step on to `begin`."""
        with writer.block("for (int64_t t = 0; t < begin; ++t) {"):
            inputs = {b.name for b in self.chosen.recompute_inputs}
            given = [a for a in self.loaded() if a.of in inputs]
            for argument in given:
                writer.line(f"pack<io, V> {self.pack(argument)};")
                writer.line(f"{self.pack(argument)}.load({self.field(argument)} + t * a.N + n);")
            with writer.block("for (int j = 0; j < V; ++j) {"):
                unused = [f"kept_{place}" for place in range(len(self.chosen.tape))]
                if unused:
                    writer.line(f"real {', '.join(unused)};")
                passed = ["t", "j", *(f"get({self.pack(a)}, j)" for a in given)]
                passed += [f"{state}[j]" for state in self.states] + unused
                writer.line(f"again({', '.join(passed)});")

    def _finish(self, writer: Writer) -> None:
        with writer.block(f"{DEVICE} void finish() {{"):
            initial = self.of_role("grad_initial_state")
            for adjoint, argument in zip(self.adjoints, initial, strict=True):
                field = self.field(argument)
                writer.line(f"if ({field}) store_values({adjoint}, {field} + n);")
            given = {a.of: a for a in self.of_role("grad_param")}
            for name, total in self.totals.items():
                if self.shapes[name]:
                    place = f"{self.field(self.part(name))} + n"
                    writer.line(f"if ({self.field(given[name])}) store_values({total}, {place});")
