"""What is run on a GPU and on the CPU: a neuron, a dtype, a shape and a layout; and how far the two may be apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor

import neurodsl
from neurodsl.tools.compare.result import is_spikes
from neurodsl.tools.compare.stimulus import noise, scale_for
from neurodsl.tools.making import filled_in

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
STEPS = (0, 1, 3, 4, 6, 9, 19)
"""None, one, and those about the segments of the backward pass: below, at, above, and several with a rest."""
NEURONS = (1, 33, 258, 641, 4096)
"""One; more than a warp; no multiple of a vector, two ways; and full blocks."""
LAYOUTS = ("contiguous", "sliced", "shifted", "transposed", "channels_last", "strided")

GRADIENTS = {
    torch.float32: 1e-4,
    torch.float64: 1e-10,
    torch.float16: 2e-3,
    torch.bfloat16: 1.6e-2,
}
"""How far a gradient may be off, of its norm: backward passes use reciprocals that are a little off in float32."""
ELEMENTS = {
    torch.float32: 3e-3,
    torch.float64: 1e-8,
    torch.float16: 2e-2,
    torch.bfloat16: 1e-1,
}
"""And each element, of its size and the root mean square of all: one wrong element of many does not show in a norm."""
FLIPPED = 2e-3
"""The share of outputs that may differ where a neuron calls functions that are no IEEE operation, such as exp."""


@dataclass(frozen=True)
class Case:
    """One neuron on one kind of input. Those of several dimensions are `[T, 2, C, H, W]`, all others `[T, 1, N]`."""

    neuron: str
    dtype: torch.dtype = torch.float32
    steps: int = 9
    neurons: int = 258
    layout: str = "contiguous"
    detach: bool = False

    def __str__(self) -> str:
        name = str(self.dtype).removeprefix("torch.")
        detached = ", detached" if self.detach else ""
        return f"{self.neuron} {name} T={self.steps} N={self.neurons} {self.layout}{detached}"


@dataclass(frozen=True)
class Outcome:
    """All results of a forward and a backward pass, on the CPU."""

    outputs: dict[str, Tensor]
    finals: dict[str, Tensor]
    input_gradients: dict[str, Tensor]
    param_gradients: dict[str, Tensor]


def every_shape(neuron: str, dtype: torch.dtype) -> Iterator[Case]:
    """All numbers of steps with all numbers of neurons."""
    for steps, neurons in product(STEPS, NEURONS):
        yield Case(neuron, dtype, steps, neurons)


def manifest_of(neuron: str) -> dict[str, Any]:
    """A library neuron's part of its manifest."""
    found: dict[str, Any] = neurodsl.load(neuron).__manifest__["neurons"][neuron]
    return found


def is_exact(neuron: str) -> bool:
    """Whether its forward pass has only IEEE operations, so that two machines give the same bits."""
    manifest = manifest_of(neuron)
    return not manifest["functions"] and not manifest.get("feedback") and not manifest.get("noise")


def make(case: Case, backend: str) -> Any:
    """The module, on the CPU, with its defaults."""
    channels = case.neurons if case.layout != "channels_last" else 4
    sizes = filled_in(manifest_of(case.neuron), max(case.steps, 1), channels)
    kind = getattr(neurodsl.load(case.neuron), case.neuron)
    node = kind(backend=backend, detach_reset=case.detach, **sizes)
    return node.double() if case.dtype is torch.float64 else node


@cache
def scale_of(neuron: str) -> float:
    """How much noise makes it fire in about every fifth step; found with the reference, nothing is compiled."""
    kind = getattr(neurodsl.load(neuron), neuron)
    node = kind(backend="reference", **filled_in(manifest_of(neuron), 12, 200))

    def run(given: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        with torch.no_grad():
            outputs, states = node.functional(given)
        return tuple(outputs), tuple(states)

    return scale_for(noise(len(kind.definition.inputs), (12, 1, 200), torch.float32, 0), run)


def inputs(case: Case, seed: int = 1) -> list[Tensor]:
    """Contiguous, on the CPU. A third of the neurons gets whole numbers, which meet thresholds exactly."""
    kind = getattr(neurodsl.load(case.neuron), case.neuron)
    shape = (case.steps, 1, case.neurons)
    if case.layout == "channels_last":
        shape = (case.steps, 2, 4, max(1, case.neurons // 8), 3)
    made = []
    for x in noise(len(kind.definition.inputs), shape, torch.float32, seed):
        x = x * scale_of(case.neuron)
        x[..., ::3] = x[..., ::3].round()
        made.append(x.to(case.dtype))
    return made


def laid(x: Tensor, layout: str) -> Tensor:
    """The same numbers on the same device, as the layout has them in memory."""
    if layout == "sliced":  # rows begin an element off, and are longer than what is seen of them
        wide = x.new_zeros((*x.shape[:-1], x.shape[-1] + 1))
        wide[..., 1:] = x
        return wide[..., 1:]
    if layout == "shifted":  # dense, and not aligned to more than an element
        return torch.cat([x.new_zeros(1), x.reshape(-1)])[1:].view(x.shape)
    if layout == "transposed":
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "channels_last":
        flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return flat.unflatten(0, x.shape[:2])
    if layout == "strided":
        wide = x.new_zeros((*x.shape[:-1], 2 * x.shape[-1]))
        wide[..., ::2] = x
        return wide[..., ::2]
    assert layout == "contiguous"
    return x


def outcome(node: Any, given: list[Tensor], case: Case, device: torch.device) -> Outcome:
    """Run a module there, forward and backward, from reset states."""
    node = node.to(device)
    node.reset()
    there = [laid(x.to(device), case.layout).detach().requires_grad_() for x in given]
    made = node(*there)
    made = (made,) if isinstance(made, Tensor) else tuple(made)
    outputs = {f"output {place}": y for place, y in enumerate(made)}
    finals = {name: getattr(node, name) for name in node.definition.states}
    params = dict(node.named_parameters())
    loss = weighted_sum([*outputs.values(), *finals.values()])
    wanted = [*there, *params.values()]
    none: tuple[Tensor | None, ...] = (None,) * len(
        wanted
    )  # without any step nothing depends on anything
    found = torch.autograd.grad(loss, wanted, allow_unused=True) if loss.requires_grad else none
    grads = [torch.zeros_like(w) if g is None else g for g, w in zip(found, wanted, strict=True)]
    return Outcome(
        home(outputs),
        home(finals),
        home({f"gradient of input {i}": g for i, g in enumerate(grads[: len(there)])}),
        home({f"gradient of {n}": g for n, g in zip(params, grads[len(there) :], strict=True)}),
    )


def weighted_sum(values: list[Tensor]) -> Tensor:
    """A loss whose gradients are dense and the same on every device."""
    generator = torch.Generator().manual_seed(2)
    total = torch.zeros((), dtype=torch.float64, device=values[0].device)
    for value in values:
        weights = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        total = total + (value.double() * weights.to(value.device)).sum()
    return total


def problems(found: Outcome, expected: Outcome, case: Case) -> list[str]:
    """What sets them further apart than the case allows, a sentence each."""
    said: list[str] = []
    exact = is_exact(case.neuron)
    times = 1 if exact else 10
    same = _columns_alike(found.outputs, expected.outputs)
    for name, value in found.outputs.items():
        wanted = expected.outputs[name]
        differ = int((~_equal(value, wanted)).sum())
        if value.shape != wanted.shape or value.dtype is not wanted.dtype:
            said.append(f"{case}: {name} is {value.dtype} {tuple(value.shape)}")
        elif exact and differ:
            said.append(f"{case}: {name} differs in {differ} of {value.numel()} places")
        elif not exact and is_spikes(wanted) and differ > max(1, FLIPPED * value.numel()):
            said.append(f"{case}: {name} has {differ} other spikes of {value.numel()}")
        elif not exact and not is_spikes(wanted):
            said += _apart(name, value * same, wanted * same, case, times)
    for name, value in found.finals.items():
        said += _apart(name, value * same, expected.finals[name] * same, case, times)
    for name, value in found.input_gradients.items():
        said += _apart(name, value * same, expected.input_gradients[name] * same, case, times)
    if bool(same.all()):
        for name, value in found.param_gradients.items():
            said += _apart(name, value, expected.param_gradients[name], case, times)
    return said


def against(
    case: Case, device: torch.device, *, base: str = "fused", ours: str = "fused"
) -> list[str]:
    """The problems of a module on a device beside one on the CPU."""
    given = inputs(case)
    expected = outcome(make(case, base), given, case, torch.device("cpu"))
    return problems(outcome(make(case, ours), given, case, device), expected, case)


def with_nonfinite(case: Case) -> list[Tensor]:
    """Inputs with NaN, both infinities, both zeros and subnormal numbers among them."""
    made = inputs(replace(case, layout="contiguous"))
    odd = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-41, -1e-41])
    for x in made:
        flat = x.view(-1)
        count = len(flat[::5])
        flat[::5] = odd.repeat(-(-count // len(odd)))[:count].to(x.dtype)
    return made


def _columns_alike(found: dict[str, Tensor], expected: dict[str, Tensor]) -> Tensor:
    """Which neurons gave the same spikes in all steps: only there can the rest be compared. 0 or 1 each."""
    alike: Tensor | None = None
    for name, value in found.items():
        wanted = expected[name]
        if not is_spikes(wanted) or value.shape != wanted.shape:
            continue
        column = _equal(value, wanted).all(dim=0)
        alike = column if alike is None else alike & column
    return torch.ones(()) if alike is None else alike.double()


def _equal(found: Tensor, expected: Tensor) -> Tensor:
    if found.shape != expected.shape:
        return torch.zeros(1, dtype=torch.bool)
    return (found == expected) | (found.isnan() & expected.isnan())


def _apart(name: str, found: Tensor, expected: Tensor, case: Case, times: float) -> list[str]:
    if found.shape != expected.shape:
        return [f"{case}: {name} has shape {tuple(found.shape)}"]
    found, expected = found.double(), expected.double()
    if not torch.equal(found.isnan(), expected.isnan()):
        return [f"{case}: {name} is NaN in other places"]
    if not expected.numel():
        return []
    apart = (found - expected).nan_to_num(posinf=0, neginf=0)
    whole = expected.nan_to_num(posinf=0, neginf=0)
    norm, mean = float(whole.norm()), float(whole.square().mean().sqrt())
    said = []
    if float(apart.norm()) > times * GRADIENTS[case.dtype] * norm:
        said.append(f"{case}: {name} is off by {float(apart.norm()) / (norm or 1):.2g} of its norm")
    limit = times * ELEMENTS[case.dtype] * (whole.abs() + mean)
    if bool((apart.abs() > limit).any()):
        count = int((apart.abs() > limit).sum())
        said.append(f"{case}: {name} is wrong in {count} of {apart.numel()} elements")
    return said


def home(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, detached, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
