"""The base of every generated neuron: an `nn.Module` that keeps states from call to call and runs all steps at once."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from neurodsl.build.errors import ToolchainError
from neurodsl.runtime.checks import as_tuple, check_inputs, check_states
from neurodsl.runtime.definition import Definition
from neurodsl.runtime.errors import UnsupportedError
from neurodsl.runtime.fused import Fused
from neurodsl.runtime.params import Param, checked, plain, raw_value, through
from neurodsl.runtime.reference import run_reference

__all__ = ["Definition", "Neuron", "Param"]

BACKENDS = ("auto", "fused", "reference")


class Neuron(nn.Module):
    """Runs a neuron over `[T, B, *]` (step mode "m") or `[B, *]` ("s"). States are plain attributes, `node.v`."""

    definition: Definition
    trace: Callable[..., Any]
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
    ) -> None:
        super().__init__()
        _choose("step_mode", step_mode, ("m", "s"))
        _choose("backend", backend, BACKENDS)
        for key, value in (("channels", channels), ("neurons", neurons), ("steps", steps)):
            if value is not None:
                raise UnsupportedError(
                    f"{key}={value!r}: params with a shape are not yet supported"
                )
        self.step_mode, self.backend, self.dt = step_mode, backend, float(dt)
        self.detach_reset = bool(detach_reset)
        self._options: dict[str, Any] = {"surrogate": surrogate, "spiking": bool(spiking)}
        self._bind()
        self.record = (record,) if isinstance(record, str) else tuple(record)
        for name in self.record:
            _choose("record", name, self.definition.recordable)
        self._register(values, (learnable,) if isinstance(learnable, str) else tuple(learnable))
        self.reset()

    def _bind(self) -> None:
        """Take over the definition of the variant that the options ask for."""
        given = self._options
        cls: Any = type(self)
        if given["surrogate"] is not None or not given["spiking"]:
            manifest = cls.definition.manifest
            options = {**manifest["options"], **given}
            loading = importlib.import_module("neurodsl.loading")
            cls = loading.load_variant(
                manifest["texts"], manifest["source"], cls.definition.name, options
            )
        self.__dict__["_variant"] = cls
        self.__dict__["_kernels"] = Fused(cls.definition)

    # --- params ---

    def _register(self, values: Sequence[Any], learnable: tuple[str, ...]) -> None:
        definition, name = self.definition, self.definition.name
        known = {p.python for p in definition.params} | {p.name for p in definition.params}
        for wanted in learnable:
            _choose("learnable", wanted, sorted(known))
        self._via: dict[str, str] = {}
        earlier: list[Any] = []
        for param, value in zip(definition.params, values, strict=True):
            if value is None and param.computed is not None:
                value = param.computed(*(plain(v) for v in earlier))
            value = checked(name, param, value)
            earlier.append(value)
            learn = param.learnable or param.python in learnable or param.name in learnable
            self._register_one(param, value, learn=learn)

    def _register_one(self, param: Param, value: Any, *, learn: bool) -> None:
        if param.boolean and learn:
            raise ValueError(
                f"{self.definition.name}: {param.python} is a boolean: it cannot be learnt"
            )
        if isinstance(value, nn.Parameter):
            self.register_parameter(param.python, value)
        elif learn and param.via is not None:
            raw = nn.Parameter(raw_value(self.definition.name, param, value))
            self.register_parameter(f"{param.python}_raw", raw)
            self._via[param.python] = param.via
        elif learn:
            number = torch.tensor(float(value), dtype=torch.get_default_dtype())
            self.register_parameter(param.python, nn.Parameter(number))
        elif isinstance(value, Tensor):
            self.register_buffer(param.python, value)
        else:
            setattr(self, param.python, value)

    def __getattr__(self, name: str) -> Any:
        via = self.__dict__.get("_via", {})
        if name in via:
            raw: Any = super().__getattr__(f"{name}_raw")
            return through(via[name], raw)
        return super().__getattr__(name)

    def _values(self, dtype: torch.dtype) -> tuple[Any, ...]:
        """Each param as the step reads it: a float, a bool, or a 0-dim tensor of the states' dtype."""
        values = (getattr(self, param.python) for param in self.definition.params)
        return tuple(v.to(dtype) if isinstance(v, Tensor) else v for v in values)

    # --- states ---

    def reset(self) -> None:
        """Forget the states: the next call starts from the initial ones."""
        for name in self.definition.states:
            self.__dict__[name] = None
        self.__dict__["_steps"] = 0
        for name in self.record:
            self.__dict__[f"{name}_seq"] = None

    def detach_states(self) -> None:
        """Keep the states, cut their graph."""
        for name in self.definition.states:
            state = self.__dict__[name]
            self.__dict__[name] = None if state is None else state.detach()

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        result = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name in self.definition.states:
            if self.__dict__[name] is not None:
                self.__dict__[name] = fn(self.__dict__[name])
        return result

    # --- running ---

    def forward(self, *inputs: Tensor) -> Any:
        """The outputs, one tensor or a tuple; the states go on from the call before."""
        single = self.step_mode == "s"
        _refuse_transforms(self.definition.name)
        check_inputs(self.definition.name, self.definition.inputs, inputs, single=single)
        if single:
            inputs = tuple(x.unsqueeze(0) for x in inputs)
        states = tuple(self.__dict__[name] for name in self.definition.states)
        given = None if any(state is None for state in states) else states
        timed = self.definition.timed
        first_step = self.__dict__["_steps"] if timed else 0
        outputs, finals, recorded = self._run(inputs, given, first_step)
        for name, value in zip(self.definition.states, finals, strict=True):
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
        _refuse_transforms(self.definition.name)
        given = as_tuple(inputs)
        check_inputs(self.definition.name, self.definition.inputs, given, single=False)
        outputs, finals, _ = self._run(given, None if states is None else as_tuple(states), 0)
        return outputs, finals

    def _run(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...] | None, first_step: int
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        outer = inputs[0].dtype
        dtype = torch.float32 if outer in (torch.float16, torch.bfloat16) else outer
        if dtype is not outer:
            inputs = tuple(x.to(dtype) for x in inputs)
        values = self._values(dtype)
        if states is None:
            states = self._initial(inputs[0], values)
        else:
            states = tuple(state.to(dtype) for state in states)
            check_states(self.definition.name, self.definition.states, states, inputs[0])
        run = self._fused if self._is_fused(inputs[0]) else self._reference
        outputs, finals, recorded = run(inputs, states, values, first_step)
        if dtype is not outer:
            outputs = tuple(y.to(outer) for y in outputs)
        return outputs, finals, recorded

    def _initial(self, x: Tensor, values: tuple[Any, ...]) -> tuple[Tensor, ...]:
        shape = x.shape[1:]
        return tuple(
            value.to(x).expand(shape) if isinstance(value, Tensor) else x.new_full(shape, value)
            for value in self._variant.definition.initial(*values, self.dt)
        )

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

    def _reference(
        self, inputs: Any, states: Any, values: Any, first_step: int
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        options = (self.dt, self.detach_reset, self._options["spiking"])
        return run_reference(
            self._variant, inputs, states, values, options, first_step, self.record
        )

    def _fused(
        self, inputs: Any, states: Any, values: Any, first_step: int
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        record = tuple(self.record)
        return self._kernels.run(
            inputs, states, values, self.dt, first_step, record, self.detach_reset
        )

    # --- copies and texts ---

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in self.__dict__.items() if k not in _BOUND}
        kept = (*self.definition.states, *(f"{name}_seq" for name in self.record))
        for name in kept:
            state[name] = None if state[name] is None else state[name].detach()
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
        shown = []
        for param in self.definition.params:
            value = getattr(self, param.python)
            number = f"{value.item():.6g}" if isinstance(value, Tensor) else repr(value)
            shown.append(f"{param.python}={number}")
        shown += [f"step_mode={self.step_mode!r}", f"backend={self.backend!r}"]
        return ", ".join(shown)


_BOUND = ("_variant", "_kernels")


def manifest_module(cls: type) -> str:
    """The module in which a generated class stands; a subclass of it elsewhere pickles as any class does."""
    return next(c.__module__ for c in cls.__mro__ if "definition" in vars(c))


def _rebuild(texts: dict[str, str], source: str, neuron: str, options: dict[str, Any]) -> Any:
    loading = importlib.import_module("neurodsl.loading")
    cls = loading.load_variant(texts, source, neuron, options)
    return cls.__new__(cls)


def _refuse_transforms(name: str) -> None:
    """Kernels would drop a tangent without a word, and know nothing of batches within tensors."""
    if torch.compiler.is_compiling():
        return
    if forward_ad._current_level >= 0:
        raise UnsupportedError(
            f"{name}: forward-mode derivatives are not supported; use backward()"
        )
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise UnsupportedError(
            f"{name}: torch.func transforms such as vmap and grad are not supported; put the batch in a dimension "
            "after the time steps, and use backward()"
        )


def _choose(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{what}={value!r}: choose from {', '.join(known)}")


_warned: set[str] = set()


def _warn_once(reason: str) -> None:
    if reason not in _warned:
        _warned.add(reason)
        warnings.warn(f"neurodsl runs the eager reference: {reason}", stacklevel=5)
