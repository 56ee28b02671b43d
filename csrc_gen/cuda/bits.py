"""Prints the forward kernels whose spikes are bits: a warp takes 128 neurons beside each other, a lane four, 32 apart.

Bit i of word w of a row is neuron 32 w + i; the last word of a row ends with zeros. For neurons that give spikes alone.
"""

from __future__ import annotations

from dataclasses import replace

from neurodsl.csrc_gen.arguments import Argument, Pass
from neurodsl.csrc_gen.cuda.arguments import cuda_forward_arguments
from neurodsl.csrc_gen.cuda.forward import DEVICE, CudaForward
from neurodsl.csrc_gen.cuda.members import conditions
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import KernelPlan
from neurodsl.ir.nodes import Expr, Op

NAME = "forward_bits"
GRID = "ceil(N / (block * elements_per_thread))"
NEURONS = 4
"""Of a thread."""


def gives_bits(plan: KernelPlan) -> bool:
    """Whether all outputs are spikes."""
    values = [binding.value for binding in plan.forward.outputs]
    return all(isinstance(value, Op) and value.name == "to_real" for value in values)


def bits_arguments(plan: KernelPlan) -> tuple[Argument, ...]:
    """Those of `forward`, nothing recorded, with words as outputs."""
    given = cuda_forward_arguments(plan, Pass.FORWARD, 0)
    return tuple(
        replace(a, type="uint32_t*", shape=("T", "ceil(N / 32)")) if a.role == "output" else a
        for a in given
        if a.role != "recorded"
    )


class CudaBits(CudaForward):
    """The kernel of one neuron."""

    def __init__(self, plan: KernelPlan) -> None:
        super().__init__(replace(plan, saved=()), Pass.FORWARD)
        self.name = NAME
        self.members = replace(self.members, neuron="n + 32 * j", narrow="false")

    def _arguments(self, which: Pass) -> tuple[Argument, ...]:
        return bits_arguments(self.plan)

    @staticmethod
    def _load_state(state: str, place: str) -> str:
        return f"load_states_apart({state}, {place}, left);"

    @staticmethod
    def _store_state(state: str, place: str) -> str:
        return f"store_states_apart({state}, {place}, left);"

    @staticmethod
    def _load(pack: str, place: str) -> str:
        return f"load_apart({pack}, {place}, left);"

    def _extra(self, writer: Writer) -> None:
        writer.line("int left;")

    def _begin(self, writer: Writer) -> None:
        writer.line("left = int(least(most(a.N - n + 31, 0) / 32, V));")

    def _stores(self) -> list[tuple[Argument, Expr]]:
        outputs = self._of_role("output")
        return [(a, b.value) for a, b in zip(outputs, self.plan.forward.outputs, strict=True)]

    def _store(self, writer: Writer, argument: Argument) -> None:
        words = "(a.N + 31) / 32"
        place = f"{self._field(argument)} + (begin + row) * ({words})"
        first = "(n - threadIdx.x % 32) / 32"
        writer.line(f"store_bits({self._pack(argument)}, {place}, left, {first}, {words});")

    def _tiles(self, writer: Writer) -> None:
        template = f"int STEPS{self.members.template}"
        writer.line(f"template <typename io, typename real, {template}>")
        head = f"{DEVICE} void {NAME}_tiles(const {NAME}_arguments<io, real>& a{self.members.divisors}) {{"
        with writer.block(head):
            writer.line(f"constexpr int V = {NEURONS};")
            writer.line("const int64_t warps = int64_t(gridDim.x) * (BLOCK / 32);")
            writer.line("int64_t warp = int64_t(blockIdx.x) * (BLOCK / 32) + threadIdx.x / 32;")
            with writer.block("for (; warp * 32 * V < a.N; warp += warps) {"):
                types = f"io, real, V, false{self.members.passed}"
                first = "warp * 32 * V + threadIdx.x % 32"
                writer.line(f"{NAME}_thread<{types}> neurons(a, {first}{self.members.divided});")
                writer.line("int64_t begin = 0;")
                writer.line(
                    "for (; begin + STEPS <= a.T; begin += STEPS) neurons.template steps<STEPS>(begin);"
                )
                writer.line("#pragma unroll 1")
                writer.line("for (; begin < a.T; ++begin) neurons.template steps<1>(begin);")
                writer.line("neurons.finish();")

    def _run(self, writer: Writer) -> None:
        writer.line("template <typename io, typename real, int STEPS>")
        head = f"{DEVICE} void {NAME}_run(const {NAME}_arguments<io, real>& a) {{"
        with writer.block(head):
            self.members.write_divisors(writer)
            corrected, _ = conditions(self.members, self.dividing, ())
            usual, types = self.members.usual
            if usual or corrected:
                tests = " && ".join(f"({test})" for test in (usual, corrected) if test)
                writer.line(f"if ({tests}) {self._call(f'false{types}')}")
                writer.line(f"else {self._call(f'true{self.members.loose}')}")
            else:
                writer.line(self._call("false"))

    def _call(self, template: str) -> str:
        return f"{NAME}_tiles<io, real, STEPS, {template}>(a{self.members.divided});"
