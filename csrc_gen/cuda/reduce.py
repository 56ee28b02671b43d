"""Prints the second stage of params' gradients in CUDA: a block adds up one scalar's parts, in a fixed order."""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.cpp.layout import field_names
from neurodsl.csrc_gen.cuda.arguments import backward_blocks, reduce_arguments, summed
from neurodsl.csrc_gen.cuda.members import write_arguments
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import KernelPlan

BLOCKS_FOR = """__device__ __forceinline__ int64_t blocks_for(int64_t N, int64_t each) { return (N + each - 1) / each; }
__device__ __forceinline__ int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
__device__ __forceinline__ int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }"""


def write_reduce(writer: Writer, plan: KernelPlan) -> tuple[Argument, ...]:
    """The struct and the function; the arguments. V: neurons a thread of the backward pass."""
    arguments = reduce_arguments(plan)
    write_arguments(writer, "reduce_arguments", arguments)
    writer.line()
    writer.line("template <typename io, typename real, int V>")
    head = "__device__ __forceinline__ void reduce_run(const reduce_arguments<io, real>& a) {"
    fields = field_names(arguments)
    gradients = {a.of: f"a.{fields[a.name]}" for a in arguments if a.role == "grad_param"}
    shapes = {s.name: s.shape for s in plan.scalars}
    with writer.block(head):
        if gradients:
            writer.line("__shared__ double warps[BLOCK / 32];")
        if summed(plan):
            writer.line(f"const int64_t blocks = {backward_blocks()};")
        for place, scalar in enumerate(summed(plan)):
            gradient = gradients[scalar.name]
            with writer.block(f"if (int(blockIdx.x) == {place} && {gradient}) {{"):
                writer.line("double all = 0;")
                part = f"a.partials[{place} * blocks + b]"
                writer.line(f"for (int64_t b = threadIdx.x; b < blocks; b += BLOCK) all += {part};")
                writer.line("all = block_sum(all, warps);")
                writer.line(f"if (threadIdx.x == 0) *{gradient} += real(all);")
        for name, gradient in gradients.items():
            if shapes[name]:
                parts = f"a.{fields[f'ws_grad_{name}']}"
                writer.line(f"if ({gradient}) {_shared(shapes[name], parts, gradient)}")
    writer.line()
    return arguments


def _shared(shape: tuple[str, ...], parts: str, total: str) -> str:
    each = "for (int64_t t = 0; t < a.T; ++t)"
    match shape:
        case ("channel",):
            return f"add_shared({parts}, a.N, a.C, a.inner, {total}, warps);"
        case ("neuron",):
            return f"add_shared({parts}, a.N, a.C * a.inner, int64_t(1), {total}, warps);"
        case ("time",):
            return (
                f"{each} add_shared({parts} + t * a.N, a.N, int64_t(1), a.N, {total} + t, warps);"
            )
    return f"{each} add_shared({parts} + t * a.N, a.N, a.C, a.inner, {total} + t * a.C, warps);"
