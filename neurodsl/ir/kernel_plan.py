"""What a back end is given: the programs of one neuron and what flows in and out of them. No loops, no layouts yet.

One time step of the forward kernel, for one neuron:

    [inputs x(t)] [states v] --forward.step--> [outputs s(t)] [next states] [recordable values]

One backward pass, for one neuron, T steps:

    for t in 0 .. T-1:  recompute: states advance; the tape's values of step t are kept
    for t in T-1 .. 0:  reverse: reads inputs x(t) that it lists, the tape's values of step t, the incoming gradients
                        g_<output>(t), and the carried adjoints; gives the gradients of the inputs, the carried
                        adjoints of step t-1, and what is added to each scalar's gradient

Under the policy `membrane` the first loop is gone: `forward_train` has written the tape to memory. A variable is
plain SSA; a "binding" is a pair of a name that the outside knows and a variable or expression inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from neurodsl.ir.nodes import Expr, Program, Var
from neurodsl.sema import model as sema


class SavePolicy(StrEnum):
    """What backward keeps: nothing but inputs (recompute), the cut of each step, or every value that it reads.

    `BFLOAT16` keeps the cut in two bytes a value, what spikes are compared with instead of the potential before.
    """

    INPUTS = "inputs"
    MEMBRANE = "membrane"
    ALL = "all"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value common to all neurons: a param, `dt`, or a uniform (a compound of params that the host works out).

    `name` is the user's (`tau`, `dt`) or `u0`, `u1`, …; `expression` is None for a param, and for a uniform its text
    in the manifest's expression language. Booleans are `int32_t` and have no gradient. `default` as in the manifest.
    """

    name: str
    var: Var
    expression: str | None = None
    default: float | bool | None = None
    origin: sema.Expr | None = None
    """A uniform's expression in the model, for hosts that print it in their own language."""
    shape: tuple[str, ...] = ()
    """Of a param with a value for each `channel`, `neuron`, `time` step, or `time` step and `channel`."""

    @property
    def is_uniform(self) -> bool:
        """Whether the host computes it from params."""
        return self.expression is not None


@dataclass(frozen=True, slots=True)
class Draw:
    """Random numbers of each neuron and step: `normal` or `uniform`; `stream` sets those of one neuron apart."""

    name: str
    kind: str
    stream: int


@dataclass(frozen=True, slots=True)
class Binding:
    """A name that the outside knows, and the value inside (for what is read: always a Var)."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Carry:
    """A loop-carried value: `incoming` holds it at the start of a step, `outgoing` is its value at the end."""

    name: str
    incoming: Var
    outgoing: Expr


@dataclass(frozen=True, slots=True)
class ForwardPlan:
    """The forward step. Free variables: `inputs`, each state's `incoming`, `scalars`, and `time` where it is used."""

    step: Program
    inputs: tuple[Binding, ...]
    """The inputs, then what is drawn (KernelPlan.draws, by name); so in the backward passes, too."""
    states: tuple[Carry, ...]
    outputs: tuple[Binding, ...]
    """Real values (a spike is wrapped in to_real), in the order of the `output` lines."""
    recordable: tuple[Binding, ...]
    """Every state and real local by its name: its value at the end of the step."""


@dataclass(frozen=True, slots=True)
class BackwardPlan:
    """One backward pass. See the module's docstring for how the two programs run."""

    prologue: Program
    """Once per call: scalars that derivatives want, such as `1 / tau`. Free variables: scalars."""
    recompute: Program
    """One step forward, no more than states and tape need. Free variables as in ForwardPlan."""
    recompute_inputs: tuple[Binding, ...]
    recompute_states: tuple[Carry, ...]
    tape: tuple[Var, ...]
    """Variables of `recompute` (its assignments, or a state's `incoming`) kept for every step."""
    reverse: Program
    """Free variables: the tape, `reverse_inputs`, scalars, the prologue's, `time`, `grad_outputs`, adjoints'
    `incoming`, and (only where `full`) `grad_recorded`."""
    reverse_inputs: tuple[Binding, ...]
    grad_outputs: tuple[Binding, ...]
    """For each output, in order: the variable that holds its incoming gradient at step t."""
    grad_recorded: tuple[Binding, ...]
    """For each recordable value, in order; empty unless `full`. A back end reads 0 where nothing was recorded."""
    grad_inputs: tuple[Binding, ...]
    """For each input, in order: its gradient (a Const 0 where there is none)."""
    adjoints: tuple[Carry, ...]
    """For each state, in order: gradient on the state after the step (incoming) and before it (outgoing)."""
    grad_scalars: tuple[Binding, ...]
    """What this step adds to the gradient of each real scalar, in KernelPlan.scalars' order; empty unless `full`."""
    full: bool
    """Whether gradients of scalars and of recorded values are worked out too."""
    again: frozenset[str] = frozenset()
    """Those targets of `reverse` that are the forward step's own values, to the bit; the others are derivatives."""


@dataclass(frozen=True, slots=True)
class KernelPlan:
    """All that a back end needs to know of one neuron under one set of options."""

    neuron: str
    prefix: str
    """Symbols begin with it: the neuron's name in lower case where that is unique in its file."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[tuple[str, str], ...]
    """Name and initial value's text in the manifest's expression language."""
    scalars: tuple[Scalar, ...]
    """Params that the kernels read (declaration order), `dt` if read, then uniforms."""
    uses_time: bool
    time: Var
    """The number of steps since reset, as a real; free in programs where `uses_time`."""
    forward: ForwardPlan
    backward: BackwardPlan
    """Gradients of inputs and states alone: what a network without learnable params runs."""
    backward_full: BackwardPlan
    """The same with gradients of scalars and recorded values."""
    detached: BackwardPlan | None
    """As `backward`, with the reset detached; None where that makes no difference."""
    detached_full: BackwardPlan | None
    policy: SavePolicy
    saved: tuple[Var, ...]
    """What forward_train writes: () under `inputs`. All four backward plans have this as their tape otherwise; the
    variables are among forward.step's targets and the states' `incoming`."""
    strict: bool
    """`--fp strict`: no contraction, true divisions."""
    draws: tuple[Draw, ...] = ()
    feedbacks: tuple[tuple[str, str], ...] = ()
    learns: bool = False
    """Whether a param is declared learnable: `backward_full` is then what training runs."""
    """(an input, the output of the step before that a module makes it of)."""
    checkpoints: tuple[str, ...] = ()
    """States that forward_train may keep at some steps, so that backward need not begin at the first; in order."""
    checkpoints_above: int = 0
    """Steps above which that pays: what is worked out again would no longer stay in the cache."""
    bytes_per_step: tuple[tuple[str, int], ...] = ()
    """For `neurodsl explain`: name of a stream and its bytes a neuron-step in float32."""
