"""Prints the forward kernels in CUDA: a thread loads some steps of its neurons, computes, stores, and goes on.

forward_thread      one thread's neurons: states in registers, `steps<LENGTH>(t)` for LENGTH time steps
forward_tiles       all neurons of a thread, all time steps
forward_run         the choice of how many neurons a thread takes beside each other
"""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import Argument, Pass
from neurodsl.csrc_gen.c_names import CNames, forward_names
from neurodsl.csrc_gen.cpp.layout import field_names
from neurodsl.csrc_gen.cpp.statements import write_program
from neurodsl.csrc_gen.cuda.arguments import STREAMS, cuda_forward_arguments
from neurodsl.csrc_gen.cuda.choice import write_choice
from neurodsl.csrc_gen.cuda.members import DERIVED, RESERVED, Members, conditions, write_arguments
from neurodsl.csrc_gen.cuda.printers import ForwardPrinter, corrected_divisors, divided_by
from neurodsl.csrc_gen.cuda.schedule import segment_steps
from neurodsl.csrc_gen.draws import draw_line
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import Binding, KernelPlan
from neurodsl.ir.nodes import Expr, Op, Var

DEVICE = "__device__ __forceinline__"


def forward_entries(plan: KernelPlan) -> list[tuple[Pass, tuple[Argument, ...]]]:
    """The forward kernels of a neuron and their arguments; one that saves only where something is saved."""
    passes = (Pass.FORWARD, Pass.FORWARD_TRAIN)
    every = segment_steps(plan)
    return [
        (which, cuda_forward_arguments(plan, which, every))
        for which in passes[: 2 if plan.saved or plan.checkpoints else 1]
    ]


class CudaForward:
    """One forward kernel; that of training serves inference too where it only keeps checkpoints."""

    def __init__(self, plan: KernelPlan, which: Pass) -> None:
        self.plan, self.name, self.every = plan, which.value, segment_steps(plan)
        self.arguments = self._arguments(which)
        self.fields = field_names(self.arguments)
        given = [scalar.var.name for scalar in plan.scalars]
        given += [plan.time.name] if plan.uses_time else []
        self.locals = CNames(RESERVED, DERIVED)
        self.names = forward_names(plan.forward, self.locals, given)
        self.dividing = corrected_divisors(plan, [plan.forward.step])
        by = divided_by(self.names, self.dividing)
        forward = plan.forward
        read = [assign.value for assign in forward.step]
        read += [c.outgoing for c in forward.states]
        read += [b.value for b in (*forward.outputs, *forward.recordable)]
        self.members = Members(self.arguments, self.names, plan.scalars, by, tuple(read))
        self.printer = ForwardPrinter(self.names, by)
        self.states = {c.name: self.locals.fresh(f"{c.name}_now") for c in plan.forward.states}

    def _arguments(self, which: Pass) -> tuple[Argument, ...]:
        taken = Pass.FORWARD_TRAIN if self.plan.checkpoints else which
        return cuda_forward_arguments(self.plan, taken, self.every)

    def _of_role(self, role: str) -> list[Argument]:
        return [a for a in self.arguments if a.role == role]

    def _field(self, argument: Argument) -> str:
        return f"a.{self.fields[argument.name]}"

    def write(self, writer: Writer) -> None:
        """The struct of arguments and the three functions."""
        which = self.name
        write_arguments(writer, f"{which}_arguments", self.arguments)
        writer.line()
        self._thread(writer)
        writer.line()
        self._tiles(writer)
        writer.line()
        self._run(writer)
        writer.line()

    def _thread(self, writer: Writer) -> None:
        which, members = self.name, self.members
        writer.line(
            f"template <typename io, typename real, int V, bool RECORDED{members.template}>"
        )
        with writer.block(f"struct {which}_thread {{", "};"):
            writer.line(f"const {which}_arguments<io, real>& a;")
            writer.line("const int64_t n;")
            members.declare(writer)
            for state in self.states.values():
                writer.line(f"real {state}[V];")
            self._extra(writer)
            writer.line()
            starts = ["a(args)", "n(first)", *members.initialise()]
            head = f"{DEVICE} {which}_thread(const {which}_arguments<io, real>& args, int64_t first{members.divisors})"
            writer.line(head)
            with writer.block(f"    : {', '.join(starts)} {{"):
                writer.line("at = static_cast<place_type>(n);")
                self._begin(writer)
                members.gather(writer)
                for argument in self._of_role("initial_state"):
                    state = self.states[argument.of]
                    writer.line(self._load_state(state, f"{self._field(argument)} + n"))
            writer.line()
            self._steps(writer)
            if self._checkpoints():
                writer.line()
                self._keep(writer)
            writer.line()
            with writer.block(f"{DEVICE} void finish() {{"):
                for argument in self._of_role("final_state"):
                    state = self.states[argument.of]
                    writer.line(self._store_state(state, f"{self._field(argument)} + n"))

    def _extra(self, writer: Writer) -> None:
        """Members of another form of the kernel."""

    def _begin(self, writer: Writer) -> None:
        """How they begin."""

    @staticmethod
    def _load_state(state: str, place: str) -> str:
        return f"load_values({state}, {place});"

    @staticmethod
    def _store_state(state: str, place: str) -> str:
        return f"store_values({state}, {place});"

    @staticmethod
    def _load(pack: str, place: str) -> str:
        return f"{pack}.load({place});"

    def _checkpoints(self) -> list[Argument]:
        return [a for a in self._of_role("saved") if a.every > 1]

    def _keep(self, writer: Writer) -> None:
        with writer.block(f"{DEVICE} void keep(int64_t t) {{"):
            for argument in self._checkpoints():
                field, state = self._field(argument), self.states[argument.of]
                row = f"(t / {self.every} - 1) * a.N + n"
                writer.line(f"if ({field}) store_values({state}, {field} + {row});")

    def _steps(self, writer: Writer) -> None:
        writer.line("template <int LENGTH>")
        with writer.block(f"{DEVICE} void steps(int64_t begin) {{"):
            inputs = self._of_role("input")
            writer.line("pin(at);")
            for argument in inputs:
                writer.line(f"pack<io, V> {self._pack(argument)}[LENGTH];")
            if inputs:
                writer.line("#pragma unroll")
                with writer.block("for (int row = 0; row < LENGTH; ++row) {"):
                    for argument in inputs:
                        place = f"{self._field(argument)} + (at + row * stride)"
                        writer.line(self._load(f"{self._pack(argument)}[row]", place))
            writer.line("#pragma unroll")
            with writer.block("for (int row = 0; row < LENGTH; ++row) {"):
                if self._of_role("first_step"):
                    name = self.names[self.plan.time.name]
                    writer.line(f"const real {name} = real(a.first_step + begin + row);")
                if self.plan.draws or self.members.shaped(timed=True):
                    writer.line("const int64_t t = begin + row;")
                stores = self._stores()
                for argument, value in stores:
                    type = "bool" if _condition(value) else "real"
                    type = "float" if argument.type == "uint16_t*" else type
                    writer.line(f"{type} {self._pack(argument)}[V];")
                writer.line("#pragma unroll")
                with writer.block("for (int j = 0; j < V; ++j) {"):
                    self._step(writer, stores)
                for argument, _ in stores:
                    self._store(writer, argument)
            writer.line("at += LENGTH * stride;")

    def _pack(self, argument: Argument) -> str:
        return f"{self.fields[argument.name]}_pack"

    def _step(self, writer: Writer, stores: list[tuple[Argument, Expr]]) -> None:
        forward = self.plan.forward
        inputs = {a.of: a for a in self._of_role("input")}
        self.members.read_shaped(writer)
        for binding in forward.inputs:
            assert isinstance(binding.value, Var)
            if binding.name in inputs:
                pack = self._pack(inputs[binding.name])
                writer.line(f"const real {self.names[binding.value.name]} = get({pack}[row], j);")
            else:
                writer.line(draw_line(binding, self.plan.draws, self.names, self.members.neuron))
        for carry in forward.states:
            writer.line(
                f"const real {self.names[carry.incoming.name]} = {self.states[carry.name]}[j];"
            )
        write_program(writer, forward.step, self.printer, self.names)
        for argument, value in stores:
            shown = self.printer.text(_condition(value) or value)
            shown = f"signed_distance({shown})" if argument.type == "uint16_t*" else shown
            writer.line(f"{self._pack(argument)}[j] = {shown};")
        for carry in forward.states:
            writer.line(f"{self.states[carry.name]}[j] = {self.printer.text(carry.outgoing)};")

    def _stores(self) -> list[tuple[Argument, Expr]]:
        forward = self.plan.forward
        made: list[tuple[Argument, Expr]] = []
        for role, bindings in (("output", forward.outputs), ("recorded", forward.recordable)):
            made += _paired(self._of_role(role), bindings)
        made += [(a, Var(a.of)) for a in self._of_role("saved") if a.every == 1]
        return made

    def _store(self, writer: Writer, argument: Argument) -> None:
        field, values = self._field(argument), self._pack(argument)
        guard = f"if (RECORDED && {field}) " if argument.optional else ""
        type = "real"
        if argument.role in STREAMS:
            type = "io"
        elif argument.type == "uint16_t*":
            type = "bfloat16_bits"
            field = f"reinterpret_cast<bfloat16_bits*>({field})"
        place = f"{field} + (at + row * stride)"
        with writer.block(f"{guard}{{"):
            writer.line(f"pack<{type}, V> moved;")
            writer.line(f"put(moved, {values});")
            writer.line(f"moved.store({place});")

    def _tiles(self, writer: Writer) -> None:
        which = self.name
        template = f"int V, int STEPS, bool RECORDED{self.members.template}"
        writer.line(f"template <typename io, typename real, {template}>")
        head = f"{DEVICE} void {which}_tiles(const {which}_arguments<io, real>& a{self.members.divisors}) {{"
        with writer.block(head):
            writer.line("const int64_t threads = int64_t(gridDim.x) * BLOCK * V;")
            writer.line("int64_t n = (int64_t(blockIdx.x) * BLOCK + threadIdx.x) * V;")
            with writer.block("for (; n < a.N; n += threads) {"):
                writer.line(
                    f"{which}_thread<io, real, V, RECORDED{self.members.passed}> neurons(a, n{self.members.divided});"
                )
                writer.line("typedef typename steps_of<(V > 1)>::type steps_type;")
                writer.line("const steps_type T = static_cast<steps_type>(a.T);")
                writer.line("steps_type begin = 0;")
                with writer.block("for (; begin + STEPS <= T; begin += STEPS) {"):
                    self._kept(writer)
                    writer.line("neurons.template steps<STEPS>(begin);")
                with writer.block("if constexpr (STEPS > 1) {"):
                    writer.line("#pragma unroll 1")
                    with writer.block("for (; begin < T; ++begin) {"):
                        self._kept(writer)
                        writer.line("neurons.template steps<1>(begin);")
                writer.line("neurons.finish();")

    def _kept(self, writer: Writer) -> None:
        if self._checkpoints():
            writer.line(f"if (begin && begin % {self.every} == 0) neurons.keep(begin);")

    def _run(self, writer: Writer) -> None:
        which = self.name
        writer.line("template <typename io, typename real, int V, int STEPS>")
        head = f"{DEVICE} void {which}_run(const {which}_arguments<io, real>& a) {{"
        packed = [
            a
            for a in self.arguments
            if a.is_pointer and not a.role.endswith("_tensor") and a.role != "recorded"
        ]
        corrected, places = conditions(self.members, self.dividing, packed)
        places += "".join(f" && !{self._field(a)}" for a in self._of_role("recorded"))
        single = min(self.every, 8)
        with writer.block(head):
            writer.line(f"constexpr int SINGLE = STEPS * V < {single} ? STEPS * V : {single};")

            def call(neurons: str, types: str) -> str:
                steps = "STEPS" if neurons == "V" else "SINGLE"
                return self._call(f"{neurons}, {steps}, false, {types}")

            write_choice(writer, self.members, call, corrected, places, self._recording())

    def _call(self, template: str) -> str:
        return f"{self.name}_tiles<io, real, {template}>(a{self.members.divided});"

    def _recording(self) -> str:
        """The statement for calls that record: step by step, or nothing."""
        recorded = [self._field(a) for a in self._of_role("recorded")]
        if not recorded:
            return ""
        call = self._call(f"1, 1, true, true{self.members.loose}")
        return f"if ({' || '.join(recorded)}) {{ {call} return; }}"


def _condition(value: Expr) -> Expr | None:
    """The condition that a spike is, None for other values."""
    return value.args[0] if isinstance(value, Op) and value.name == "to_real" else None


def _paired(
    arguments: list[Argument], bindings: tuple[Binding, ...]
) -> list[tuple[Argument, Expr]]:
    return [(a, b.value) for a, b in zip(arguments, bindings, strict=True)]
