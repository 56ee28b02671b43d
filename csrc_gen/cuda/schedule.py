"""How the CUDA kernels of a neuron are laid out: neurons a thread, steps that are loaded at once, registers, grid.

A thread holds `neurons` neurons beside each other and loads `steps` of their time steps before it computes, so that
enough bytes are on their way. What this takes of registers is counted in values of float; double counts twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan
from neurodsl.ir.nodes import Expr, Op, Program
from neurodsl.sema.builtins import BUILTINS

BLOCK = 128
"""Threads a block."""

FEW_BLOCKS = 256
"""Up to here a thread has one neuron: latency counts then, and every multiprocessor should have work."""

MOST_BLOCKS = 4096
"""Blocks of a backward pass: each leaves a part of every param's gradient."""


MOST_HELD = 100
"""Registers that a thread's values may take where two blocks are resident, which leaves it 255."""


@dataclass(frozen=True, slots=True)
class Number:
    """An element type of `[T, N]` arrays, and what it is computed in."""

    dtype: str
    suffix: str
    io: str
    real: str
    size: int
    manifest: str


NUMBERS = (
    Number("float32", "f32", "float", "float", 4, "float"),
    Number("float64", "f64", "double", "double", 8, "double"),
    Number("float16", "f16", "half_bits", "float", 2, "half"),
    Number("bfloat16", "bf16", "bfloat16_bits", "float", 2, "uint16_t"),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Of one kernel and element type. `resident`: blocks that a multiprocessor should hold at least."""

    neurons: int
    steps: int
    resident: int
    neurons_full: int = 0
    """Neurons a thread of a backward pass that gives the gradients of params too."""


def forward_schedule(plan: KernelPlan, number: Number) -> Schedule:
    """16 bytes an access; as many steps at once as make 16 values of an input, fewer for long programs."""
    work = weight(plan.forward.step)
    neurons = max(1, 16 // number.size)
    if number.size == 2 and work > 60:
        neurons //= 2
    inputs = max(len(plan.inputs), 1)
    steps = min(4, segment_steps(plan))
    while steps > 1 and (steps * inputs * neurons > 32 or steps * neurons * work > 1000):
        steps //= 2
    size = 2 if number.real == "double" else 1
    held = size * neurons * (len(plan.states) + steps * inputs + 2) + len(plan.scalars)
    if number.real == "float" and held <= 34 and work < 60:
        return Schedule(neurons, steps, 8)
    return Schedule(neurons, steps, 4 if work < 300 else 2)


def segment_steps(plan: KernelPlan) -> int:
    """Steps of a segment of the backward pass, for every element type: also those between two checkpoints."""
    steps = 8
    while steps > 2 and (
        2 * steps * _values(plan, full=False) > 64
        or steps * _values(plan, full=True) > 64
        or 2 * steps * _work(plan) > 2400
    ):
        steps //= 2
    return steps


def backward_schedule(plan: KernelPlan, number: Number) -> Schedule:
    """16 or 8 bytes an access: a segment's values stay in registers.

    With params' gradients a thread has one neuron, and several where training runs that pass: both are one kernel,
    whose registers are those of the pass that needs more.
    """
    steps, work, size = segment_steps(plan), _work(plan), 2 if number.real == "double" else 1
    states = 2 * len(plan.states)

    def held(neurons: int, *, full: bool) -> int:
        return size * neurons * (steps * _values(plan, full=full) + states)

    neurons = max(1, 16 // number.size)
    while neurons * number.size > 8 and (
        held(neurons, full=False) > 72 or neurons * steps * work > 2000
    ):
        neurons //= 2
    scalars = size * len(plan.scalars)
    neurons_full = min(neurons, max(1, 8 // number.size)) if plan.learns else 1
    while neurons_full > 1 and (
        held(neurons_full, full=True) + scalars > MOST_HELD or neurons_full * steps * work > 800
    ):
        neurons_full //= 2
    most = max(held(neurons, full=False), held(neurons_full, full=True) + scalars)
    resident = 4 if most + len(plan.scalars) <= 56 and work < 40 else 2
    return Schedule(neurons, steps, resident, neurons_full)


def _passes(plan: KernelPlan, *, full: bool) -> list[BackwardPlan]:
    passes = (plan.backward, plan.backward_full, plan.detached, plan.detached_full)
    return [p for p in passes if p is not None and p.full is full]


def _values(plan: KernelPlan, *, full: bool) -> int:
    """Values of a step that a thread holds between its way forward and back."""
    return max(_kept(p) for p in _passes(plan, full=full)) + len(plan.outputs)


def _work(plan: KernelPlan) -> int:
    return max(weight(p.recompute) + weight(p.reverse) for p in _passes(plan, full=False))


def _kept(chosen: BackwardPlan) -> int:
    inputs = len({b.name for b in (*chosen.recompute_inputs, *chosen.reverse_inputs)})
    return max(inputs, len(chosen.tape) + len(chosen.reverse_inputs))


def weight(program: Program) -> int:
    """About how many instructions a program is."""
    found = _WEIGHTS.get(id(program))
    if found is None or found[0] is not program:
        if len(_WEIGHTS) > 100:
            _WEIGHTS.clear()
        found = _WEIGHTS[id(program)] = program, sum(_weight(a.value) for a in program)
    return found[1]


_WEIGHTS: dict[int, tuple[Program, int]] = {}
"""Of the programs that were asked for last, which is often; by identity: to compare two takes as long as to count."""


_COSTS = {"div": 6, "sqrt": 8, "rsqrt": 10}


def _weight(e: Expr) -> int:
    if not isinstance(e, Op):
        return 0
    inexact = e.name in BUILTINS and not BUILTINS[e.name].exact
    own = _COSTS.get(e.name, 20 if inexact else 1)
    return own + sum(_weight(a) for a in e.args)


FORWARD_GRID = f"max(min(ceil(N / block), {FEW_BLOCKS}), ceil(N / (block * elements_per_thread)))"
"""In the manifest's arithmetic."""

BACKWARD_GRID = f"min({FORWARD_GRID}, {MOST_BLOCKS})"
