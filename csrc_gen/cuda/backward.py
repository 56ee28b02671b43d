"""Prints the backward kernels in CUDA: a thread runs its neuron forwards again into a workspace, then back in time.

FULL gives the gradients of scalars too: each thread's sums, added up in its block by shuffles, a part a block. The
second stage, `reduce`, adds the parts in a fixed order.
"""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import Argument, backward_arguments, differentiable
from neurodsl.csrc_gen.c_names import CNames, backward_names
from neurodsl.csrc_gen.cpp.layout import field_names, write_scalars, write_struct
from neurodsl.csrc_gen.cpp.statements import write_program
from neurodsl.csrc_gen.cuda.arguments import reduce_arguments, workspaces
from neurodsl.csrc_gen.cuda.arrays import write_arrays
from neurodsl.csrc_gen.draws import draw_line
from neurodsl.csrc_gen.expr_printer import ExpressionPrinter
from neurodsl.csrc_gen.shapes import add_to_call
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import BackwardPlan, Binding, KernelPlan
from neurodsl.ir.nodes import Const, Expr, Var

Passes = tuple[BackwardPlan, BackwardPlan]


def write_backward(
    writer: Writer, plan: KernelPlan, name: str, passes: Passes
) -> tuple[Argument, ...]:
    """The struct, both instances, and the choice between them; the arguments."""
    arguments = backward_arguments(plan, passes, workspaces(plan, passes))
    write_struct(writer, f"{name}_arguments", arguments)
    writer.line()
    for chosen in passes:
        _Backward(plan, name, chosen, arguments).write(writer)
    fields = field_names(arguments)
    wanted = [a for a in arguments if a.role == "grad_param" or a.recorded]
    shown = " || ".join(f"a.{fields[a.name]}" for a in wanted) or "false"
    writer.line("template <typename real>")
    head = f"__device__ __forceinline__ void {name}_thread(const {name}_arguments<real>& a) {{"
    with writer.block(head):
        writer.line(f"if ({shown}) {name}_full<real>(a);")
        writer.line(f"else {name}_plain<real>(a);")
    writer.line()
    return arguments


def write_reduce(writer: Writer, plan: KernelPlan) -> tuple[Argument, ...]:
    """The second stage: one block, a thread adds up one scalar's parts."""
    arguments = reduce_arguments(plan)
    fields = field_names(arguments)
    write_struct(writer, "reduce_arguments", arguments)
    writer.line()
    writer.line("template <typename real>")
    with writer.block(
        "__device__ __forceinline__ void reduce_thread(const reduce_arguments<real>& a) {"
    ):
        writer.line("const int64_t blocks = (a.N + BLOCK - 1) / BLOCK;")
        writer.line("const int which = int(blockIdx.x) * BLOCK + int(threadIdx.x);")
        summed = [s.name for s in differentiable(plan) if not s.shape]
        shapes = {s.name: s.shape for s in plan.scalars}
        for argument in (a for a in arguments if a.role == "grad_param"):
            field = f"a.{fields[argument.name]}"
            if shapes[argument.of]:
                parts = f"a.{fields[f'ws_grad_{argument.of}']}"
                writer.line(f"if ({field}) {add_to_call(shapes[argument.of], parts, field)}")
                continue
            place = summed.index(argument.of)
            with writer.block(f"if (which == {place} && {field}) {{"):
                writer.line("double all = 0;")
                writer.line(
                    f"for (int64_t b = 0; b < blocks; ++b) all += a.partials[{place} * blocks + b];"
                )
                writer.line(f"*{field} += real(all);")
    writer.line()
    return arguments


class _Backward:
    """One instance, plain or full."""

    def __init__(
        self, plan: KernelPlan, name: str, chosen: BackwardPlan, arguments: tuple[Argument, ...]
    ) -> None:
        self.plan, self.name, self.chosen, self.arguments = plan, name, chosen, arguments
        self.fields = field_names(arguments)
        given = [scalar.var.name for scalar in plan.scalars]
        given += [plan.time.name] if plan.uses_time else []
        self.locals = CNames()
        self.names = backward_names(chosen, self.locals, given)
        self.printer = ExpressionPrinter(self.names)
        self.shapes = {scalar.name: scalar.shape for scalar in plan.scalars}

    def _of_role(self, role: str, *, recorded: bool = False) -> list[Argument]:
        return [a for a in self.arguments if a.role == role and a.recorded is recorded]

    def _field(self, argument: Argument) -> str:
        return f"a.{self.fields[argument.name]}"

    def _tape(self, place: int, name: str) -> str:
        if self.plan.saved:
            return next(self._field(a) for a in self._of_role("saved") if a.of == name)
        return f"a.{self.fields[f'ws_tape_{place}']}"

    def write(self, writer: Writer) -> None:
        chosen = self.chosen
        which = "full" if chosen.full else "plain"
        writer.line("template <typename real>")
        head = f"__device__ __forceinline__ void {self.name}_{which}(const {self.name}_arguments<real>& a) {{"
        with writer.block(head):
            writer.line("const int64_t T = a.T, N = a.N;")
            writer.line("const int64_t n = int64_t(blockIdx.x) * BLOCK + threadIdx.x;")
            totals = {
                b.name: self.locals.fresh(f"total_{b.name}")
                for b in chosen.grad_scalars
                if "time" not in self.shapes[b.name]
            }
            for total in totals.values():
                writer.line(f"real {total} = real(0);")
            with writer.block("if (n < N) {"):
                write_scalars(writer, self.arguments, self.names, self.plan.scalars)
                self._arrays(writer, timed=False)
                write_program(writer, chosen.prologue, self.printer, self.names)
                if not self.plan.saved and chosen.tape:
                    self._again(writer)
                self._backwards(writer, totals)
                for name, total in totals.items():
                    if self.shapes[name]:
                        writer.line(f"{self._part(name)}[n] = {total};")
            totals = {name: total for name, total in totals.items() if not self.shapes[name]}
            if totals:
                writer.line("__shared__ double warps[BLOCK / 32];")
                writer.line("const int64_t blocks = (N + BLOCK - 1) / BLOCK;")
            for place, total in enumerate(totals.values()):
                writer.line(f"block_sum(double({total}), warps, a.partials + {place} * blocks);")
        writer.line()

    def _inputs(self, writer: Writer, bindings: tuple[Binding, ...]) -> None:
        inputs = {a.of: a for a in self._of_role("input")}
        for binding in bindings:
            if binding.name in inputs:
                field = self._field(inputs[binding.name])
                writer.line(f"const real {self._name(binding.value)} = {field}[k];")
            else:
                writer.line(draw_line(binding, self.plan.draws, self.names, "n"))

    def _arrays(self, writer: Writer, *, timed: bool) -> None:
        scalars = self.plan.scalars
        write_arrays(writer, scalars, self.fields, self.arguments, self.names, timed=timed)

    def _part(self, name: str) -> str:
        """Where the neurons' parts of a gradient go."""
        return f"a.{self.fields[f'ws_grad_{name}']}"

    def _name(self, e: Expr) -> str:
        assert isinstance(e, Var)
        return self.names[e.name]

    def _time(self, writer: Writer) -> None:
        if self._of_role("first_step"):
            name = self.names[self.plan.time.name]
            writer.line(f"const real {name} = real(a.first_step + t);")

    def _again(self, writer: Writer) -> None:
        chosen = self.chosen
        initial = {a.of: a for a in self._of_role("initial_state")}
        states = [self.locals.fresh(f"{c.name}_now") for c in chosen.recompute_states]
        for carry, state in zip(chosen.recompute_states, states, strict=True):
            writer.line(f"real {state} = {self._field(initial[carry.name])}[n];")
        with writer.block("for (int64_t t = 0; t < T; ++t) {"):
            writer.line("const int64_t k = t * N + n;")
            self._arrays(writer, timed=True)
            self._inputs(writer, chosen.recompute_inputs)
            for carry, state in zip(chosen.recompute_states, states, strict=True):
                writer.line(f"const real {self.names[carry.incoming.name]} = {state};")
            self._time(writer)
            write_program(writer, chosen.recompute, self.printer, self.names)
            for place, var in enumerate(chosen.tape):
                writer.line(f"{self._tape(place, var.name)}[k] = {self.names[var.name]};")
            for carry, state in zip(chosen.recompute_states, states, strict=True):
                writer.line(f"{state} = {self.printer.text(carry.outgoing)};")

    def _backwards(self, writer: Writer, totals: dict[str, str]) -> None:
        chosen = self.chosen
        carried = [self.locals.fresh(f"{c.incoming.name}_now") for c in chosen.adjoints]
        for name, argument in zip(carried, self._of_role("grad_final_state"), strict=True):
            field = self._field(argument)
            writer.line(f"real {name} = {field} ? {field}[n] : real(0);")
        with writer.block("for (int64_t t = T - 1; t >= 0; --t) {"):
            writer.line("const int64_t k = t * N + n;")
            for place, var in enumerate(chosen.tape):
                value = f"{self._tape(place, var.name)}[k]"
                if any(a.type == "uint16_t*" for a in self._of_role("saved")):
                    value = f"real(of_bfloat16({value}))"
                writer.line(f"const real {self.names[var.name]} = {value};")
            self._arrays(writer, timed=True)
            self._inputs(writer, chosen.reverse_inputs)
            upstream = list(zip(chosen.grad_outputs, self._of_role("grad_output"), strict=True))
            if chosen.full:
                recorded = self._of_role("grad_output", recorded=True)
                upstream += zip(chosen.grad_recorded, recorded, strict=True)
            for binding, argument in upstream:
                field = self._field(argument)
                writer.line(
                    f"const real {self._name(binding.value)} = {field} ? {field}[k] : real(0);"
                )
            for carry, name in zip(chosen.adjoints, carried, strict=True):
                writer.line(f"const real {self.names[carry.incoming.name]} = {name};")
            self._time(writer)
            write_program(writer, chosen.reverse, self.printer, self.names)
            for binding, argument in zip(
                chosen.grad_inputs, self._of_role("grad_input"), strict=True
            ):
                field = self._field(argument)
                writer.line(f"if ({field}) {field}[k] = {self.printer.text(binding.value)};")
            for binding in chosen.grad_scalars:
                value = self.printer.text(binding.value)
                if binding.name not in totals:
                    writer.line(f"{self._part(binding.name)}[k] = {value};")
                elif binding.value != Const(0.0):
                    writer.line(f"{totals[binding.name]} += {value};")
            for carry, name in zip(chosen.adjoints, carried, strict=True):
                writer.line(f"{name} = {self.printer.text(carry.outgoing)};")
        for name, argument in zip(carried, self._of_role("grad_initial_state"), strict=True):
            field = self._field(argument)
            writer.line(f"if ({field}) {field}[n] = {name};")
