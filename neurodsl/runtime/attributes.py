"""What a module's options, params and states may be: the same for its constructor and for an attribute set later."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from neurodsl.runtime.definition import Definition
from neurodsl.runtime.params import Param, checked, choose, number_of, truth_of

STEP_MODES = ("m", "s")
BACKENDS = ("auto", "fused", "reference")
FORMS = ("float32", "uint8", "bits")
"""Of the outputs: numbers of the input's type, or spikes that carry no gradient in a byte or a bit."""


def option(definition: Definition, name: str, value: Any) -> Any:
    """An option as it is kept; what is none is given back as it is.

    Raises:
        TypeError, ValueError: it is none of what there is to choose from.
    """
    check = _OPTIONS.get(name)
    return value if check is None else check(definition, value)


def names_of(what: str, value: Any) -> tuple[Any, ...]:
    """One name, or several, as a tuple.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, str):
        return (value,)
    try:
        return tuple(value)
    except TypeError:
        raise TypeError(f"{what}={value!r}: give a name, or several as a tuple") from None


def surrogate_of(value: Any) -> str | None:
    """A surrogate as the language writes it, or None.

    Raises:
        TypeError: it is no text.
    """
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"surrogate={value!r}: give a text, as in surrogate='sigmoid(alpha=4.0)'")


def param_of(neuron: str, param: Param, value: Any) -> Any:
    """A value of a param of a module that is there already.

    Raises:
        TypeError, ValueError: the constructor would not take it, or kernels were not made for its shape.
    """
    value = checked(neuron, param, value)
    if isinstance(value, Tensor) and value.dim() and not param.shape:
        raise ValueError(
            f"{neuron}: {param.python} is one value for all neurons here; a tensor of the shape {tuple(value.shape)} "
            "has to be given to the constructor"
        )
    return value


def described(node: Any) -> str:
    """A module's params, and its options where they are not the defaults, as its constructor takes them."""
    shown, learnt = [], []
    for param in node.definition.params:
        value = getattr(node, param.python)
        number = repr(value)
        if isinstance(value, Tensor):
            number = (
                str(tuple(value.shape)) if value.dim() or value.is_meta else f"{value.item():.6g}"
            )
        shown.append(f"{param.python}={number}")
        there = param.python in node._via or isinstance(value, nn.Parameter)
        learnt += [param.python] if there and not param.learnable else []
    options = {"learnable": tuple(learnt), **node._options} | {
        name: getattr(node, name) for name in _OPTIONS
    }
    shown += [
        f"{name}={options[name]!r}"
        for name, default in _DEFAULTS.items()
        if options[name] != default
    ]
    return ", ".join(shown)


def _step_mode(_: Definition, value: Any) -> str:
    return choose("step_mode", value, STEP_MODES)


def _backend(_: Definition, value: Any) -> str:
    return choose("backend", value, BACKENDS)


def _spikes(definition: Definition, value: Any) -> str:
    form, neuron = choose("spikes", value, FORMS), definition.name
    if form != "float32" and not definition.feedbacks and not _fires_only(definition):
        listed = ", ".join(definition.outputs)
        raise ValueError(
            f"{neuron}: spikes={form!r} is for outputs that are spikes of 0 or 1, and here they are more than that: "
            f"{listed}. Leave spikes='float32'; neurodsl.PackedSpikes.pack packs numbers that happen to be 0 and 1"
        )
    return form


def _fires_only(definition: Definition) -> bool:
    """Whether all outputs are spikes of 0 or 1: then there are kernels for a GPU that give bits."""
    kernels = definition.manifest["neurons"][definition.name]["kernels"]
    return any(kernel.get("spikes") == "bits" for kernel in kernels)


def _record(definition: Definition, value: Any) -> tuple[str, ...]:
    return tuple(
        choose("record", name, definition.recordable) for name in names_of("record", value)
    )


def _dt(definition: Definition, value: Any) -> float:
    number = number_of(f"{definition.name}: dt", value)
    if not 0 < number < math.inf:
        raise ValueError(f"{definition.name}: dt={number:g}: a time step is above 0 and finite")
    return number


def _detach_reset(definition: Definition, value: Any) -> bool:
    return truth_of(f"{definition.name}: detach_reset", value)


_OPTIONS: dict[str, Callable[[Definition, Any], Any]] = {
    "step_mode": _step_mode,
    "backend": _backend,
    "spikes": _spikes,
    "record": _record,
    "dt": _dt,
    "detach_reset": _detach_reset,
}

_DEFAULTS = {
    "learnable": (),
    "surrogate": None,
    "detach_reset": False,
    "spiking": True,
    "step_mode": "",
    "backend": "",
    "record": (),
    "dt": 1.0,
    "spikes": "float32",
}
"""Of the constructor; the step mode and the back end are shown in any case."""
