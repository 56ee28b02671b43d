"""What a kernel moves at 16 time steps, against the arrays of its argument list, each moved once."""

from __future__ import annotations

from dataclasses import dataclass

from ptxsim import Module
from ptxsim.buffers import SECTOR

from cuda_proof import eager
from cuda_proof.cases import Case, compiled_for
from cuda_proof.compiling import module_of
from cuda_proof.given import given_for
from cuda_proof.launching import Launched, launch
from cuda_proof.neurons import subject
from cuda_proof.numbers import computed_in
from cuda_proof.running import values_for

STEPS, NEURONS, GRID = 16, 2048, 2
"""Eight times as many neurons as threads: a thread takes several beside each other."""


@dataclass(frozen=True)
class Traffic:
    """Of one launch. `uncached`: every sector of every request; `cached`: each sector once a direction."""

    minimum: int
    uncached: float
    cached: float
    widths: dict[str, float]
    """Bytes of an access, by the name of an array `[T, N]`."""


def measure(neuron: str, which: str, dtype: str, module: Module | None = None) -> Traffic:
    """Count one launch, with every array but recordings; params are numbers, and what is of them is left out."""
    size = (STEPS, NEURONS, GRID)
    architecture = compiled_for(neuron, dtype)
    case = Case(neuron, which, dtype, architecture, *size, True, "random", "usual", True, False)
    of, given = subject(neuron), given_for(case)
    values = values_for(case, given, eager.forward(of, given, computed_in(dtype)))
    for role, name in list(values):
        if role.endswith("_tensor") and not values[role, name].ndim:
            values[role.removesuffix("_tensor"), name] = values.pop((role, name)).item()
    entry = of.entry(case.kernel, dtype)
    assert entry is not None
    module = module or module_of(neuron, dtype, architecture, case.part)
    done = launch(module, entry, values, (STEPS, NEURONS), grid=GRID, races=False)
    return _traffic(done)


def _traffic(done: Launched) -> Traffic:
    of_params = ("param_tensor", "grad_param")
    moved = {k: b for k, b in done.buffers.items() if k[0] not in of_params}
    minimum = sum(b.nbytes for b in moved.values())
    both = [t for b in moved.values() for t in (b.loads, b.stores)]
    uncached = SECTOR * sum(t.sectors for t in both)
    cached = SECTOR * sum(t.unique_sectors for t in both)
    widths = {
        buffer.name: (buffer.loads.bytes + buffer.stores.bytes) / accesses
        for buffer in moved.values()
        if buffer.shape == (STEPS, NEURONS)
        and (accesses := buffer.loads.lanes + buffer.stores.lanes)
    }
    return Traffic(minimum, uncached / minimum, cached / minimum, widths)
