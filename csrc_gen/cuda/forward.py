"""Prints the forward kernels in CUDA: a thread takes its neuron through all time steps, states in registers."""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import Argument, Pass, forward_arguments
from neurodsl.csrc_gen.c_names import CNames, forward_names
from neurodsl.csrc_gen.cpp.layout import field_names, write_scalars, write_struct
from neurodsl.csrc_gen.cpp.statements import write_program
from neurodsl.csrc_gen.cuda.arrays import write_arrays
from neurodsl.csrc_gen.draws import draw_line
from neurodsl.csrc_gen.expr_printer import ExpressionPrinter
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import Binding, KernelPlan
from neurodsl.ir.nodes import Var


def forward_passes(plan: KernelPlan) -> tuple[Pass, ...]:
    """The forward kernels of a neuron: one that saves only where something is saved."""
    return (Pass.FORWARD, Pass.FORWARD_TRAIN) if plan.saved else (Pass.FORWARD,)


def write_forward(writer: Writer, plan: KernelPlan, which: Pass) -> tuple[Argument, ...]:
    """The struct of arguments and the thread's function; the arguments."""
    arguments = forward_arguments(plan, which)
    _Forward(plan, which, arguments).write(writer)
    return arguments


class _Forward:
    """One forward kernel."""

    def __init__(self, plan: KernelPlan, which: Pass, arguments: tuple[Argument, ...]) -> None:
        self.plan, self.which, self.arguments = plan, which, arguments
        self.fields = field_names(arguments)
        given = [scalar.var.name for scalar in plan.scalars]
        given += [plan.time.name] if plan.uses_time else []
        self.locals = CNames()
        self.names = forward_names(plan.forward, self.locals, given)
        self.printer = ExpressionPrinter(self.names)

    def _field(self, argument: Argument) -> str:
        return f"a.{self.fields[argument.name]}"

    def _of_role(self, role: str) -> list[Argument]:
        return [a for a in self.arguments if a.role == role]

    def write(self, writer: Writer) -> None:
        which, forward = self.which.value, self.plan.forward
        write_struct(writer, f"{which}_arguments", self.arguments)
        writer.line()
        writer.line("template <typename real>")
        with writer.block(
            f"__device__ __forceinline__ void {which}_thread(const {which}_arguments<real>& a) {{"
        ):
            writer.line("const int64_t T = a.T, N = a.N;")
            writer.line("const int64_t n = int64_t(blockIdx.x) * BLOCK + threadIdx.x;")
            writer.line("if (n >= N) return;")
            write_scalars(writer, self.arguments, self.names, self.plan.scalars)
            self._arrays(writer, timed=False)
            states = [self.locals.fresh(f"{c.name}_now") for c in forward.states]
            for state, argument in zip(states, self._of_role("initial_state"), strict=True):
                writer.line(f"real {state} = {self._field(argument)}[n];")
            with writer.block("for (int64_t t = 0; t < T; ++t) {"):
                writer.line("const int64_t k = t * N + n;")
                self._step(writer, states)
            for state, argument in zip(states, self._of_role("final_state"), strict=True):
                writer.line(f"{self._field(argument)}[n] = {state};")
        writer.line()

    def _arrays(self, writer: Writer, *, timed: bool) -> None:
        scalars = self.plan.scalars
        write_arrays(writer, scalars, self.fields, self.arguments, self.names, timed=timed)

    def _step(self, writer: Writer, states: list[str]) -> None:
        forward = self.plan.forward
        self._arrays(writer, timed=True)
        inputs = {a.of: a for a in self._of_role("input")}
        for binding in forward.inputs:
            assert isinstance(binding.value, Var)
            if binding.name in inputs:
                field = self._field(inputs[binding.name])
                writer.line(f"const real {self.names[binding.value.name]} = {field}[k];")
            else:
                writer.line(draw_line(binding, self.plan.draws, self.names, "n"))
        for carry, state in zip(forward.states, states, strict=True):
            writer.line(f"const real {self.names[carry.incoming.name]} = {state};")
        if self._of_role("first_step"):
            writer.line(f"const real {self.names[self.plan.time.name]} = real(a.first_step + t);")
        write_program(writer, forward.step, self.printer, self.names)
        self._stores(writer, "output", forward.outputs)
        for argument in self._of_role("saved"):
            value = self.names[argument.of]
            value = f"to_bfloat16({value})" if argument.type == "uint16_t*" else value
            writer.line(f"{self._field(argument)}[k] = {value};")
        self._stores(writer, "recorded", forward.recordable)
        for carry, state in zip(forward.states, states, strict=True):
            writer.line(f"{state} = {self.printer.text(carry.outgoing)};")

    def _stores(self, writer: Writer, role: str, bindings: tuple[Binding, ...]) -> None:
        for argument, binding in zip(self._of_role(role), bindings, strict=True):
            field = self._field(argument)
            guard = f"if ({field}) " if argument.optional else ""
            writer.line(f"{guard}{field}[k] = {self.printer.text(binding.value)};")
