"""How much the proof executes: `cd tests; python -m cuda_proof.count`. The sessions say how much was equal."""

from __future__ import annotations

from cuda_proof.cases import ARCHITECTURES, FACTORS, possible, selection
from cuda_proof.faults import BACKWARD_FAULTS, FORWARD_FAULTS, TWO_STATES
from cuda_proof.neurons import SUFFIXES


def main() -> None:
    """Print the counts of the selection, of the product and of the planted faults."""
    for all_of_them in (False, True):
        _selection(all_of_them=all_of_them)
    names = FACTORS["neuron"]
    passes = sum(possible({"neuron": n, "which": w}) for n in names for w in FACTORS["which"])
    variants = len(SUFFIXES) * len(ARCHITECTURES)
    sizes = len(FACTORS["steps"]) * len(FACTORS["neurons"])
    print(f"product: {passes * variants} neurons x passes x dtypes x architectures,")
    print(f"  {passes * variants * sizes} cases")
    print(f"faults in texts: {len([*FORWARD_FAULTS, *BACKWARD_FAULTS, *TWO_STATES])}")


def _selection(*, all_of_them: bool) -> None:
    cases = selection(all_of_them=all_of_them)
    kernels = {(c.neuron, c.kernel, c.dtype, c.architecture) for c in cases}
    compiled = {(c.neuron, c.part, c.dtype, c.architecture) for c in cases}
    shapes = {(c.steps, c.neurons, c.grid) for c in cases}
    name = "all dtypes" if all_of_them else "every run"
    print(f"{name}: {len(cases)} cases of {len(kernels)} kernels, {len(compiled)} compilations,")
    print(f"  {len(shapes)} shapes (steps, neurons, grid)")
    for which in FACTORS["which"]:
        print(f"  {sum(c.which == which for c in cases):5} {which}")


if __name__ == "__main__":
    main()
