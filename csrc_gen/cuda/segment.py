"""Prints one segment of a CUDA backward pass: everything is loaded, then the steps run forward again, then back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurodsl.csrc_gen.arguments import Argument
from neurodsl.csrc_gen.writer import Writer, comment_text

from neurodsl.ir.nodes import Const, IRType

if TYPE_CHECKING:
    from neurodsl.csrc_gen.cuda.backward_thread import BackwardThread

DEVICE = "__device__ __forceinline__"
THERE = "if (WHOLE || row < length)"


class Segment:
    """The method `segment`; WHOLE segments have K steps."""

    def __init__(self, thread: BackwardThread) -> None:
        self.thread, self.chosen = thread, thread.chosen

    def write(self, writer: Writer) -> None:
        """The method."""
        writer.line("template <bool WHOLE>")
        with writer.block(f"{DEVICE} void segment(int64_t begin, int length) {{"):
            writer.line("pin(at);")
            self._loads(writer)
            if self.chosen.tape and not self.thread.kept:
                self._forward(writer)
            writer.line("#pragma unroll")
            with writer.block("for (int row = K - 1; row >= 0; --row) {"):
                writer.line("if (!WHOLE && row >= length) continue;")
                self._back(writer)
            writer.line("at -= K * stride;")
            if self.thread.checkpoints:
                writer.line("kept_at -= stride;")

    def _loads(self, writer: Writer) -> None:
        thread = self.thread
        inputs, gradients = thread.loaded(), thread.of_role("grad_output")
        for argument in (*inputs, *gradients):
            writer.line(f"pack<io, V> {thread.pack(argument)}[K];")
        for argument in thread.kept:
            writer.line(f"pack<{thread.element(argument)}, V> {thread.pack(argument)}[K];")
        for argument in inputs:
            place = thread.place(argument)
            self._rows(writer, f"{THERE} {thread.pack(argument)}[row].load({place});")
        for argument in thread.kept:
            place = thread.place(argument)
            self._rows(writer, f"{THERE} {thread.pack(argument)}[row].load({place});", down=True)
        for argument in gradients:
            self._gradient(writer, argument, alone=len(gradients) == 1)

    def _gradient(self, writer: Writer, argument: Argument, *, alone: bool) -> None:
        field, pack = self.thread.field(argument), self.thread.pack(argument)
        there = f"V > 1 || {field}" if alone else field
        place = self.thread.place(argument)
        writer.line("#pragma unroll")
        with writer.block("for (int row = K - 1; row >= 0; --row) {"):
            guard = "" if alone else f" && {field}"
            if alone:
                writer.line(f"if (!({there})) {pack}[row].zero();")
                writer.line(f"else {THERE} {pack}[row].load({place});")
            else:
                writer.line(f"{pack}[row].zero();")
                test = THERE.replace(")", f"){guard})", 1).replace("if (", "if ((", 1)
                writer.line(f"{test} {pack}[row].load({place});")

    @staticmethod
    def _rows(writer: Writer, text: str, *, down: bool = False) -> None:
        writer.line("#pragma unroll")
        loop = "int row = K - 1; row >= 0; --row" if down else "int row = 0; row < K; ++row"
        writer.line(f"for ({loop}) {text}")

    def _forward(self, writer: Writer) -> None:
        thread, chosen = self.thread, self.chosen
        for place in range(len(chosen.tape)):
            writer.line(f"real kept_{place}[K][V];")
        if thread.states:
            for state in thread.states:
                writer.line(f"real {state}[V];")
            writer.line(f"start(begin, {', '.join(thread.states)});")
        inputs = {b.name for b in chosen.recompute_inputs}
        passed = ["begin + row", "j"]
        passed += [f"get({thread.pack(a)}[row], j)" for a in thread.loaded() if a.of in inputs]
        passed += [f"{state}[j]" for state in thread.states]
        passed += [f"kept_{place}[row][j]" for place in range(len(chosen.tape))]
        writer.line("#pragma unroll")
        with writer.block("for (int row = 0; row < K; ++row) {"):
            writer.line("if (!WHOLE && row >= length) continue;")
            writer.line("#pragma unroll")
            writer.line(f"for (int j = 0; j < V; ++j) again({', '.join(passed)});")

    def _back(self, writer: Writer) -> None:
        thread, chosen = self.thread, self.chosen
        if self._timed():
            writer.line("const int64_t t = begin + row;")
        recorded = thread.of_role("grad_output", recorded=True) if chosen.full else []
        for argument in recorded:
            field, pack = thread.field(argument), thread.pack(argument)
            writer.line(f"pack<io, V> {pack};")
            writer.line(f"{pack}.zero();")
            writer.line(f"if ({field}) {pack}.load({thread.place(argument)});")
        stored = self._stored()
        for _, values, _, _ in stored:
            writer.line(f"real {values}[V];")
        writer.line("#pragma unroll")
        with writer.block("for (int j = 0; j < V; ++j) {"):
            self._reads(writer, recorded)
            self._program(writer)
            self._results(writer, stored)
        for place, values, type, guard in stored:
            with writer.block(f"if ({guard}) {{"):
                writer.line(f"pack<{type}, V> moved;")
                writer.line(f"put(moved, {values});")
                writer.line(f"moved.store({place});")

    def _timed(self) -> bool:
        """Whether the way back asks which step it is."""
        thread = self.thread
        drawn = {draw.name for draw in thread.plan.draws}
        return (
            bool(thread.of_role("first_step"))
            or bool(thread.members.shaped(timed=True))
            or any(b.name in drawn for b in self.chosen.reverse_inputs)
        )

    def _stored(self) -> list[tuple[str, str, str, str]]:
        """What each step writes: its place, values, type, and the pointer that has to be there."""
        thread, made = self.thread, []
        for argument in thread.of_role("grad_input"):
            place = thread.place(argument)
            made.append((place, thread.pack(argument), "io", f"V > 1 || {thread.field(argument)}"))
        given = {a.of: a for a in thread.of_role("grad_param")}
        for binding in self.chosen.grad_scalars:
            if "time" in thread.shapes[binding.name]:
                part = thread.part(binding.name)
                guard = thread.field(given[binding.name])
                place = f"{thread.field(part)} + (at + row * stride)"
                made.append((place, thread.pack(part), "real", guard))
        return made

    def _reads(self, writer: Writer, recorded: list[Argument]) -> None:
        thread, chosen = self.thread, self.chosen
        thread.members.read_shaped(writer)
        inputs = {a.of: a for a in thread.of_role("input")}
        for binding in chosen.reverse_inputs:
            if binding.name in inputs:
                pack = thread.pack(inputs[binding.name])
                writer.line(f"const real {thread.name_of(binding.value)} = get({pack}[row], j);")
        thread.drawn(writer, chosen.reverse_inputs)
        kept = {a.of: a for a in thread.kept}
        for place, var in enumerate(chosen.tape):
            value = f"kept_{place}[row][j]"
            if kept:
                value = f"real(get({thread.pack(kept[var.name])}[row], j))"
            writer.line(f"const real {thread.names[var.name]} = {value};")
        for binding, argument in zip(
            chosen.grad_outputs, thread.of_role("grad_output"), strict=True
        ):
            pack = thread.pack(argument)
            writer.line(f"const real {thread.name_of(binding.value)} = get({pack}[row], j);")
        if chosen.full:
            for binding, argument in zip(chosen.grad_recorded, recorded, strict=True):
                pack = thread.pack(argument)
                writer.line(f"const real {thread.name_of(binding.value)} = get({pack}, j);")
        for carry, name in zip(chosen.adjoints, thread.adjoints, strict=True):
            writer.line(f"const real {thread.name_of(carry.incoming)} = {name}[j];")
        thread.time(writer)

    def _program(self, writer: Writer) -> None:
        thread, note = self.thread, None
        for assign in self.chosen.reverse:
            if assign.note is not None and assign.note != note:
                writer.line(f"// {comment_text(assign.note)}")
                note = assign.note
            own = assign.target.name in self.chosen.again
            printer = thread.exact if own else thread.fast
            type = "bool" if assign.target.type is IRType.BOOL else "real"
            name = thread.names[assign.target.name]
            writer.line(f"const {type} {name} = {printer.text(assign.value)};")

    def _results(self, writer: Writer, stored: list[tuple[str, str, str, str]]) -> None:
        thread, chosen = self.thread, self.chosen
        values = iter(stored)
        for binding in chosen.grad_inputs:
            writer.line(f"{next(values)[1]}[j] = {thread.fast.text(binding.value)};")
        for binding in chosen.grad_scalars:
            value = thread.fast.text(binding.value)
            if binding.name not in thread.totals:
                writer.line(f"{next(values)[1]}[j] = {value};")
            elif binding.value != Const(0.0):
                total = thread.totals[binding.name]
                place = f"{total}[j]" if thread.shapes[binding.name] else total
                writer.line(f"{place} += {value};")
        for carry, name in zip(chosen.adjoints, thread.adjoints, strict=True):
            writer.line(f"{name}[j] = {thread.fast.text(carry.outgoing)};")
