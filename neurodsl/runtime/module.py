"""The base of every generated neuron: an `nn.Module` that keeps states from call to call and runs all steps at once."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from neurodsl.build.errors import ToolchainError
from neurodsl.runtime.attributes import described, names_of, option, surrogate_of
from neurodsl.runtime.checks import as_tuple, check_inputs, check_states, check_transforms, in_order
from neurodsl.runtime.definition import Definition
from neurodsl.runtime.draws import fresh_seed
from neurodsl.runtime.errors import UnsupportedError
from neurodsl.runtime.feedback import check_module, run_loop
from neurodsl.runtime.forms import in_form
from neurodsl.runtime.fused import Call, Fused, Results
from neurodsl.runtime.launch import When
from neurodsl.runtime.layouts import state_dtype
from neurodsl.runtime.params import Param, truth_of
from neurodsl.runtime.reference import run_reference
from neurodsl.runtime.shapes import given_shapes, sizes_of
from neurodsl.runtime.shortcut import learn
from neurodsl.runtime.stencil import is_stencil
from neurodsl.runtime.with_params import WithParams

__all__ = ["Definition", "Neuron", "Param"]


class Neuron(WithParams):
    """Runs a neuron over `[T, B, *]` (step mode "m") or `[B, *]` ("s"). States are plain attributes, `node.v`."""

    trace: Callable[..., Any]
    record: tuple[str, ...]
    _kernels: Fused

    def __init__(
        self,
        values: Sequence[Any],
        *,
        learnable: Sequence[str],
        surrogate: str | None,
        detach_reset: bool,
        spiking: bool,
        step_mode: str,
        backend: str,
        record: Sequence[str],
        channels: int | None,
        neurons: Any,
        steps: int | None,
        dt: float,
        spikes: str = "float32",
        modules: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.step_mode, self.backend, self.dt = step_mode, backend, dt
        self.detach_reset = detach_reset
        learn = names_of("learnable", learnable)
        found = self._resolved(values)
        spiking = truth_of(f"{self.definition.name}: spiking", spiking)
        self._options: dict[str, Any] = {"surrogate": surrogate_of(surrogate), "spiking": spiking}
        shapes = given_shapes(self.definition.params, found)
        if shapes:
            self._options["shapes"] = shapes
        self._bind()
        self.record, self.spikes = names_of("record", record), spikes
        self._register(found, learn, sizes_of(self.definition.name, channels, neurons, steps))
        for name, _ in self.definition.feedbacks:
            self.add_module(
                name, check_module(self.definition.name, name, (modules or {}).get(name))
            )
        self.noise_in_eval = True
        self.reset()

    def _bind(self) -> None:
        """Take over the definition of the variant that the options ask for."""
        given = self._options
        cls: Any = type(self)
        if given["surrogate"] is not None or not given["spiking"] or "shapes" in given:
            manifest = cls.definition.manifest
            options = {**manifest["options"], **given}
            loading = importlib.import_module("neurodsl.loading")
            cls = loading.load_variant(
                manifest["texts"], manifest["source"], cls.definition.name, options
            )
        self.__dict__["_variant"] = cls
        self.__dict__["_kernels"] = Fused(cls.definition)
        self.__dict__["_shortcut"] = None
        self.__dict__["_learns"] = type(self).forward is Neuron.forward

    def __setattr__(self, name: str, value: Any) -> None:
        """As any module's, checked as by the constructor; parameters go as they are, they change from step to step."""
        if name not in self.__dict__.get("_parameters", ()):
            definition = self.__dict__.get("_variant", self).definition
            value = self._allowed(name, option(definition, name, value))
        super().__setattr__(name, value)
        if name == "record":
            for recorded in self.record:
                self.__dict__.setdefault(f"{recorded}_seq", None)

    # --- states ---

    @property
    def state_attributes(self) -> tuple[str, ...]:
        """The attributes that hold the states, the hidden ones last."""
        return (
            *self.definition.state_attributes,
            *(f"_last_{name}" for name, _ in self.definition.feedbacks),
        )

    def reset(self) -> None:
        """Forget the states: the next call starts from the initial ones."""
        attributes = self.__dict__
        record, blank = attributes.get("_blank", (None, None))
        if record is not self.record:
            names = (*self.state_attributes, *(f"{name}_seq" for name in self.record))
            blank = dict.fromkeys(names) | {"_steps": 0}
            attributes["_blank"] = self.record, blank
        attributes.update(blank)

    def detach_states(self) -> None:
        """Keep the states, cut their graph."""
        for name in self.state_attributes:
            state = self.__dict__[name]
            self.__dict__[name] = state.detach() if isinstance(state, Tensor) else state

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        result = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name in self.state_attributes:
            if isinstance(self.__dict__[name], Tensor):
                self.__dict__[name] = fn(self.__dict__[name])
        return result

    # --- running ---

    def __call__(self, *inputs: Any, **given: Any) -> Any:
        """As any module's; calls that are like the one before go to the kernels at once."""
        if not torch.compiler.is_compiling():
            shortcut = self.__dict__["_shortcut"]
            done = None if shortcut is None or given else shortcut(self.__dict__, inputs)
            if done is not None:
                return done
        return super().__call__(*inputs, **given)

    def forward(self, *inputs: Tensor, **named: Tensor) -> Any:
        """The outputs, one tensor or a tuple; the states go on from the call before. Inputs in order, or by name."""
        if named:
            inputs = in_order(self.definition.name, self.definition.inputs, inputs, named)
        if self.spikes != "float32":
            return in_form(self, inputs)
        outputs = self._forward(*inputs)
        if self._learns and not torch.compiler.is_compiling():
            self.__dict__["_shortcut"] = learn(
                self._variant.definition, self._kernels, self.__dict__, inputs[0]
            )
        return outputs

    def _forward(self, *inputs: Tensor, bits: bool = False) -> Any:
        single = self.step_mode == "s"
        check_transforms(self.definition.name)
        check_inputs(self.definition.name, self.definition.inputs, inputs, single=single)
        if single:
            inputs = tuple(x.unsqueeze(0) for x in inputs)
        states = tuple(self.__dict__[name] for name in self.state_attributes)
        given = None if all(state is None for state in states) else states
        timed = self.definition.timed
        first_step = self.__dict__["_steps"] if timed else 0
        outputs, finals, recorded = self._run(inputs, given, first_step, bits=bits)
        for name, value in zip(self.state_attributes, finals, strict=True):
            self.__dict__[name] = value
        if timed:
            self.__dict__["_steps"] = first_step + inputs[0].shape[0]
        for name, value in zip(self.record, recorded, strict=True):
            before = self.__dict__[f"{name}_seq"]
            joined = value if before is None or not single else torch.cat([before, value])
            self.__dict__[f"{name}_seq"] = joined
        if single:
            outputs = tuple(y.squeeze(0) for y in outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def functional(self, inputs: Any, states: Any = None) -> tuple[Any, Any]:
        """(outputs, final states) from given ones, initial ones if None; nothing is kept on the module."""
        check_transforms(self.definition.name)
        given = as_tuple(inputs)
        check_inputs(self.definition.name, self.definition.inputs, given, single=False)
        outputs, finals, _ = self._run(given, None if states is None else as_tuple(states), 0)
        return outputs, finals

    def _run(
        self,
        inputs: tuple[Tensor, ...],
        states: States | None,
        first_step: int,
        *,
        bits: bool = False,
    ) -> Results:
        outer = inputs[0].dtype
        dtype = state_dtype(outer)
        if dtype is not outer and not self._is_direct(inputs[0]):
            inputs = tuple(x.to(dtype) for x in inputs)
        values = self._values(inputs[0], first_step)
        begin, last = self._begin(inputs[0], states, values)
        when = first_step, self._seed()
        if self.definition.feedbacks:
            outputs, finals, recorded = self._loop(
                inputs, _arrays(begin, inputs[0]), values, last, when
            )
        else:
            outputs, finals, recorded = self._advance(inputs, begin, values, when, bits=bits)
        outputs = outputs[: len(self.definition.outputs)]
        if dtype is not outer:
            outputs = tuple(y.to(outer) if y.is_floating_point() else y for y in outputs)
            recorded = tuple(y.to(dtype) for y in recorded)
        return outputs, finals, recorded

    def _seed(self) -> int:
        """A fresh seed for what is drawn; below 0 where nothing is."""
        if not self.definition.noises or not (self.training or self.noise_in_eval):
            return -1
        return fresh_seed()

    def _advance(
        self,
        inputs: tuple[Tensor, ...],
        states: tuple[Tensor | float, ...],
        values: Any,
        when: When,
        *,
        bits: bool = False,
    ) -> Results:
        if self._is_fused(inputs[0]):
            return self._fused(inputs, states, values, when, bits)
        return self._reference(inputs, _arrays(states, inputs[0]), values, when)

    def _loop(
        self,
        inputs: tuple[Tensor, ...],
        states: tuple[Tensor, ...],
        values: tuple[Any, ...],
        last: tuple[Tensor, ...] | None,
        when: When,
    ) -> Results:
        """A step at a time, what is fed back through its module in between."""
        definition, params = self.definition, self._variant.definition.params
        written = definition.written
        if len(definition.feedbacks) == 1:
            convolution = getattr(self, definition.feedbacks[0][0])
            if is_stencil(convolution, inputs[0]) and self._is_fused(inputs[0]):
                call = self._call(inputs, states, values, when)
                done = self._kernels.run_stencil(call, convolution, last[0] if last else None)
                if done is not None:
                    (outputs, finals, recorded), end = done
                    return outputs, (*finals, end), recorded
        modules = [
            (name, getattr(self, name), written.index(source))
            for name, source in definition.feedbacks
        ]

        def step(given: tuple[Tensor, ...], now: tuple[Tensor, ...], before: int) -> Any:
            at = before - when[0]
            row = [
                v[at : at + 1] if "time" in p.shape else v
                for p, v in zip(params, values, strict=True)
            ]
            seed = self._seed() if at else when[1]
            return self._advance(given, now, tuple(row), (before, seed))

        outputs, finals, recorded, last = run_loop(
            definition.name, modules, step, inputs, states, last, when[0]
        )
        return outputs, (*finals, *last), recorded

    def _begin(
        self, x: Tensor, states: States | None, values: tuple[Any, ...]
    ) -> tuple[tuple[Tensor | float, ...], tuple[Tensor, ...] | None]:
        """What a call begins with: its states, arrays or numbers for all neurons; what the step before it fed back."""
        if states is None:
            return self._initial(x, values), None
        check_states(self.definition.name, self.state_attributes, states, x)
        dtype = state_dtype(x.dtype)
        ready: list[Any] = [s.to(dtype) if isinstance(s, Tensor) else s for s in states]
        count = len(self.definition.states)
        for place in range(count):
            if ready[place] is None:
                ready[place] = self._initial(x, values)[place]
        if len(ready) == count:
            return tuple(ready), None
        last = tuple(y for y in ready[count:] if y is not None)
        fed = _arrays(last, x) if len(last) == len(ready) - count else None
        return tuple(ready[:count]), fed

    def _initial(self, x: Tensor, values: tuple[Any, ...]) -> tuple[Tensor | float, ...]:
        """The initial states: arrays, or numbers for all neurons."""
        found = self._variant.definition.initial(*self._beside(values, x, 0), self.dt)
        dtype = state_dtype(x.dtype)
        return tuple(
            v.to(x.device, dtype).expand(x.shape[1:]) if isinstance(v, Tensor) else v for v in found
        )

    def _is_direct(self, x: Tensor) -> bool:
        """Whether kernels take an input of two bytes as it is."""
        fed_back = self.definition.feedbacks
        return not fed_back and x.is_cuda and self._is_fused(x) and self._kernels.takes(x)

    def _is_fused(self, x: Tensor) -> bool:
        if self.backend == "reference":
            return False
        device = x.device.type
        if device not in ("cpu", "cuda"):
            return self._without_kernels(UnsupportedError, f"there are no kernels for {device}")
        problem = self._kernels.problem(x.device)
        return self._without_kernels(ToolchainError, problem) if problem else True

    def _without_kernels(self, error: Callable[[str], Exception], reason: str) -> bool:
        if self.backend == "fused":
            raise error(f"{self.definition.name}: backend='fused': {reason}")
        if not torch.compiler.is_compiling():
            _warn_once(reason)
        return False

    def _reference(self, inputs: Any, states: Any, values: Any, when: When) -> Results:
        options = (self.dt, self.detach_reset, self._options["spiking"])

        def at(step: int) -> tuple[Any, ...]:
            return self._beside(values, inputs[0], step)

        return run_reference(self._variant, inputs, states, at, options, when, self.record)

    def _fused(self, inputs: Any, states: Any, values: Any, when: When, bits: bool) -> Results:
        return self._kernels.run(self._call(inputs, states, values, when, bits))

    def _call(self, inputs: Any, states: Any, values: Any, when: When, bits: bool = False) -> Call:
        return Call(inputs, states, values, self.dt, when, self.record, self.detach_reset, bits)

    # --- copies and texts ---

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in self.__dict__.items() if k not in _BOUND}
        kept = (*self.state_attributes, *(f"{name}_seq" for name in self.record))
        for name in kept:
            if isinstance(state[name], Tensor):
                state[name] = state[name].detach()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._bind()

    def __reduce_ex__(self, protocol: Any) -> Any:
        manifest = type(self).definition.manifest
        if type(self).__module__ != manifest_module(type(self)):
            return super().__reduce_ex__(protocol)
        origin = (manifest["texts"], manifest["source"], self.definition.name, manifest["options"])
        return _rebuild, origin, self.__getstate__()

    def extra_repr(self) -> str:
        """Params and what is not as by default."""
        return described(self)


States = tuple[Tensor | float | None, ...]
"""Of a call: arrays, numbers for all neurons, None for initial ones."""

_BOUND = ("_variant", "_kernels", "_shortcut", "_learns", "_blank")


def _arrays(states: tuple[Tensor | float, ...], x: Tensor) -> tuple[Tensor, ...]:
    return tuple(s if isinstance(s, Tensor) else x.new_full(x.shape[1:], s) for s in states)


def manifest_module(cls: type) -> str:
    """The module in which a generated class stands; a subclass of it elsewhere pickles as any class does."""
    return next(c.__module__ for c in cls.__mro__ if "definition" in vars(c))


def _rebuild(texts: dict[str, str], source: str, neuron: str, options: dict[str, Any]) -> Any:
    loading = importlib.import_module("neurodsl.loading")
    cls = loading.load_variant(texts, source, neuron, options)
    return cls.__new__(cls)


_warned: set[str] = set()


def _warn_once(reason: str) -> None:
    if reason not in _warned:
        _warned.add(reason)
        warnings.warn(f"neurodsl runs the eager reference: {reason}", stacklevel=5)
