"""To NIR: the node that a neuron's dynamics are, and graphs of networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from neurodsl.tools.nir.dynamics import Array, Dynamics, dynamics_of
from neurodsl.tools.nir.errors import NIRError, nir_package
from neurodsl.tools.nir.load import NIRNetwork, OverTime, Scaled


def to_nir(module: nn.Module, input_shape: Sequence[int] | None = None) -> Any:
    """The NIR node of a neuron, or the NIR graph of a network.

    A neuron's equations are matched, whatever it is called: a charge that is linear in one state (I, IF, LI, LIF) or in
    a current and a membrane potential (CubaLI, CubaLIF), a threshold, a reset to a value.

    Args:
        module: a neuron, an `nn.Sequential`, or what `from_nir` made.
        input_shape: of one sample, `[*]` of `[T, B, *]`; for a graph whose first layer does not tell.

    Raises:
        NIRError: something has no counterpart in NIR; the text says what and why.
        ImportError: the package `nir` is not installed.
    """
    nir = nir_package()
    if isinstance(module, NIRNetwork):
        return _network(nir, module)
    if isinstance(module, nn.Sequential):
        shape = _shape_of(module) if input_shape is None else tuple(input_shape)
        nodes = [nir.Input({"input": np.array(shape)})]
        for layer in module:
            node, shape = _sized(layer, shape)
            nodes.append(node)
        return nir.NIRGraph.from_list(*nodes, nir.Output({"output": np.array(shape)}))
    return _node(module, None)


def _network(nir: Any, network: NIRNetwork) -> Any:
    """The graph that a network was made from, with the values that its modules have now."""
    shapes: dict[str, tuple[int, ...]] = {}
    nodes = {}
    for name in network.names():
        before = [shapes[a] for a, b in network.edges() if b == name]
        end = network.ends().get(name)
        if end is not None:
            shapes[name] = network.input_shape if end == "Input" else before[0]
            key = end.lower()
            nodes[name] = getattr(nir, end)({key: np.array(shapes[name])})
        else:
            nodes[name], shapes[name] = _sized(network.node(name), before[0])
    return nir.NIRGraph(nodes, list(network.edges()))


def _shape_of(module: nn.Sequential) -> tuple[int, ...]:
    """The shape of a sample, if the first layer tells."""
    first = module[0]
    if isinstance(first, nn.Linear):
        return (first.in_features,)
    raise NIRError(
        f"give input_shape=, the shape of one sample: a {type(first).__name__} does not tell what it takes"
    )


def _sized(module: nn.Module, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """The node of a layer that is given samples of a shape, and the shape of what it gives."""
    if hasattr(type(module), "definition"):
        return _node(module, shape), shape
    if isinstance(module, NIRNetwork):
        with torch.no_grad():
            return to_nir(module), tuple(module(torch.zeros(1, 1, *shape)).shape[2:])
    inner = module.layer if isinstance(module, OverTime) else module
    if isinstance(inner, nn.Flatten):
        skipped = 1 if isinstance(module, OverTime) else 2
        start, end = inner.start_dim - skipped, inner.end_dim
        inner = nn.Flatten(start + 1, end if end < 0 else end - skipped + 1)
    with torch.no_grad():
        after = tuple(inner(torch.zeros(1, *shape)).shape[1:])
    return _node(inner, shape), after


def _node(module: nn.Module, shape: tuple[int, ...] | None) -> Any:
    """The node of one module; a layer is one for `[B, *]`."""
    nir = nir_package()
    if hasattr(type(module), "definition"):
        return _neuron(module, shape)
    if isinstance(module, Scaled):
        return nir.Scale(_array(module.scale))
    if isinstance(module, nn.Linear):
        weight = _array(module.weight)
        return (
            nir.Linear(weight) if module.bias is None else nir.Affine(weight, _array(module.bias))
        )
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        weight = _array(module.weight)
        bias = np.zeros(weight.shape[0]) if module.bias is None else _array(module.bias)
        sizes = None if shape is None else shape[1:]
        geometry = (module.stride, module.padding, module.dilation, module.groups, bias)
        if isinstance(module, nn.Conv1d):
            one = [v[0] if isinstance(v, tuple) else v for v in geometry[:3]]
            return nir.Conv1d(None if sizes is None else sizes[0], weight, *one, *geometry[3:])
        return nir.Conv2d(sizes, weight, *geometry)
    if isinstance(module, nn.AvgPool2d):
        of = (module.kernel_size, module.stride, module.padding)
        return nir.AvgPool2d(*(np.array(v if isinstance(v, tuple) else (v, v)) for v in of))
    if isinstance(module, nn.Flatten):
        given = {"input": None if shape is None else np.array(shape)}
        return nir.Flatten(given, module.start_dim - 1, module.end_dim)
    raise NIRError(f"{type(module).__name__} has no counterpart in NIR here")


def _array(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().numpy()


def _neuron(module: Any, shape: tuple[int, ...] | None) -> Any:
    """The node that the dynamics of one of our neurons are, its parameters spread over `shape`."""
    from neurodsl.driver import analyse_text
    from neurodsl.files import disk_loader
    from neurodsl.options import Options

    definition = module._variant.definition
    manifest = definition.manifest
    shapes = {p.name: p.shape for p in definition.params if p.shape}
    texts = manifest["texts"]

    def loader(importing: str, path: str) -> tuple[str, str]:
        return (path, texts[path]) if path in texts else disk_loader(importing, path)

    source = manifest["source"]
    file = analyse_text(texts[source], source, Options(shapes=shapes), loader).model
    model = next(n for n in file.neurons if n.name == definition.name)
    values: dict[str, Array] = {"dt": np.array(module.dt)}
    for param in definition.params:
        value = getattr(module, param.python)
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().double().numpy()
        values[param.name] = np.asarray(value)
    dynamics = dynamics_of(model, values)
    return _NodeOf(definition.name, dynamics, float(module.dt), shape or ()).node()


class _NodeOf:
    """Finds the node whose equations are a neuron's."""

    def __init__(self, neuron: str, dynamics: Dynamics, dt: float, shape: tuple[int, ...]) -> None:
        self.neuron, self.dynamics, self.dt, self.shape = neuron, dynamics, dt, shape

    def refuse(self, why: str) -> NIRError:
        return NIRError(f"{self.neuron} has no counterpart in NIR: {why}")

    def of(self, state: str, name: str) -> Array:
        """What of `name` goes into a state."""
        return self.dynamics.charge[state].get(name, np.zeros(()))

    def node(self) -> Any:
        nir = nir_package()
        d = self.dynamics
        if not d.states:
            return self.made(nir.Threshold, threshold=np.asarray(d.threshold))
        if len(d.states) == 1:
            return self._one(nir)
        if len(d.states) == 2:
            return self._two(nir)
        raise self.refuse(f"it has {len(d.states)} states")

    def _time_constant(self, keep: Array, what: str) -> Array:
        """The time constant that keeps as much of a state in one step."""
        d = self.dynamics
        with np.errstate(divide="ignore", invalid="ignore"):
            tau = -self.dt / np.log(keep) if d.exact else self.dt / (1 - keep)
        if not (np.isfinite(tau).all() and (tau > 0).all()):
            raise self.refuse(
                f"{what} keeps {np.asarray(keep).ravel()[0]:g} of itself a step, which no leak does"
            )
        return tau

    def _spiking(self) -> dict[str, Array]:
        d = self.dynamics
        if d.threshold is None:
            return {}
        return {"v_threshold": d.threshold, "v_reset": d.reset}

    def _one(self, nir: Any) -> Any:
        d = self.dynamics
        v = d.states[0]
        keep, gain, added = self.of(v, v), self.of(v, d.input), self.of(v, "")
        more = self._spiking()
        if (keep == 1).all():
            if (added != 0).any():
                raise self.refuse(
                    f"{v} drifts by {np.asarray(added).ravel()[0]:g} a step, without a leak"
                )
            return self.made(nir.IF if more else nir.I, r=gain / self.dt, **more)
        tau = self._time_constant(keep, v)
        leaks = {"tau": tau, "r": gain / (1 - keep), "v_leak": added / (1 - keep)}
        return self.made(nir.LIF if more else nir.LI, **leaks, **more)

    def _two(self, nir: Any) -> Any:
        d = self.dynamics
        v = d.output
        (i,) = (name for name in d.states if name != v)
        if (self.of(i, v) != 0).any() or (self.of(i, "") != 0).any():
            raise self.refuse(f"{i} depends on more than itself and the input")
        keep_i, keep_v = self.of(i, i), self.of(v, v)
        tau_syn, tau_mem = self._time_constant(keep_i, i), self._time_constant(keep_v, v)
        weight = self.of(i, d.input) / (1 - keep_i)
        resistance = self._resistance(i, v, tau_syn, tau_mem)
        leak = self.of(v, "") / (1 - keep_v)
        more = self._spiking()
        return self.made(
            nir.CubaLIF if more else nir.CubaLI,
            tau_syn=tau_syn,
            tau_mem=tau_mem,
            r=resistance,
            v_leak=leak,
            w_in=weight,
            **more,
        )

    def _resistance(self, i: str, v: str, tau_syn: Array, tau_mem: Array) -> Array:
        """How strongly the current drives the membrane, from either order of the two lines."""
        d = self.dynamics
        keep_i, keep_v = self.of(i, i), self.of(v, v)
        through, direct = self.of(v, i), self.of(v, d.input)
        into = self.of(i, d.input)
        if d.exact:
            apart = self.dt / tau_mem - self.dt / tau_syn
            safe = np.where(apart == 0, 1.0, apart)
            exprel = np.where(apart == 0, 1.0, np.expm1(safe) / safe)
            unit = self.dt / tau_mem * keep_v * exprel
            resistance = through / unit
            held = resistance * into / (1 - keep_i) * (1 - keep_v - unit)
            if not np.allclose(direct, held, rtol=1e-6, atol=1e-9):
                raise self.refuse(f"the input reaches {v} other than through {i}")
            return resistance
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = through / np.where((direct == 0).all(), 1.0, keep_i)
        if not np.allclose(direct, 0.0) and not np.allclose(direct, gain * into, rtol=1e-9):
            raise self.refuse(f"the input reaches {v} other than through {i}")
        return gain / (1 - keep_v)

    def made(self, cls: Any, **values: Array) -> Any:
        """A node, its parameters of one shape."""
        shaped = np.broadcast_arrays(
            np.zeros(self.shape), *map(_per_channel(self.shape), values.values())
        )
        return cls(**{name: np.array(a) for name, a in zip(values, shaped[1:], strict=True)})


def _per_channel(shape: tuple[int, ...]) -> Callable[[Array], Array]:
    """1-D parameters of `[C, *]` are per channel."""

    def spread(value: Array) -> Array:
        value = np.asarray(value)
        return value.reshape(-1, *(1 for _ in shape[1:])) if value.ndim == 1 and shape else value

    return spread
