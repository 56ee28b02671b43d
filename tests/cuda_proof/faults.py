"""Faults that are planted in copies of our CUDA texts."""

# ruff: noqa: E501
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """A change of a text: `old` becomes `new` wherever it stands, in the kernels of one neuron and dtype.

    passes: whose tests should notice.
    unnoticed: why it need not be found.
    """

    what: str
    old: str
    new: str
    passes: tuple[str, ...] = ("forward",)
    dtype: str = "float32"
    neuron: str = "LIF"
    unnoticed: str | None = None

    def __str__(self) -> str:
        return f"{self.neuron} {self.dtype} {'+'.join(self.passes)}: {self.what}"

    def planted(self, source: str) -> str:
        """The text with the fault."""
        assert self.old in source, f"{self}: the text has no {self.old!r}"
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """Whether a fault was found; why it need not be, if it was not.

    equivalent: whether it is no fault: nothing can tell it from the right kernel.
    """

    what: str
    found: bool
    reason: str | None
    equivalent: bool = False


FOUND: list[Outcome] = []
"""Of this session."""

TRAIN, PLAIN, FULL = ("forward_train",), ("plain",), ("full",)
BACKWARD = ("plain", "full")
TENSOR = "a.tau_tensor ? *a.tau_tensor : a.tau"
CORRECTED = "return __fmaf_rn(__fmaf_rn(-q, y.by.d, x), y.by.r, q);"
CHARGE = "decay_input ? v + (x - v_1_part) / by_tau : v - v_1_part / by_tau + x"
BFLOAT16 = "(bits + 0x7fffu + (bits >> 16 & 1u)) >> 16"

RARE = "the correction makes up for a reciprocal that is wrong in its last place, but for rare numerators"
PAYLOAD = "only NaN with all bits set, as GPUs make it, would overflow; the simulator's has fewer"

FORWARD_FAULTS = [
    Planted("> for >=, checked", "x - threshold >= real(0) :", "x - threshold > real(0) :"),
    Planted("> for >=, packs", ": x >= threshold;", ": x > threshold;"),
    Planted("a neuron too many", "n < a.N; n += threads", "n <= a.N; n += threads"),
    Planted("a grid that goes on too soon", "n += threads", "n += threads / 2"),
    Planted("a grid that goes on too late", "n += threads", "n += threads * 2"),
    Planted("rows one apart", "a.s + (at + row * stride)", "a.s + (at + row)"),
    Planted("inputs of the first row", "a.x + (at + row * stride)", "a.x + at", (*TRAIN, "forward")),
    Planted("next rows too near", "at += LENGTH * stride;", "at += (LENGTH - 1) * stride;"),
    Planted("the last step missing", "for (; begin < T; ++begin)", "for (; begin + 1 < T; ++begin)"),
    Planted("a step too many", "begin + STEPS <= T", "begin + STEPS <= T + 1"),
    Planted("no rest of the steps", "if constexpr (STEPS > 1) {", "if constexpr (false) {"),
    Planted("final states missing", "store_values(v_now, a.v_T + n);", ""),
    Planted("initial states of neuron 0", "load_values(v_now, a.v_0 + n);", "load_values(v_now, a.v_0);"),
    Planted("a reciprocal not corrected", CORRECTED, "return q;"),
    Planted("a remainder rounded twice", CORRECTED, "return (x - q * y.by.d) * y.by.r + q;"),
    Planted(
        "a reciprocal that is approximate", "r(__fdiv_rn(1.0f, value))", "r(__frcp_rz(value))", unnoticed=RARE
    ),
    Planted(
        "a fused charge",
        "v + (x - v_1_part) / by_tau",
        "__fmaf_rn(x - v_1_part, by_tau.by.r, v)",
    ),
    Planted("arms of the reset swapped", "s ? v_reset : v_1", "s ? v_1 : v_reset"),
    Planted("arms of the charge swapped", "decay_input ? v + (x", "!decay_input ? v + (x"),
    Planted("decay_input true", "decay_input(a.decay_input != 0)", "decay_input(true)"),
    Planted("usual params taken for granted", "a.decay_input && (a.v_reset", "true || (a.v_reset"),
    Planted("one neuron a thread only", "if constexpr (V > 1) {\n        if (a.N", "if constexpr (false) {\n        if (a.N"),
    Planted("packs of any N", "N % V == 0 && T", "T"),
    Planted("packs at any address", " && pointers % 16 == 0", ""),
    Planted("an address not asked", "address(a.v_0) | ", ""),
    Planted("packs though something is recorded", " && !a.rec_v && ", " && "),
    Planted("recordings to null", "if (RECORDED && a.rec_v) {", "if (!RECORDED) {"),
    Planted("recordings never", "if (RECORDED && a.rec_v) {", "if (false) {"),
    Planted("recordings before the reset", "rec_v_pack[j] = v_2;", "rec_v_pack[j] = v_1;"),
    Planted("tau's number, not its tensor", TENSOR, "a.tau"),
    Planted("v_reset's number, not its tensor", "a.v_reset_tensor ? *a.v_reset_tensor : ", ""),
    Planted("a spike of 1/2", "s[j] ? 0x3f800000u : 0u", "s[j] ? 0x3f000000u : 0u"),
    Planted("a spike in float64", "0x3ff00000u", "0x3f800000u", dtype="float64"),
    Planted("words of a double swapped", "p.at(2 * j + 1)), int(p.at(2 * j))", "p.at(2 * j)), int(p.at(2 * j + 1))", dtype="float64"),
    Planted("words of a store swapped", "[%4], {%0, %1, %2, %3}", "[%4], {%0, %1, %3, %2}"),
    Planted("words of a load swapped", "{%0, %1, %2, %3}, [%4]", "{%1, %0, %2, %3}, [%4]"),
    Planted("every second checkpoint", "begin % 8 == 0", "begin % 16 == 0", TRAIN),
    Planted("checkpoints each 4 steps", "begin % 8 == 0", "begin % 4 == 0", TRAIN),
    Planted("a checkpoint before the first", "if (begin && begin % 8", "if (begin % 8", TRAIN),
    Planted("checkpoints a row too late", "(t / 8 - 1) * a.N", "(t / 8) * a.N", TRAIN),
    Planted("checkpoints of rows of 8", "(t / 8 - 1) * a.N", "(t - 8) * a.N", TRAIN),
    Planted("checkpoints to null", "if (a.v_every_8) store", "if (true) store", ("forward",)),
    Planted("checkpoints at any address", " | address(a.v_every_8)", "", TRAIN),
    Planted("a half's upper part", ">> (j % 2 * 16)", ">> 16", dtype="float16"),
    Planted("halves towards zero", "cvt.rn.f16.f32", "cvt.rz.f16.f32", dtype="float16"),
    Planted("a spike of bfloat16", "s[0] ? 0x3c00u", "s[0] ? 0x3f80u", dtype="float16"),
    Planted("spikes of two halves swapped", "(s[j] ? 0x3c00u : 0u) | (s[j + 1]", "(s[j + 1] ? 0x3c00u : 0u) | (s[j]", dtype="float16"),
    Planted("bits of the lower neuron left", "0xffff0000u", "0xffffff00u", dtype="bfloat16"),
    Planted("ties of bfloat16 away from zero", BFLOAT16, "(bits + 0x8000u) >> 16", dtype="bfloat16"),
    Planted("bfloat16 towards zero", BFLOAT16, "bits >> 16", dtype="bfloat16"),
    Planted("NaN rounded in bfloat16", "x != x ? 0x7fffu : ", "", dtype="bfloat16", unnoticed=PAYLOAD),
]  # fmt: skip

BACKWARD_FAULTS = [
    Planted("a null gradient of v_T read", "if (a.grad_v_T) load", "load", BACKWARD),
    Planted("a gradient of v_T ignored", "if (a.grad_v_T) load", "if (false) load", BACKWARD),
    Planted("a null gradient of x written", "if (V > 1 || a.grad_x) {", "{", BACKWARD),
    Planted("a null gradient of v_0 written", "if (a.grad_v_0) store", "store", BACKWARD),
    Planted("a null gradient of s read", "if (!(V > 1 || a.grad_s)) ", "if (false) ", BACKWARD),
    Planted("packs with a null gradient", " && a.grad_s && a.grad_x", "", PLAIN),
    Planted("packs with a null gradient of x", " && a.grad_s && a.grad_x", " && a.grad_s", PLAIN),
    Planted("packs without checkpoints", " && (a.T <= K || a.v_every_8)", "", PLAIN),
    Planted("packs with a null gradient, of params", " && a.grad_s && a.grad_x", "", FULL, neuron="PLIF"),
    Planted("packs with a null gradient of x, of params", " && a.grad_s && a.grad_x", " && a.grad_s", FULL, neuron="PLIF"),
    Planted("packs without checkpoints, of params", " && (a.T <= K || a.v_every_8)", "", FULL, neuron="PLIF"),
    Planted("null checkpoints read", "begin && a.v_every_8;", "begin;", BACKWARD),
    Planted("a checkpoint for the first segment", "begin && a.v_every_8;", "a.v_every_8;", BACKWARD),
    Planted("checkpoints never read", "begin && a.v_every_8;", "false;", PLAIN),
    Planted("checkpoints a row too late", "(last - 1) * a.N + n", "last * a.N + n", BACKWARD),
    Planted("the same checkpoint again", "kept_at -= stride;", "", BACKWARD),
    Planted("segments too near", "at -= K * stride;", "at -= (K - 1) * stride;", BACKWARD),
    Planted("a segment of T steps", "(a.T - 1) / K;", "a.T / K;", BACKWARD),
    Planted("the short segment missing", "if (begin < T) neurons", "if (false) neurons", PLAIN),
    Planted("the first segment missing", "begin >= 0; begin -= K) neurons.template segment<true>", "begin > 0; begin -= K) neurons.template segment<true>", PLAIN),
    Planted("a row too many", "if (WHOLE || row < length) x_pack", "if (WHOLE || row <= length) x_pack", BACKWARD),
    Planted("one step less back", "if (!WHOLE && row >= length) continue;", "if (!WHOLE && row + 1 >= length) continue;", BACKWARD),
    Planted("steps again from the second", "for (int64_t t = 0; t < begin; ++t)", "for (int64_t t = 1; t < begin; ++t)", PLAIN),
    Planted("inputs of the first row again", "a.x + t * a.N + n", "a.x + n", PLAIN),
    Planted("arms of the reset's adjoint swapped", "s ? real(0) : adj_v)", "s ? adj_v : real(0))", PLAIN),
    Planted("the reset's own gradient dropped", "difference(v_reset, v_1)", "real(0)", BACKWARD),
    Planted("a threshold's sign", "-(adj_u_scale_0 * v_threshold)", "adj_u_scale_0 * v_threshold", BACKWARD),
    Planted("tau for 1 / tau", "quotient(real(1), tau);", "tau;", BACKWARD),
    Planted("the quotient's argument", "return x * r;", "return r;", FULL),
    Planted("adjoint of x, decay_input false", "decay_input ? adj_v_1 * grad_x_part : adj_v_1", "adj_v_1 * grad_x_part", PLAIN),
    Planted("gradients of one tile only", "sums[0] += double", "sums[0] = double", FULL),
    Planted("a threshold's gradient for that of v_reset", "sums[2] += double(neurons.total_v_reset)", "sums[2] += double(neurons.total_v_threshold)", FULL),
    Planted("sums of a step, not all", "total_tau += grad_tau;", "total_tau = grad_tau;", FULL),
    Planted("parts of one scalar", "a.partials[1 * int64_t(gridDim.x)", "a.partials[2 * int64_t(gridDim.x)", FULL),
    Planted("parts of the first block", "int64_t(gridDim.x) + blockIdx.x", "int64_t(gridDim.x)", FULL),
    Planted("parts to null", "if (a.partials) a.partials[0", "if (true) a.partials[0", FULL),
    Planted("the added gradient of each thread", "if (threadIdx.x == 0) {\n            if (a.partials)", "{\n            if (a.partials)", FULL),
    Planted("half of a warp", "int distance = 16;", "int distance = 8;", FULL),
    Planted("two warps in one place", "warps[threadIdx.x / 32] = value", "warps[threadIdx.x / 64] = value", FULL),
    Planted("no waiting for warps", "__syncthreads();", "", FULL),
    Planted("one part too many", "b < blocks; b += BLOCK", "b <= blocks; b += BLOCK", FULL),
    Planted("the gradient replaced", "*a.grad_tau += real(all)", "*a.grad_tau = real(all)", FULL),
    Planted("each block adds each scalar", "int(blockIdx.x) == 1 && ", "", FULL),
    Planted("halves of a pair swapped", "cvt.rn.f16x2.f32 %0, %1, %2", "cvt.rn.f16x2.f32 %0, %2, %1", PLAIN, "float16"),
    Planted("bfloat16 of a pair swapped", "cvt.rn.bf16x2.f32 %0, %1, %2", "cvt.rn.bf16x2.f32 %0, %2, %1", PLAIN, "bfloat16"),
]  # fmt: skip

TWO_STATES = [
    Planted("the other state first", "load_values(c_now, a.c_0 + n);", "load_values(c_now, a.v_0 + n);", neuron="CUBALIF"),
    Planted("final states swapped", "store_values(c_now, a.c_T + n);", "store_values(v_now, a.c_T + n);", neuron="CUBALIF"),
    Planted("one state's checkpoints", "if (a.c_every", "if (false && a.c_every", TRAIN, neuron="CUBALIF"),
    Planted("adjoints swapped at the end", "store_values(adj_c_now, a.grad_c_0 + n)", "store_values(adj_v_now, a.grad_c_0 + n)", BACKWARD, neuron="CUBALIF"),
    Planted("an adjoint not given on", "load_values(adj_c_now, a.grad_c_T + n)", "load_values(adj_c_now, a.grad_v_T + n)", BACKWARD, neuron="CUBALIF"),
    Planted("a checkpoint of the other state", "a.c_every_8 + kept_at", "a.v_every_8 + kept_at", BACKWARD, neuron="CUBALIF"),
]  # fmt: skip
