"""Prints the backward kernels in C++: a block of neurons is run forwards again into scratch, then walked back in time.

Each kernel is instantiated twice: PLAIN gives the gradients of inputs and initial states, FULL those of scalars and
of recorded values too. Sums over neurons are taken block by block, in the blocks' order, whatever the threads.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from neurodsl.csrc_gen.arguments import Argument, backward_arguments, differentiable
from neurodsl.csrc_gen.cpp import streaming, tails
from neurodsl.csrc_gen.cpp.arrays import Parts
from neurodsl.csrc_gen.cpp.backward_block import BackwardBlock
from neurodsl.csrc_gen.cpp.divisors import divisors, powers
from neurodsl.csrc_gen.cpp.layout import EVERY, PARALLEL_FROM, field_names, is_long, write_struct
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan


class BackwardPrinter:
    """One backward kernel: `name` is `backward` or `backward_detached`."""

    def __init__(
        self, plan: KernelPlan, name: str, passes: tuple[BackwardPlan, BackwardPlan]
    ) -> None:
        self.plan, self.name, self.passes = plan, name, passes
        self.arguments = backward_arguments(plan, passes, initial_values=True, every=EVERY)
        self.fields = field_names(self.arguments)
        self.struct = f"{name}_arguments"
        self.scratch = max(len(chosen.tape) for chosen in passes) if not plan.saved else 0
        self.dividing = divisors(
            [p for c in passes for p in (c.recompute, c.reverse)], plan.scalars
        )
        self.parts = Parts(differentiable(plan))
        self.summed = [s.name for s in differentiable(plan) if not s.shape]
        self.sums = len(self.summed)
        self.more = ", real* parts" if self.parts else ""

    def write(self, writer: Writer) -> None:
        """The struct, both blocks, and the loop over blocks."""
        write_struct(writer, self.struct, self.arguments)
        writer.line()
        for chosen in self.passes:
            BackwardBlock(
                plan=self.plan,
                name=self.name,
                chosen=chosen,
                arguments=self.arguments,
                dividing=self.dividing,
                parts=self.parts,
                summed=self.summed,
            ).write(writer)
            writer.line()
        self._driver(writer)
        writer.line()

    def _driver(self, writer: Writer) -> None:
        name = self.name
        writer.line("template <typename real, bool FULL, bool POWERS>")
        with writer.block(
            f"static int {name}_blocks(const {self.struct}<real>& a, bool stream, double* sums{self.more}) {{"
        ):
            writer.line("const i64 N = a.N, blocks = (N + B - 1) / B;")
            writer.line("int failed = 0;")
            head = f"in_parallel(blocks, a.T * N >= {PARALLEL_FROM}, [&](i64 first, i64 last) {{"
            with writer.block(head, "});"):
                writer.line(
                    f"real* scratch = allocate<real>({self._steps()} * B * {self.scratch});"
                )
                writer.line("if (scratch == nullptr) return note_failure(failed);")
                with writer.block("for (i64 b = first; b < last; ++b) {"):
                    writer.line("const i64 n0 = b * B;")
                    writer.line("const int count = N - n0 < B ? int(N - n0) : B;")
                    writer.line(f"double* sum = FULL ? sums + b * {max(self.sums, 1)} : sums;")
                    with writer.block("if (FULL) {"):
                        self._choose(writer, "full")
                    with writer.block("else {"):
                        self._choose(writer, "plain")
                writer.line("std::free(scratch);")
            writer.line("return failed;")
        writer.line()
        self._run(writer)

    def _steps(self) -> str:
        """How many steps are worked out again at a time."""
        kept = [f"a.{self.fields[a.name]}" for a in self.arguments if a.every > 1]
        return f"({' && '.join(kept)} && a.T > {EVERY} ? {EVERY} : a.T)" if kept else "a.T"

    def _choose(self, writer: Writer, which: str) -> None:
        name, more = self.name, ", parts" if self.parts else ""
        one, own = is_long(self.plan), "POWERS" if which == "plain" else "false"
        whole = f"{name}_{which}<real, true, {own}>(a, n0, B, stream, scratch, sum{more})"
        own = own if one else "false"
        rest = f"{name}_{which}<real, false, {own}>(a, n0, count, false, scratch, sum{more})"
        tails.write_calls(writer, whole, rest, one=one)

    def _run(self, writer: Writer) -> None:
        wanted = [a for a in self.arguments if a.role == "grad_param" or a.recorded]
        none, more = (", nullptr", ", parts") if self.parts else ("", "")
        with writer.block(
            f"template <typename real> int {self.name}_run(const {self.struct}<real>& a) {{"
        ):
            made = [f"a.{self.fields[a.name]}" for a in self.arguments if a.role == "grad_input"]
            moved = ("input", "saved", "grad_output", "grad_input")
            arrays = sum(
                a.role in moved and not a.recorded and a.every == 1 for a in self.arguments
            )
            writer.line(f"const bool large = {streaming.condition(made, arrays)};")
            with self._only_where(writer, wanted):
                given = f"(a, large, nullptr{none})"
                chosen = powers(self.dividing, self.arguments, self.fields)
                call = f"{self.name}_blocks<real, false"
                if chosen:
                    writer.line(f"if ({chosen}) return {call}, is_float<real>>{given};")
                writer.line(f"return {call}, false>{given};")
            if not wanted:
                return
            writer.line("const i64 N = a.N, blocks = (N + B - 1) / B;")
            writer.line(f"double* sums = allocate<double>(blocks * {max(self.sums, 1)});")
            writer.line("if (sums == nullptr) return 1;")
            if self.parts:
                writer.line(f"real* parts = allocate<real>({self.parts.size});")
                writer.line("if (parts == nullptr) return std::free(sums), 1;")
            writer.line(
                f"const int failed = {self.name}_blocks<real, true, false>(a, large, sums{more});"
            )
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
