"""Prints the stencil kernels: a neuron whose feedback goes through a depthwise convolution, all time steps in one call.

A plane (one sample, one channel) is the same all the way through time, since the convolution does not mix channels: it
is convolved, charged and fired again and again while it lies in the cache. Planes run on threads; the neuron's own
kernels do a step of a plane. Backwards, the states of a plane are worked out again, a step at a time.
"""

from __future__ import annotations

from neurodsl.csrc_gen.arguments import STEPS_NEURONS, Argument, Pass
from neurodsl.csrc_gen.cpp.backward import BackwardPrinter
from neurodsl.csrc_gen.cpp.forward import ForwardPrinter
from neurodsl.csrc_gen.cpp.layout import field_names, write_struct
from neurodsl.csrc_gen.cpp.stencil_arguments import (
    GEOMETRY,
    stencil_backward_arguments,
    stencil_forward_arguments,
)
from neurodsl.csrc_gen.writer import Writer

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan

HELPERS = """constexpr int LANES = 32;

// A plane [H, W] with a border of zeros around it; the border of `out` is zero already.
template <typename real> static void pad_plane(const real* in, i64 H, i64 W, i64 KH, i64 KW, real* out) {
    const i64 wide = W + KW - 1;
    for (i64 i = 0; i < H; ++i)
        for (i64 j = 0; j < W; ++j) out[(i + KH / 2) * wide + KW / 2 + j] = in[i * W + j];
}

// out = (add ? out : 0) + bias + the padded plane under the weights [KH, KW]
template <typename real>
static void stencil(const real* in, const real* weight, real bias, i64 H, i64 W, i64 KH, i64 KW, bool add, real* out) {
    const i64 wide = W + KW - 1;
    for (i64 i = 0; i < H; ++i) {
        for (i64 j = 0; j < W; j += LANES) {  // reads up to LANES beyond the plane, and throws that away
            real sums[LANES];
            for (int l = 0; l < LANES; ++l) sums[l] = bias;
            for (i64 u = 0; u < KH; ++u) {
                for (i64 v = 0; v < KW; ++v) {
                    const real w = weight[u * KW + v];
                    const real* from = in + (i + u) * wide + j + v;
#pragma omp simd
                    for (int l = 0; l < LANES; ++l) sums[l] += w * from[l];
                }
            }
            real* row = out + i * W + j;
            const int n = W - j < LANES ? int(W - j) : LANES;
            for (int l = 0; l < n; ++l) row[l] = add ? row[l] + sums[l] : sums[l];
        }
    }
}

// sums[u, v] += the padded plane, moved by (u, v), times g; the last of the sums is that of g alone
template <typename real>
static void stencil_gradient(const real* in, const real* g, i64 H, i64 W, i64 KH, i64 KW, double* sums) {
    const i64 wide = W + KW - 1;
    for (i64 u = 0; u < KH; ++u) {
        for (i64 v = 0; v < KW; ++v) {
            real all = 0;
            for (i64 i = 0; i < H; ++i) {
                const real* from = in + (i + u) * wide + v;
                const real* to = g + i * W;
#pragma omp simd reduction(+ : all)
                for (i64 j = 0; j < W; ++j) all += from[j] * to[j];
            }
            sums[u * KW + v] += double(all);
        }
    }
    for (i64 k = 0; k < H * W; ++k) sums[KH * KW] += double(g[k]);
}"""


class StencilPrinter:
    """The forward driver and the backward ones; `entries` are their names and arguments."""

    def __init__(
        self, plan: KernelPlan, backward: list[tuple[str, tuple[BackwardPlan, BackwardPlan]]]
    ) -> None:
        self.plan, self.backward = plan, backward
        self.name, self.source = plan.feedbacks[0]
        self.arguments: tuple[Argument, ...] = ()
        self.fields: dict[str, str] = {}

    def write(self, writer: Writer) -> list[tuple[str, tuple[Argument, ...]]]:
        """Print all; name and arguments of each."""
        entries = [("stencil_forward", self._forward(writer))]
        for name, passes in self.backward:
            entries.append((f"stencil_{name}", self._backward(writer, name, passes)))
        return entries

    # --- names ---

    def _begin(self, writer: Writer, name: str, arguments: tuple[Argument, ...]) -> None:
        self.arguments, self.fields = arguments, field_names(arguments)
        write_struct(writer, f"{name}_arguments", arguments)
        writer.line()
        writer.line("template <typename real>")
        writer.line(f"static int {name}_run(const {name}_arguments<real>& a) {{")

    def _of(self, role: str, of: str | None = None) -> str:
        """The field of an argument."""
        found = next(a for a in self.arguments if a.role == role and of in (None, a.of))
        return f"a.{self.fields[found.name]}"

    def _named(self, argument: Argument) -> str:
        return f"a.{self.fields[argument.name]}"

    def _geometry(self, writer: Writer) -> None:
        names = dict(zip(("H", "W", "KH", "KW"), GEOMETRY, strict=True))
        for short, role in names.items():
            writer.line(f"const i64 {short} = {self._of(role)};")
        writer.line(f"const i64 plane = H * W, channels = {self._of('channels')};")
        writer.line("const i64 planes = plane ? a.N / plane : 0;")
        writer.line("const i64 padded = (H + KH - 1) * (W + KW - 1) + LANES;")
        writer.line("int failed = 0;")

    def _row(self, argument: Argument, at: str = "k") -> str:
        """A pointer moved to where a step of a plane begins."""
        field = self._named(argument)
        return f"{field} ? {field} + {at} : nullptr" if argument.optional else f"{field} + {at}"

    def _step_field(self, argument: Argument) -> str:
        """An argument of the neuron's own kernel for one step of one plane, where nothing special is said of it."""
        if argument.every > 1:
            return "nullptr"  # one step wants no checkpoints
        if argument.name not in self.fields:
            return "real(0)"  # an initial value: here all states begin from arrays
        match argument.role:
            case "first_step":
                return f"{self._named(argument)} + t"
            case "steps":
                return "1"
            case "neurons":
                return "plane"
        return self._row(argument) if argument.shape == STEPS_NEURONS else self._named(argument)

    def _call(self, writer: Writer, kernel: str, texts: list[str]) -> None:
        writer.line(f"const {kernel}_arguments<real> call = {{")
        with writer.indented():
            writer.lines(f"{text}," for text in texts)
        writer.line("};")
        writer.line(f"if ({kernel}_run<real>(call)) note_failure(failed);")

    # --- forwards ---

    def _forward(self, writer: Writer) -> tuple[Argument, ...]:
        arguments = stencil_forward_arguments(self.plan)
        self._begin(writer, "stencil_forward", arguments)
        with writer.indented():
            self._geometry(writer)
            with writer.block("in_parallel(planes, true, [&](i64 first, i64 end) {", "});"):
                writer.line("real* pad = allocate<real>(padded);")
                writer.line("if (pad == nullptr) return note_failure(failed);")
                writer.line("for (i64 q = 0; q < padded; ++q) pad[q] = real(0);")
                with writer.block("for (i64 p = first; p < end; ++p) {"):
                    self._forward_plane(writer)
                writer.line("std::free(pad);")
            writer.line("return failed;")
        writer.lines(["}", ""])
        return arguments

    def _forward_plane(self, writer: Writer) -> None:
        last, end = self._of("last_0"), self._of("last_T")
        fed = f"const_cast<real*>({self._of('input', self.name)})"
        output = self._of("output", self.source)
        writer.line("const i64 n0 = p * plane, c = p % channels;")
        writer.line(f"const real* last = {last} ? {last} + n0 : nullptr;")
        writer.line(f"const real bias = {self._of('bias')} ? {self._of('bias')}[c] : real(0);")
        with writer.block("for (i64 t = 0; t < a.T; ++t) {"):
            writer.line("const i64 k = t * a.N + n0;")
            writer.line(f"real* fed = {fed} + k;")
            with writer.block("if (last) {"):
                writer.line("pad_plane(last, H, W, KH, KW, pad);")
                weight = f"{self._of('weight')} + c * KH * KW"
                writer.line(f"stencil(pad, {weight}, bias, H, W, KH, KW, false, fed);")
            writer.line("else for (i64 q = 0; q < plane; ++q) fed[q] = real(0);")
            which = Pass.FORWARD_TRAIN if self.plan.saved else Pass.FORWARD
            inner = ForwardPrinter(self.plan, which).arguments
            finals = {a.of: a for a in inner if a.role == "final_state"}
            self._call(
                writer,
                which.value,
                [self._forward_field(argument, finals) for argument in inner],
            )
            writer.line(f"last = {output} + k;")
        writer.line(
            f"for (i64 q = 0; q < (last && {end} ? plane : 0); ++q) {end}[n0 + q] = last[q];"
        )

    def _forward_field(self, argument: Argument, finals: dict[str, Argument]) -> str:
        if argument.name not in self.fields:
            return self._step_field(argument)
        field = self._named(argument)
        match argument.role:
            case "initial_state":
                return f"(t ? {self._named(finals[argument.of])} : {field}) + n0"
            case "final_state":
                return f"{field} + n0"
        return self._step_field(argument)

    # --- backwards ---

    def _backward(
        self, writer: Writer, name: str, passes: tuple[BackwardPlan, BackwardPlan]
    ) -> tuple[Argument, ...]:
        arguments = stencil_backward_arguments(self.plan, passes)
        inner = BackwardPrinter(self.plan, name, passes).arguments
        params = [a for a in inner if a.role == "grad_param"]
        states, outputs = len(self.plan.states), len(self.plan.outputs)
        self._begin(writer, f"stencil_{name}", arguments)
        with writer.indented():
            self._geometry(writer)
            writer.line(f"const i64 sums = KH * KW + 1, params = {len(params)};")
            writer.line("double* parts = allocate<double>(planes * (sums + params));")
            writer.line("if (parts == nullptr) return 1;")
            with writer.block("in_parallel(planes, true, [&](i64 first, i64 end) {", "});"):
                size = f"2 * padded + KH * KW + params + ({2 + states + outputs} + (a.T + 1) * {states}) * plane"
                writer.line(f"real* buffer = allocate<real>({size});")
                writer.line("if (buffer == nullptr) return note_failure(failed);")
                writer.line(
                    "real *pad = buffer, *border = pad + padded, *flipped = border + padded;"
                )
                writer.line(
                    "real *learnt = flipped + KH * KW, *up = learnt + params, *down = up + plane;"
                )
                writer.line(f"real *carried = down + plane, *spare = carried + {states} * plane;")
                writer.line(f"real* states = spare + {outputs} * plane;")
                writer.line("for (i64 q = 0; q < 2 * padded; ++q) pad[q] = real(0);")
                with writer.block("for (i64 p = first; p < end; ++p) {"):
                    self._backward_plane(writer, name, inner)
                writer.line("std::free(buffer);")
            self._add_up(writer, params)
            writer.line("std::free(parts);")
            writer.line("return failed;")
        writer.lines(["}", ""])
        return arguments

    def _backward_plane(self, writer: Writer, name: str, inner: tuple[Argument, ...]) -> None:
        count = len(self.plan.states)
        writer.line("const i64 n0 = p * plane, c = p % channels;")
        writer.line("double* sum = parts + p * (sums + params);")
        writer.line("for (i64 q = 0; q < sums + params; ++q) sum[q] = 0;")
        writer.line("for (i64 q = 0; q < params; ++q) learnt[q] = real(0);")
        writer.line(
            f"for (i64 q = 0; q < KH * KW; ++q) flipped[q] = {self._of('weight')}[c * KH * KW + KH * KW - 1 - q];"
        )
        for place, (state, _) in enumerate(self.plan.states):
            initial, final = self._of("initial_state", state), self._of("grad_final_state", state)
            with writer.block("for (i64 q = 0; q < plane; ++q) {"):
                writer.line(f"states[{place} * plane + q] = {initial}[n0 + q];")
                writer.line(f"carried[{place} * plane + q] = {final} ? {final}[n0 + q] : real(0);")
        with writer.block("for (i64 t = 0; t < a.T; ++t) {"):
            writer.line("const i64 k = t * a.N + n0;")
            writer.line(f"real *now = states + t * {count} * plane, *next = now + {count} * plane;")
            forward = ForwardPrinter(self.plan, Pass.FORWARD).arguments
            self._call(writer, "forward", [self._again_field(a) for a in forward])
            writer.line("(void)now, (void)next;")
        with writer.block("for (i64 t = a.T - 1; t >= 0; --t) {"):
            self._step_back(writer, name, inner)
        for place, (state, _) in enumerate(self.plan.states):
            field = self._of("grad_initial_state", state)
            writer.line(
                f"for (i64 q = 0; q < ({field} ? plane : 0); ++q) {field}[n0 + q] = carried[{place} * plane + q];"
            )
        writer.line("for (i64 q = 0; q < params; ++q) sum[sums + q] = double(learnt[q]);")

    def _again_field(self, argument: Argument) -> str:
        """A forward step, its outputs thrown away, its states kept."""
        states = [name for name, _ in self.plan.states]
        match argument.role:
            case "output":
                return f"spare + {self.plan.outputs.index(argument.of)} * plane"
            case "initial_state":
                return f"now + {states.index(argument.of)} * plane"
            case "final_state":
                return f"next + {states.index(argument.of)} * plane"
            case "recorded":
                return "nullptr"
        return self._step_field(argument)

    def _step_back(self, writer: Writer, name: str, inner: tuple[Argument, ...]) -> None:
        upstream = self._of("grad_output", self.source)
        last, to_last, from_last = (self._of(r) for r in ("last_0", "grad_last_0", "grad_last_T"))
        writer.line("const i64 k = t * a.N + n0;")
        writer.line(f"real* now = states + t * {len(self.plan.states)} * plane;")
        writer.line("(void)now;")
        writer.line(
            f"for (i64 q = 0; q < plane; ++q) up[q] = {upstream} ? {upstream}[k + q] : real(0);"
        )
        writer.line(
            f"for (i64 q = 0; q < (t == a.T - 1 && {from_last} ? plane : 0); ++q) up[q] += {from_last}[n0 + q];"
        )
        with writer.block("if (t + 1 < a.T) {"):
            writer.line("pad_plane(down, H, W, KH, KW, border);")
            writer.line("stencil(border, flipped, real(0), H, W, KH, KW, true, up);")
        self._call(writer, name, [self._back_field(argument) for argument in inner])
        source = self._of("source")
        writer.line(
            f"const real* before = t ? {source} + k - a.N : {last} ? {last} + n0 : nullptr;"
        )
        with writer.block(
            f"if (before && ({self._of('grad_weight')} || {self._of('grad_bias')})) {{"
        ):
            writer.line("pad_plane(before, H, W, KH, KW, pad);")
            writer.line("stencil_gradient(pad, down, H, W, KH, KW, sum);")
        with writer.block(f"if (t == 0 && before && {to_last}) {{"):
            writer.line("pad_plane(down, H, W, KH, KW, border);")
            writer.line(f"stencil(border, flipped, real(0), H, W, KH, KW, false, {to_last} + n0);")

    def _back_field(self, argument: Argument) -> str:
        states = [name for name, _ in self.plan.states]
        match argument.role:
            case "grad_output" if argument.of == self.source and not argument.recorded:
                return "up"
            case "grad_final_state" | "grad_initial_state":
                return f"carried + {states.index(argument.of)} * plane"
            case "grad_input" if argument.of == self.name:
                return "down"
            case "grad_param":
                place = [a for a in self.arguments if a.role == "grad_param"].index(argument)
                return f"{self._named(argument)} ? learnt + {place} : nullptr"
            case "initial_state":
                return f"now + {states.index(argument.of)} * plane"
        return self._step_field(argument)

    def _add_up(self, writer: Writer, params: list[Argument]) -> None:
        """The planes' parts, always in the same order."""
        weight, bias = self._of("grad_weight"), self._of("grad_bias")
        with writer.block("for (i64 p = 0; p < (failed ? 0 : planes); ++p) {"):
            writer.line("const double* sum = parts + p * (sums + params);")
            writer.line("const i64 c = p % channels;")
            writer.line(
                f"for (i64 q = 0; q < ({weight} ? KH * KW : 0); ++q) {weight}[c * KH * KW + q] += real(sum[q]);"
            )
            writer.line(f"if ({bias}) {bias}[c] += real(sum[sums - 1]);")
        for place, argument in enumerate(params):
            field = self._named(argument)
            with writer.block(f"if ({field} && !failed) {{"):
                writer.line("double all = 0;")
                where = f"parts[p * (sums + params) + sums + {place}]"
                writer.line(f"for (i64 p = 0; p < planes; ++p) all += {where};")
                writer.line(f"*{field} += real(all);")
