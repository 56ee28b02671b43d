"""The fused form of a call: which plan it takes, run at once or traced by `torch.compile`; beside `reference.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neurodsl.runtime import autograd, custom_ops, native
from neurodsl.runtime.definition import Definition
from neurodsl.runtime.errors import UnsupportedError
from neurodsl.runtime.kernels import Kernels
from neurodsl.runtime.launch import Plan, When, counts_of
from neurodsl.runtime.layouts import keepable, state_dtype
from neurodsl.runtime.params import plain
from neurodsl.runtime.stencil import StencilPlan, run_stencil

Names = tuple[tuple[int, ...], int, tuple[str, ...], bool]
"""Which scalars are tensors, how many uniforms there are, what is recorded, whether the reset is detached."""


Results = tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]
"""Outputs `[T, …]`, final states `[…]`, recorded values `[T, …]`."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a call is given.

    `inputs` are `[T, …]` each, of one dtype; `states` `[…]` each, or a number for all neurons; `values` the params,
    numbers or tensors; `when` the steps since the reset, 0 for a neuron that does not read the time, and the seed;
    `record` names; `detached` whether no gradient passes through the reset's spikes.
    """

    inputs: tuple[Tensor, ...]
    states: tuple[Tensor | float, ...]
    values: tuple[Any, ...]
    dt: float
    when: When
    record: tuple[str, ...]
    detached: bool
    bits: bool = False
    """Whether outputs are wanted as bits, words of 32 neurons `[T, neurons / 32]`."""


class Fused:
    """The kernels of a neuron, and the plans of the calls it has had."""

    def __init__(self, definition: Definition) -> None:
        kernels = Kernels(definition.manifest, definition.name)
        self.name = kernels.name
        self._definition = definition
        self._kernels = custom_ops.registered(kernels)
        self._plans: dict[tuple[Names, torch.dtype, torch.device], Plan] = {}
        self._stencils: dict[tuple[Names, torch.dtype], StencilPlan | None] = {}
        self._ready: set[torch.device] = set()

    def problem(self, device: torch.device) -> str:
        """What keeps the kernels from running on a device, empty if nothing does; built or found when asked first."""
        if torch.compiler.is_compiling():
            return _problem(self.name, str(device))
        if device in self._ready:
            return ""
        problem = _problem(self.name, str(device))
        if not problem:
            self._ready.add(device)
        return problem

    def takes(self, x: Tensor) -> bool:
        """Whether kernels read and write tensors of two bytes like `x` themselves."""
        return x.device.type == "cuda" and _takes(self.name, x.dtype)

    def is_ready(self, device: torch.device) -> bool:
        """Whether kernels have run on this device."""
        return device in self._ready

    def starts(self, values: tuple[Any, ...], dt: float) -> tuple[float, ...] | None:
        """The initial value of each state; None if one is a tensor."""
        found = self._definition.initial(*values, dt)
        return None if any(isinstance(v, Tensor) for v in found) else found

    def prepared(self, call: Call) -> tuple[tuple[float, ...], Any] | None:
        """A call's numbers and its plan in C++; None where there is none."""
        names, _, numbers = self._arguments(call)
        plan = self._plan(names, call.inputs[0])
        if plan.native is None:
            native.attach(plan)
        return None if plan.native is None else (numbers, plan.native)

    def run(self, call: Call) -> Results:
        """Run the kernels of all time steps."""
        names, given, numbers = self._arguments(call)
        if call.bits:
            return self._in_bits(call, names, given, numbers)
        keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given)
        first = call.inputs[0]
        if torch.compiler.is_compiling():
            tensors = self._filled(call, given, numbers)
            return self._split(self._traced(names, numbers, call.when, tensors, keep))
        plan = self._plan(names, first)
        if plan.native is None and first.is_cpu:
            native.attach(plan)
        results = native.run(plan, numbers, call.when, keep, given)
        if results is None:
            tensors = self._filled(call, given, numbers)
            results = autograd.run(plan, numbers, call.when, tensors, keep)
        return self._split(results)

    def gives_bits(self, x: Tensor) -> bool:
        """Whether there is a kernel that gives spikes in bits for inputs like `x`."""
        if not x.is_cuda or torch.compiler.is_compiling() or self.problem(x.device):
            return False
        setup = custom_ops.setup_of(self.setup_text((), 0, (), False))
        return self._kernels.bits(setup, x.dtype, x.device) is not None

    def _in_bits(
        self,
        call: Call,
        names: Names,
        given: tuple[Tensor | None, ...],
        numbers: tuple[float, ...],
    ) -> Results:
        first = call.inputs[0]
        setup = custom_ops.setup_of(self.setup_text(*names))
        launch = self._kernels.bits(setup, first.dtype, first.device)
        assert launch is not None
        tensors = [t.contiguous() for t in self._filled(call, given, numbers)]
        words = (first.shape[0], (first[0].numel() + 31) // 32)
        device, kept = first.device, state_dtype(first.dtype)
        outputs = [
            torch.empty(words, dtype=torch.int32, device=device) for _ in self._definition.written
        ]
        finals = [torch.empty(first.shape[1:], dtype=kept, device=device) for _ in call.states]
        launch([*tensors, *outputs, *finals], numbers, counts_of(first, call.when))
        return tuple(outputs), tuple(finals), ()

    def _filled(
        self, call: Call, given: tuple[Tensor | None, ...], numbers: tuple[float, ...]
    ) -> tuple[Tensor, ...]:
        """The tensors of a call, those of states that begin with a number among them."""
        x, count, states = call.inputs[0], len(call.inputs), len(self._definition.states)
        starts = numbers[len(numbers) - states :]
        return tuple(
            x.new_full(x.shape[1:], starts[place - count], dtype=state_dtype(x.dtype))
            if tensor is None
            else (keepable(tensor) if count <= place < count + states else tensor)
            for place, tensor in enumerate(given)
        )

    def _split(self, results: tuple[Tensor, ...]) -> Results:
        count = len(self._definition.written)
        ends = count, count + len(self._definition.states)
        return results[: ends[0]], results[ends[0] : ends[1]], results[ends[1] :]

    def _arguments(self, call: Call) -> tuple[Names, tuple[Tensor | None, ...], tuple[float, ...]]:
        """What a call's plan depends on; its tensors; a number for each scalar and each state's initial value."""
        uniforms = self._definition.uniforms(*call.values, call.dt)
        scalars = (*call.values, call.dt, *uniforms)
        starts = tuple([0.0 if isinstance(s, Tensor) else float(s) for s in call.states])
        states = [s if isinstance(s, Tensor) else None for s in call.states]
        tensors: tuple[Tensor | None, ...] = (*call.inputs, *states)
        numbers: tuple[float, ...] = scalars
        places = tuple([i for i, v in enumerate(scalars) if _is_real_tensor(v)])
        if any(isinstance(v, Tensor) for v in scalars):
            first = call.inputs[0]
            dtype = state_dtype(first.dtype)
            tensors = (*tensors, *(scalars[place].to(first.device, dtype) for place in places))
            numbers = tuple(0.0 if i in places else plain(v) for i, v in enumerate(scalars))
        names = (places, len(uniforms), call.record, call.detached)
        return names, tensors, (*numbers, *starts)

    def run_stencil(
        self, call: Call, convolution: nn.Conv2d, last: Tensor | None
    ) -> tuple[Results, Tensor] | None:
        """As `run` for a feedback through a depthwise convolution, and what the last step feeds back; None for a neuron
        that has no kernels for it. `last` is what the step before this call fed back.
        """
        definition = self._definition
        names, given, numbers = self._arguments(call)
        tensors = self._filled(call, given, numbers)
        dtype = call.inputs[0].dtype
        key = (names, dtype)
        if key not in self._stencils:
            setup = custom_ops.setup_of(self.setup_text(*names))
            self._stencils[key] = self._kernels.stencil(setup, dtype)
        plan = self._stencils[key]
        if plan is None:
            return None
        source = definition.written.index(definition.feedbacks[0][1])
        before = None if last is None else keepable(last)
        results, end = run_stencil(plan, numbers, call.when, tensors, convolution, before, source)
        return self._split(results), end

    def _plan(self, names: Names, x: Tensor) -> Plan:
        key = (names, x.dtype, x.device)
        if key not in self._plans:
            setup = custom_ops.setup_of(self.setup_text(*names))
            self._plans[key] = self._kernels.plan(setup, x.dtype, x.device)
        return self._plans[key]

    def _traced(
        self,
        names: Names,
        numbers: tuple[float, ...],
        when: When,
        tensors: tuple[Tensor, ...],
        keep: bool,
    ) -> tuple[Tensor, ...]:
        if self._definition.noises:
            raise UnsupportedError(
                f"{self._definition.name} draws random numbers, which torch.compile cannot trace; "
                "wrap the call in torch.compiler.disable"
            )
        setup = self.setup_text(*names)
        reals = [float(number) for number in numbers]
        made = custom_ops.fused_forward(list(tensors), reals, self.name, setup, when[0], keep)
        definition, recorded = self._definition, names[2]
        return tuple(made[: len(definition.written) + len(definition.states) + len(recorded)])

    def setup_text(
        self, places: tuple[int, ...], uniforms: int, record: tuple[str, ...], detached: bool
    ) -> str:
        """The setup of a call as `custom_ops.setup_of` reads it."""
        definition = self._definition
        scalars = [*(param.name for param in definition.params), "dt"]
        scalars += [f"u{place}" for place in range(uniforms)]
        scalars += [f"{state}(0)" for state in definition.states]
        given = [scalars[place] for place in places]
        lists = (definition.read, definition.written, definition.states, scalars, given, record)
        names = [",".join(names) for names in lists]
        return "|".join([definition.name, *names, str(int(detached))])


def _is_real_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype is not torch.bool


def _problem(name: str, device: str) -> str:
    return custom_ops.load(name, device)


def _takes(name: str, dtype: torch.dtype) -> bool:
    return custom_ops.takes(name, dtype)


# torch.compile asks once, when it traces (`torch._dynamo.assume_constant_result`, without its import).
_problem._dynamo_marked_constant = True  # type: ignore[attr-defined]
_takes._dynamo_marked_constant = True  # type: ignore[attr-defined]
