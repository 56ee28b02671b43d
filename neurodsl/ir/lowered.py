"""What lowering hands on: the forward step as a program, and what its spikes' gradients are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from neurodsl.ir.kernel_plan import Binding, Carry, Scalar
from neurodsl.ir.names import Names
from neurodsl.ir.nodes import Expr, Program, Var


@dataclass(frozen=True, slots=True)
class SpikeRule:
    """Where a spike's gradient goes: to `argument`, times the derivative of the surrogate there.

    The gradient of the surrogate's own params is the primitive's.
    Of `primitive` and `gradient` at least one is given; both are expressions of `argument` and scalars.
    """

    argument: Var
    primitive: Expr | None
    gradient: Expr | None
    surrogate: str


@dataclass(frozen=True, slots=True)
class LoweredStep:
    """One forward step in the user's order. `spikes` maps each fired spike's variable to its rule."""

    step: Program
    inputs: tuple[Binding, ...]
    draws: tuple[Binding, ...]
    states: tuple[Carry, ...]
    outputs: tuple[Binding, ...]
    recordable: tuple[Binding, ...]
    scalars: tuple[Scalar, ...]
    time: Var
    uses_time: bool
    spikes: Mapping[str, SpikeRule]
    names: Names
    infinite: frozenset[str] = frozenset()
    """Variables of states that begin at infinity, such as the time of the last spike, and of params that are."""

    @property
    def read(self) -> tuple[Binding, ...]:
        """What a step is given and may read again: inputs, then what is drawn."""
        return (*self.inputs, *self.draws)
