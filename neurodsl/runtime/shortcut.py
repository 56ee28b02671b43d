"""The shortest way of a call: plain numbers for params, nothing recorded, the call path in C++. Any doubt ends it.

What a call depends on is compared by identity with what the last one saw; only where something is another object is the
list of numbers made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import is_, itemgetter
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from neurodsl.runtime.definition import Definition
from neurodsl.runtime.fused import Call, Fused

OPTIONS = ("dt", "detach_reset", "backend", "record", "step_mode")
DTYPES = (torch.float32, torch.float64)
_CPU = torch.device("cpu")


class Shortcut:
    """Of one module: called with its attributes and the inputs, it gives the outputs and sets the states, or None."""

    def __init__(self, definition: Definition, kernels: Fused) -> None:
        self._kernels, self._states = kernels, definition.states
        self._params = [param.python for param in definition.params]
        self._inputs, self._outputs = len(definition.inputs), len(definition.outputs)
        self._get = itemgetter(*OPTIONS, *self._params)
        self._seen: tuple[Any, ...] = (None,) * (len(OPTIONS) + len(self._params))
        self._calls: dict[torch.dtype, Callable[..., Any] | None] = {}
        self._numbers: tuple[float, ...] = ()
        self._possible = not (
            definition.feedbacks
            or definition.noises
            or definition.timed
            or any(param.shape for param in definition.params)
        )
        self._of_states = itemgetter(*self._states, *self._states) if self._states else None

    def __call__(self, attributes: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
        """The outputs, or None where this way is not open."""
        if not self._possible or len(inputs) != self._inputs or forward_ad._current_level >= 0:
            return None
        try:
            values = self._get(attributes)
        except KeyError:  # a parameter or a buffer
            return None
        x = inputs[0]
        dtype = getattr(x, "dtype", None)
        if not all(map(is_, values, self._seen)) or dtype not in self._calls:
            self._prepare(values, x)
        call = self._calls.get(dtype)
        if call is None:
            return None
        given = self._given(attributes)
        results = call(self._numbers, 0, -1, None, *inputs, *given)
        if results is None:
            return None
        for name, value in zip(self._states, results[self._outputs :], strict=True):
            attributes[name] = value
        return results[0] if self._outputs == 1 else results[: self._outputs]

    def _given(self, attributes: dict[str, Any]) -> tuple[Any, ...]:
        if self._of_states is None:
            return ()
        count = len(self._states)
        given: tuple[Any, ...] = self._of_states(attributes)[:count]
        return (None,) * count if None in given else given

    def _prepare(self, values: tuple[Any, ...], x: Any) -> None:
        """Learn what the calls to come are, as far as can be said by now."""
        self._calls, self._seen = {}, (None,) * len(values)
        dt, detached, backend, record, mode = values[: len(OPTIONS)]
        params = values[len(OPTIONS) :]
        plain = all(type(value) in (float, int, bool) for value in params)
        if record or mode != "m" or backend == "reference" or not plain:
            return
        if not (isinstance(x, Tensor) and x.is_cpu and x.dtype in DTYPES):
            return
        if not self._kernels.is_ready(_CPU):
            return
        starts = self._kernels.starts(params, dt)
        if starts is None:
            return
        call = Call((x,) * self._inputs, starts, params, dt, (0, -1), (), detached)
        prepared = self._kernels.prepared(call)
        if prepared is not None:
            self._numbers, self._calls[x.dtype] = prepared
            self._seen = values
