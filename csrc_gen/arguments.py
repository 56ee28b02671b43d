"""The argument lists of kernels: one description that the C++ kernels, the CUDA kernels and the manifest share.

Order in every pass: inputs, outputs, initial states, final states, recorded, saved; in a backward pass then incoming
gradients and gradients given; workspaces; scalars, each value followed by its pointer; first step, T, N.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from neurodsl.ir.kernel_plan import BackwardPlan, KernelPlan, SavePolicy, Scalar
from neurodsl.ir.nodes import Expr, IRType, Op, Program, Var


class Pass(StrEnum):
    """What a kernel does."""

    FORWARD = "forward"
    FORWARD_TRAIN = "forward_train"
    BACKWARD = "backward"
    REDUCE = "reduce"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a kernel. In `type`, `real` stands for `float` or `double`.

    `of` is what the plan calls it: an input, output, state, scalar or tape variable.
    """

    name: str
    role: str
    type: str
    of: str
    shape: tuple[str, ...] | None = None
    access: str | None = None
    optional: bool = False
    recorded: bool = False
    expression: str | None = None
    default: float | bool | None = None
    every: int = 1
    """Of what is saved: 1, or the steps between two rows; then it is of use where there are more steps than `above`."""
    above: int = 0

    @property
    def is_pointer(self) -> bool:
        """Whether it is an address."""
        return self.type.endswith("*")

    def as_manifest(self, real: str) -> dict[str, Any]:
        """The entry in the manifest; `real` is the element type."""
        entry: dict[str, Any] = {
            "name": self.name,
            "role": self.role,
            "type": self.type.replace("real", real),
        }
        if self.shape is not None:
            entry["shape"] = list(self.shape)
        for key in ("access", "expression", "default"):
            if getattr(self, key) is not None:
                entry[key] = getattr(self, key)
        if self.of != self.name:
            entry["of"] = self.of
        for key in ("optional", "recorded"):
            if getattr(self, key):
                entry[key] = True
        if self.every > 1:
            entry |= {"every": self.every, "above": self.above}
        return entry


class _List:
    """Collects arguments, each under a name of its own."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.made: list[Argument] = []
        self._taken = set(reserved)

    def add(self, name: str, role: str, type: str, of: str, **more: Any) -> None:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        self.made.append(Argument(name, role, type, of, **more))


SIZES = {
    ("channel",): ("C",),
    ("neuron",): ("C * inner",),
    ("time",): ("T",),
    ("time", "channel"): ("T", "C"),
}
"""The shapes of params in the arithmetic of the manifest; `()` is a scalar."""

STEPS_NEURONS, NEURONS = ("T", "N"), ("N",)


def initial_value(arguments: Iterable[Argument], state: str) -> Argument:
    """The argument that gives a state's initial value where its array is null."""
    return next(a for a in arguments if a.of == f"{state}(0)")


def forward_arguments(
    plan: KernelPlan,
    which: Pass,
    *,
    initial_values: bool = False,
    every: int = 0,
    above: int | None = None,
) -> tuple[Argument, ...]:
    """The arguments of `forward` or `forward_train`.

    Args:
        plan: of the neuron.
        which: `Pass.FORWARD` or `Pass.FORWARD_TRAIN`.
        initial_values: arrays of initial states may be null.
        every: the steps between two checkpoints; 0 if there are none.
        above: the steps above which checkpoints are of use, if not those that the plan says.
    """
    made, forward = _List(), plan.forward
    for name in plan.inputs:
        made.add(name, "input", "real*", name, shape=STEPS_NEURONS, access="read")
    for name in plan.outputs:
        made.add(name, "output", "real*", name, shape=STEPS_NEURONS, access="write")
    states = plan.states
    started = _initial_states(made, plan, states, initial_values=initial_values)
    for name, _ in plan.states:
        made.add(f"{name}_T", "final_state", "real*", name, shape=NEURONS, access="write")
    for binding in forward.recordable:
        _optional(made, f"rec_{binding.name}", "recorded", binding.name, access="write")
    if which is Pass.FORWARD_TRAIN:
        _saved(made, plan, "write")
        _checkpoints(made, plan, (every, above), "write")
    read = used(forward.step, (b.value for b in (*forward.outputs, *forward.recordable)))
    read |= used(Program(), (carry.outgoing for carry in forward.states))
    _initial_values(made, started)
    _common(made, plan, read, drawn=bool(plan.draws))
    return tuple(made.made)


def backward_arguments(
    plan: KernelPlan,
    passes: tuple[BackwardPlan, BackwardPlan],
    workspaces: Iterable[Argument] = (),
    *,
    initial_values: bool = False,
    every: int = 0,
    above: int | None = None,
) -> tuple[Argument, ...]:
    """The arguments of a backward kernel; `passes` are its plain and its full plan, the rest as for the forward one."""
    workspaces = tuple(workspaces)
    made = _List(workspace.name for workspace in workspaces)
    inputs = {b.name for p in passes for b in (*p.recompute_inputs, *p.reverse_inputs)}
    for name in plan.inputs:
        if name in inputs:
            made.add(name, "input", "real*", name, shape=STEPS_NEURONS, access="read")
    states = {carry.name for p in passes for carry in p.recompute_states}
    again_from = tuple(state for state in plan.states if state[0] in states)
    started = _initial_states(made, plan, again_from, initial_values=initial_values)
    _saved(made, plan, "read")
    _checkpoints(made, plan, (every, above), "read")
    for name in plan.outputs:
        _optional(made, f"grad_{name}", "grad_output", name, access="read")
    for binding in plan.forward.recordable:
        name = binding.name
        _optional(made, f"grad_rec_{name}", "grad_output", name, access="read", recorded=True)
    for name, _ in plan.states:
        _optional(made, f"grad_{name}_T", "grad_final_state", name, shape=NEURONS, access="read")
    for name in plan.inputs:
        _optional(made, f"grad_{name}", "grad_input", name, access="write")
    for name, _ in plan.states:
        _optional(made, f"grad_{name}_0", "grad_initial_state", name, shape=NEURONS, access="write")
    for scalar in differentiable(plan):
        name, shape = f"grad_{scalar.name}", SIZES.get(scalar.shape, ())
        _optional(made, name, "grad_param", scalar.name, shape=shape, access="readwrite")
    made.made.extend(workspaces)
    read: set[str] = set()
    for chosen in passes:
        for program in (chosen.prologue, chosen.recompute, chosen.reverse):
            read |= used(program, ())
        read |= used(Program(), _given(chosen))
    again = {b.name for p in passes for b in (*p.recompute_inputs, *p.reverse_inputs)}
    drawn = any(draw.name in again for draw in plan.draws)
    _initial_values(made, started)
    _common(made, plan, read, drawn=drawn, given=differentiable(plan))
    return tuple(made.made)


def differentiable(plan: KernelPlan) -> tuple[Scalar, ...]:
    """The scalars that have a gradient, in order."""
    return tuple(s for s in plan.scalars if s.var.type is IRType.REAL)


def used(program: Program, roots: Iterable[Expr]) -> set[str]:
    """Names of all variables that a program and its roots read."""
    found: set[str] = set()
    waiting: list[Expr] = [*(assign.value for assign in program), *roots]
    while waiting:
        e = waiting.pop()
        if isinstance(e, Var):
            found.add(e.name)
        elif isinstance(e, Op):
            waiting.extend(e.args)
    return found


def _given(chosen: BackwardPlan) -> Iterator[Expr]:
    yield from (b.value for b in (*chosen.grad_inputs, *chosen.grad_scalars))
    yield from (c.outgoing for c in (*chosen.adjoints, *chosen.recompute_states))


def _saved(made: _List, plan: KernelPlan, access: str) -> None:
    type = "uint16_t*" if plan.policy is SavePolicy.BFLOAT16 else "real*"
    for var in plan.saved:
        name = f"saved_{var.name}"
        made.add(name, "saved", type, var.name, shape=STEPS_NEURONS, access=access)


def _checkpoints(made: _List, plan: KernelPlan, when: tuple[int, int | None], access: str) -> None:
    """States as they are before steps every, 2 every, …; null where backward works them out from the first step on."""
    every, above = when
    if not every:
        return
    rows = f"max(ceil(T / {every}) - 1, 1)"
    for state in plan.checkpoints:
        made.add(
            f"{state}_every_{every}",
            "saved",
            "real*",
            state,
            shape=(rows, "N"),
            access=access,
            optional=True,
            every=every,
            above=plan.checkpoints_above if above is None else above,
        )


def _initial_states(
    made: _List, plan: KernelPlan, states: tuple[tuple[str, str], ...], *, initial_values: bool
) -> list[tuple[str, str]]:
    """Their arrays; those that may be null because the initial value is one number for all neurons."""
    shaped = {scalar.name for scalar in plan.scalars if scalar.shape}
    started = []
    for name, text in states:
        one = initial_values and not shaped & {*re.findall(r"[^\W\d]\w*", text)}
        more = {"optional": True} if one else {}
        made.add(f"{name}_0", "initial_state", "real*", name, shape=NEURONS, access="read", **more)
        if one:
            started.append((name, text))
    return started


def _initial_values(made: _List, started: list[tuple[str, str]]) -> None:
    for name, text in started:
        made.add(f"{name}_initial", "uniform", "real", f"{name}(0)", expression=text)


def _optional(made: _List, name: str, role: str, of: str, **more: Any) -> None:
    more.setdefault("shape", STEPS_NEURONS)
    made.add(name, role, "real*", of, optional=True, **more)


def _common(
    made: _List,
    plan: KernelPlan,
    read: set[str],
    *,
    drawn: bool,
    given: tuple[Scalar, ...] = (),
) -> None:
    """The scalars that are read, the first step and the seed if they are, C and inner where sizes want them, T, N."""
    sized = {axis for scalar in given for axis in scalar.shape}
    for scalar in plan.scalars:
        if scalar.var.name in read:
            _scalar(made, scalar)
            sized |= {*scalar.shape}
    if drawn:
        made.add("seed", "seed", "int64_t", "seed")
    if sized & {"channel", "neuron"}:
        made.add("C", "channels", "int64_t", "C")
        made.add("inner", "inner", "int64_t", "inner")
    if plan.uses_time and plan.time.name in read:
        made.add("first_step", "first_step", "int64_t", "t")
    made.add("T", "steps", "int64_t", "T")
    made.add("N", "neurons", "int64_t", "N")


def _scalar(made: _List, scalar: Scalar) -> None:
    role = "uniform" if scalar.is_uniform else "param"
    if scalar.shape:
        shape = SIZES[scalar.shape]
        name = scalar.name
        made.add(name, "param_tensor", "real*", name, shape=shape, access="read")
        return
    boolean = scalar.var.type is IRType.BOOL
    made.add(
        scalar.name,
        role,
        "int32_t" if boolean else "real",
        scalar.name,
        expression=scalar.expression,
        default=scalar.default if scalar.name == "dt" else None,
    )
    if not boolean:
        made.add(
            f"{scalar.name}_tensor",
            f"{role}_tensor",
            "real*",
            scalar.name,
            shape=(),
            access="read",
            optional=True,
        )
