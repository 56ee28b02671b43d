"""The params of a module: registered as numbers, buffers or parameters, and read as the step wants them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neurodsl.runtime.attributes import param_of
from neurodsl.runtime.checks import check_local, state_of
from neurodsl.runtime.definition import Definition
from neurodsl.runtime.layouts import state_dtype
from neurodsl.runtime.params import Param, checked, choose, plain, raw_value, through
from neurodsl.runtime.shapes import Sizes, beside, declared_size, of_call


class WithParams(nn.Module):
    """An `nn.Module` with the params of a neuron."""

    definition: Definition
    _variant: Any

    def _resolved(self, values: Sequence[Any]) -> list[Any]:
        """Each param's value: as given, or its default worked out from those before it."""
        found: list[Any] = []
        for param, value in zip(self.definition.params, values, strict=True):
            if value is None and param.computed is not None:
                value = param.computed(*(plain(v) for v in found))
            found.append(checked(self.definition.name, param, value))
        return found

    def _register(
        self,
        values: Sequence[Any],
        learnable: tuple[str, ...],
        size: Sizes,
    ) -> None:
        params, name = self._variant.definition.params, self.definition.name
        known = {p.python for p in params} | {p.name for p in params}
        for wanted in learnable:
            choose("learnable", wanted, sorted(known))
        self._via: dict[str, str] = {}
        for param, value in zip(params, values, strict=True):
            learn = param.learnable or param.python in learnable or param.name in learnable
            if param.shape and not (isinstance(value, Tensor) and value.dim()):
                wanted_size = declared_size(param, *size)
                if wanted_size is not None:
                    value = torch.full(wanted_size, float(value))
                elif learn and not isinstance(value, nn.Parameter):
                    keys = {"channel": "channels=", "neuron": "neurons=(…)", "time": "steps="}
                    needed = " and ".join(keys[axis] for axis in param.shape)
                    raise ValueError(
                        f"{name}: {param.python}[{', '.join(param.shape)}] is learnt: say how many it has with {needed}"
                    )
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
            number = torch.as_tensor(value, dtype=torch.get_default_dtype()).detach().clone()
            self.register_parameter(param.python, nn.Parameter(number))
        elif isinstance(value, Tensor):
            self.register_buffer(param.python, value)
        else:
            setattr(self, param.python, value)

    def _allowed(self, name: str, value: Any) -> Any:
        """A value for the attribute `name`, as it is kept if it is a param's or a state's.

        Raises:
            TypeError, ValueError: the constructor would not take it.
        """
        if name in self.__dict__.get("_via", ()):
            raise TypeError(
                f"{self.definition.name}: {name} is learnt through {name}_raw; change that one"
            )
        if name in self.definition.state_attributes:
            return state_of(self.definition.name, name, value)
        variant = self.__dict__.get("_variant")
        params = () if variant is None else variant.definition.params
        param = next((param for param in params if param.python == name), None)
        return value if param is None else param_of(self.definition.name, param, value)

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        """As any module's; a value outside its param's interval is loaded, since training may have come to it."""
        super()._load_from_state_dict(*arguments, **named)
        for param in self._variant.definition.params:
            value = getattr(self, param.python)
            if not isinstance(value, Tensor) or value.is_meta or hasattr(value, "to_local"):
                continue
            try:
                checked(self.definition.name, param, value)
            except ValueError as error:
                warnings.warn(f"load_state_dict: {error}", stacklevel=2)

    def __getattr__(self, name: str) -> Any:
        via = self.__dict__.get("_via", {})
        if name in via:
            raw: Any = super().__getattr__(f"{name}_raw")
            return through(via[name], raw)
        return super().__getattr__(name)

    def _values(self, x: Tensor, first_step: int) -> tuple[Any, ...]:
        """Each param as the kernels read it: a float, a bool, or a tensor of the states' dtype."""
        found, dtype = [], state_dtype(x.dtype)
        for param in self._variant.definition.params:
            value = getattr(self, param.python)
            if isinstance(value, Tensor):
                check_local(self.definition.name, param.python, value)
            if param.shape:
                name = self.definition.name
                value = of_call(name, param, value, x, dtype, first_step)
            elif isinstance(value, Tensor):
                value = value.to(dtype)
            found.append(value)
        return tuple(found)

    def _beside(self, values: Sequence[Any], x: Tensor, step: int) -> tuple[Any, ...]:
        """The params as the eager step reads them at one step of a call."""
        params = self._variant.definition.params
        return tuple(beside(p, v, x, step) for p, v in zip(params, values, strict=True))
