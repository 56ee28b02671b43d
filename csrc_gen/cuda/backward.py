"""Prints the backward kernels in CUDA: a thread takes its neurons' time steps in segments, the last one first.

    <name>_<plain|full>_thread      `segment`: loads, runs its steps forward again in registers, then back
    <name>_<plain|full>_tiles       all neurons of a thread, all segments
    <name>_run                      the choice of instance and of how many neurons a thread takes

A segment begins with the states that forward_train kept, the first with the initial states. Where none were kept, the
thread runs from the first step on each time. Full instances give the gradients of scalars too.
"""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import Argument, differentiable
from neurodsl.csrc_gen.cuda.arguments import cuda_backward_arguments
from neurodsl.csrc_gen.cuda.backward_thread import DEVICE, BackwardThread
from neurodsl.csrc_gen.cuda.choice import write_choice
from neurodsl.csrc_gen.cuda.members import conditions, write_arguments
from neurodsl.csrc_gen.cuda.schedule import segment_steps
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan

Passes = tuple[BackwardPlan, BackwardPlan]


def write_backward(
    writer: Writer, plan: KernelPlan, name: str, passes: Passes
) -> tuple[Argument, ...]:
    """The struct of arguments, both instances, and the choice between them; the arguments."""
    every = segment_steps(plan)
    arguments = cuda_backward_arguments(plan, passes, every)
    write_arguments(writer, f"{name}_arguments", arguments)
    writer.line()
    threads = [BackwardThread(plan, name, chosen, arguments, every) for chosen in passes]
    for thread in threads:
        thread.write(writer)
        writer.line()
        _tiles(writer, thread)
        writer.line()
        _choice(writer, thread)
        writer.line()
    _run(writer, name, threads)
    writer.line()
    return arguments


def _tiles(writer: Writer, thread: BackwardThread) -> None:
    name, members, sums = thread.name, thread.members, thread.sums
    writer.line(f"template <typename io, typename real, int V, int K{members.template}>")
    given = f", double (&sums)[{len(sums)}]" if sums else ""
    head = f"{DEVICE} void {name}_tiles(const {thread.kernel}_arguments<io, real>& a{members.divisors}{given}) {{"
    with writer.block(head):
        writer.line("const int64_t threads = int64_t(gridDim.x) * BLOCK * V;")
        writer.line("int64_t n = (int64_t(blockIdx.x) * BLOCK + threadIdx.x) * V;")
        with writer.block("for (; n < a.N; n += threads) {"):
            writer.line(
                f"{name}_thread<io, real, V, K{members.passed}> neurons(a, n{members.divided});"
            )
            with writer.block("if constexpr (V > 1) {"):
                writer.line("const int T = int(a.T);")
                writer.line("int begin = T / K * K;")
                last = "neurons.template segment<false>(begin, T - begin);"
                writer.line(f"if (begin < T) {last}")
                whole = "neurons.template segment<true>(begin, K);"
                writer.line(f"for (begin -= K; begin >= 0; begin -= K) {whole}")
            with writer.block("else {"):
                writer.line("int64_t begin = (a.T - 1) / K * K;")
                each = "neurons.template segment<false>(begin, int(least(a.T - begin, K)));"
                writer.line(f"for (; begin >= 0 && a.T; begin -= K) {each}")
            writer.line("neurons.finish();")
            for place, total in enumerate(sums.values()):
                writer.line(f"sums[{place}] += double(neurons.{total});")


def _run(writer: Writer, name: str, threads: list[BackwardThread]) -> None:
    plain, full = threads
    writer.line("template <typename io, typename real, int V, int V_FULL, int K>")
    head = f"{DEVICE} void {name}_run(const {name}_arguments<io, real>& a) {{"
    fields = plain.fields
    wanted = [a for a in plain.arguments if a.role == "grad_param" or a.recorded]
    shown = " || ".join(f"a.{fields[a.name]}" for a in wanted)
    with writer.block(head):
        if shown:
            with writer.block(f"if (!({shown})) {{"):
                writer.line(f"{plain.name}_choice<io, real, V, K>(a);")
                writer.line("return;")
            _full(writer, full)
        else:
            writer.line(f"{plain.name}_choice<io, real, V, K>(a);")


def _full(writer: Writer, full: BackwardThread) -> None:
    fields, sums = full.fields, full.sums
    given = ""
    if sums:
        writer.line(f"double sums[{len(sums)}] = {{}};")
        given = ", sums"
    writer.line(f"{full.name}_choice<io, real, V_FULL, K>(a{given});")
    if not sums:
        return
    writer.line("__shared__ double warps[BLOCK / 32];")
    arguments = {a.of: a for a in full.arguments if a.role == "grad_param"}
    scalars = [s.name for s in differentiable(full.plan) if not s.shape]
    for place, name in enumerate(sums):
        gradient = f"a.{fields[arguments[name].name]}"
        with writer.block(f"if ({gradient}) {{"):
            writer.line(f"const double all = block_sum(sums[{place}], warps);")
            with writer.block("if (threadIdx.x == 0) {"):
                row = scalars.index(name)
                writer.line(
                    f"if (a.partials) a.partials[{row} * int64_t(gridDim.x) + blockIdx.x] = all;"
                )
                writer.line(f"else atomicAdd({gradient}, real(all));")


def _choice(writer: Writer, thread: BackwardThread) -> None:
    """`<name>_choice`: how many neurons a thread takes, and which divisions."""
    members, sums = thread.members, thread.sums
    given = f", double (&sums)[{len(sums)}]" if sums else ""
    passed = ", sums" if sums else ""
    writer.line("template <typename io, typename real, int V, int K>")
    head = f"{DEVICE} void {thread.name}_choice(const {thread.kernel}_arguments<io, real>& a{given}) {{"
    corrected, packed = conditions(members, thread.dividing, thread.moved)

    def call(neurons: str, types: str) -> str:
        return f"{thread.name}_tiles<io, real, {neurons}, K, {types}>(a{members.divided}{passed});"

    with writer.block(head):
        packed += thread.whole
        write_choice(writer, members, call, corrected, packed, fixed=not thread.chosen.full)
