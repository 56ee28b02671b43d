"""The plan of a neuron's kernels: the forward step, the backward passes, what is kept and what is worked out again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from neurodsl.ir.cse import ValueNumbering
from neurodsl.ir.half import centred
from neurodsl.ir.kernel_plan import (
    BackwardPlan,
    Binding,
    Carry,
    Draw,
    ForwardPlan,
    KernelPlan,
    SavePolicy,
)
from neurodsl.ir.liveness import inline, live
from neurodsl.ir.lower import lower
from neurodsl.ir.nodes import Expr, Op, Program, Var
from neurodsl.ir.scalars import manifest_text
from neurodsl.ir.tape import choose_tape, reals_behind
from neurodsl.ir.variant import Variant, finish, make_variant
from neurodsl.ir.verify import verify_plan
from neurodsl.sema.builtins import ELEMENTARY
from neurodsl.sema.model import NeuronModel

FUNCTION_BYTES = 8
"""What a transcendental function costs, in bytes that could be moved in its time: as measured by
`python -m neurodsl.tools.policies`.
"""


def make_plan(neuron: NeuronModel, *, prefix: str, save: str, fp: str, spiking: bool) -> KernelPlan:
    """Lower, differentiate and plan one neuron.

    Args:
        neuron: the model.
        prefix: symbols begin with it.
        save: `auto`, or a SavePolicy.
        fp: `strict` or `fast`.
        spiking: False makes every spike its surrogate's primitive.

    Raises:
        ValueError: `spiking` is False and a surrogate has no primitive.
    """
    variants = {
        (detach, full): make_variant(neuron, spiking=spiking, detach_reset=detach, full=full)
        for detach in (False, True)
        for full in (False, True)
    }
    if _alike(variants[False, True], variants[True, True]):
        del variants[True, False], variants[True, True]
    policy = SavePolicy(save) if save != "auto" else _cheaper(list(variants.values()))
    if policy is SavePolicy.BFLOAT16:
        saved, variants = _in_half(variants)
    else:
        saved = _saved(list(variants.values()), policy)
    passes = {key: _pass(variant, policy, saved) for key, variant in variants.items()}
    lowered = variants[False, False].lowered
    plan = KernelPlan(
        neuron=neuron.name,
        prefix=prefix,
        inputs=neuron.inputs,
        outputs=neuron.written,
        states=tuple((s.name, manifest_text(s.initial)) for s in neuron.states),
        scalars=lowered.scalars,
        uses_time=lowered.uses_time,
        time=lowered.time,
        forward=_forward(neuron, spiking=spiking, keep=saved),
        backward=passes[False, False],
        backward_full=passes[False, True],
        detached=passes.get((True, False)),
        detached_full=passes.get((True, True)),
        policy=policy,
        saved=saved,
        strict=fp == "strict",
        feedbacks=neuron.feedbacks,
        learns=any(param.learnable for param in neuron.params),
        draws=tuple(Draw(n.name, n.kind, k) for k, n in enumerate(neuron.noises)),
    )
    plan = replace(plan, bytes_per_step=_bytes(plan), **_checkpoints(plan))
    verify_plan(plan)
    return plan


def _in_half(
    variants: dict[tuple[bool, bool], Variant],
) -> tuple[tuple[Var, ...], dict[tuple[bool, bool], Variant]]:
    """What is kept in two bytes, and the variants whose backward passes begin with that."""
    made: dict[tuple[bool, bool], Variant] = {}
    distances: tuple[Var, ...] = ()
    for key, variant in variants.items():
        scalars = [s.var.name for s in variant.lowered.scalars if not s.shape]
        distances, forward = centred(variant.forward, scalars)
        made[key] = replace(variant, forward=forward)
    return (*distances, *_tape(list(made.values()), distances)), made


SCRATCH_BYTES = 256 << 10
"""What a block works out again should stay in the second cache."""

BLOCK = 128
"""Neurons a block, at most."""

LEAST_STEPS = 64
"""Up to here, nothing is kept but the inputs."""


def _checkpoints(plan: KernelPlan) -> dict[str, Any]:
    """The states from which backward could go on, and the steps above which keeping them pays."""
    passes = [plan.backward, plan.backward_full, plan.detached, plan.detached_full]
    chosen = [p for p in passes if p is not None]
    states = {c.name for p in chosen for c in p.recompute_states}
    if plan.policy is not SavePolicy.INPUTS or not states:
        return {}
    tape = max(len(p.tape) for p in chosen)
    above = SCRATCH_BYTES // (4 * BLOCK * max(tape, 1))
    return {
        "checkpoints": tuple(name for name, _ in plan.states if name in states),
        "checkpoints_above": max(LEAST_STEPS, above),
    }


def _alike(a: Variant, b: Variant) -> bool:
    return (a.reverse, a.prologue, a.adjoint) == (b.reverse, b.prologue, b.adjoint)


def _pass(variant: Variant, policy: SavePolicy, saved: tuple[Var, ...]) -> BackwardPlan:
    if policy is SavePolicy.INPUTS:
        return finish(variant, _tape([variant]), recompute=True)
    return finish(variant, saved, recompute=False)


def _tape(variants: list[Variant], there: tuple[Var, ...] = ()) -> tuple[Var, ...]:
    """The cheapest tape that serves every one of the variants, beside what is `there`; inputs are read again."""
    first = variants[0]
    needed = {name for variant in variants for name in variant.needed}
    inputs = [b.value for b in first.lowered.read if isinstance(b.value, Var)]
    incoming = [carry.incoming for carry in first.states]
    names = {var.name for var in there}
    forward = Program(tuple(a for a in first.forward if a.target.name not in names))
    kept = choose_tape(forward, sorted(needed), incoming, [*inputs, *there])
    read_again = {var.name for var in (*inputs, *there)}
    return tuple(var for var in kept if var.name not in read_again)


def _saved(variants: list[Variant], policy: SavePolicy) -> tuple[Var, ...]:
    if policy is SavePolicy.INPUTS:
        return ()
    if policy is SavePolicy.MEMBRANE:
        return _tape(variants)
    first = variants[0]
    needed = sorted({name for variant in variants for name in variant.needed})
    kept = reals_behind(first.forward, needed)
    order = [*(c.incoming for c in first.states), *(a.target for a in first.forward)]
    return tuple(var for var in order if var.name in kept)


def _cheaper(variants: list[Variant]) -> SavePolicy:
    """Recompute, unless the functions that this takes again cost more than moving and keeping the tape."""
    variant = variants[0]
    recomputed = finish(variant, _tape([variant]), recompute=True)
    functions = sum(_functions(assign.value) for assign in recomputed.recompute)
    recompute = 4 * len(recomputed.recompute_inputs) + FUNCTION_BYTES * functions
    kept = _tape(variants)
    keep = 3 * 4 * len(kept)  # written, read, and held in memory meanwhile
    return SavePolicy.INPUTS if recompute <= keep or not kept else SavePolicy.MEMBRANE


def _functions(e: Expr) -> int:
    """How many transcendental functions an expression calls."""
    if not isinstance(e, Op):
        return 0
    inner = sum(_functions(a) for a in e.args)
    return inner + (e.name in TRANSCENDENTAL)


TRANSCENDENTAL = frozenset(
    name
    for name in (*ELEMENTARY, "pow")
    if name
    not in ("abs", "sign", "floor", "ceil", "round", "min", "max", "clip", "relu", "heaviside")
)


def _forward(neuron: NeuronModel, *, spiking: bool, keep: tuple[Var, ...]) -> ForwardPlan:
    lowered = lower(neuron, spiking=spiking, detach_reset=False)
    numbering = ValueNumbering(lowered.names)
    flat = numbering.program(lowered.step)

    def atoms(bindings: tuple[Binding, ...]) -> tuple[Binding, ...]:
        return tuple(Binding(b.name, numbering.atom(b.value)) for b in bindings)

    states = tuple(Carry(c.name, c.incoming, numbering.atom(c.outgoing)) for c in lowered.states)
    outputs, recordable = atoms(lowered.outputs), atoms(lowered.recordable)
    roots: list[Expr] = [c.outgoing for c in states]
    roots += [b.value for b in (*outputs, *recordable)]
    roots += keep
    step = inline(live(flat, roots), roots, numbering.temporaries)
    return ForwardPlan(Program(step.assigns), lowered.read, states, outputs, recordable)


def _bytes(plan: KernelPlan) -> tuple[tuple[str, int], ...]:
    """Bytes a neuron-step in float32, by stream."""
    backward = plan.backward
    reads = {b.name for b in (*backward.recompute_inputs, *backward.reverse_inputs)}
    reads &= {*plan.inputs}
    size = 2 if plan.policy is SavePolicy.BFLOAT16 else 4
    streams = [
        ("forward reads inputs", 4 * len(plan.inputs)),
        ("forward writes outputs", 4 * len(plan.outputs)),
        ("forward writes for backward", size * len(plan.saved)),
        ("backward reads inputs", 4 * len(reads)),
        ("backward reads what was saved", size * len(plan.saved)),
        ("backward reads gradients of outputs", 4 * len(plan.outputs)),
        ("backward writes gradients of inputs", 4 * len(plan.inputs)),
        ("kept between forward and backward, inputs", 4 * len(reads)),
        ("kept between forward and backward, saved", size * len(plan.saved)),
    ]
    return tuple(streams)
