"""`python -m neurodsl.tools.compile_times`: what compiling takes, as ratios to importing SymPy, and operation counts.

Each time is the shortest of five, in a fresh process: compiling is everything from the text to the generated texts, the
import of SymPy included; no cache is read, and neither g++ nor nvcc is run.
"""

from __future__ import annotations

import subprocess
import sys

from neurodsl.ir.adjoint import differentiate
from neurodsl.ir.lower import lower
from neurodsl.ir.nodes import Expr, Op, Program
from neurodsl.ir.variant import make_variant
from neurodsl.sema.model import NeuronModel

REPEATS = 5
SHOWN = ("LIF", "Izhikevich", "GatedLIF", "AdEx", "FitzHughNagumo", "HodgkinHuxley")

_COMPILE = """
import time
start = time.perf_counter()
from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find, names
from neurodsl.options import Options
for name in {names}:
    found = find(name)
    compile_text(found[1], found[0], Options(), disk_loader)
print(time.perf_counter() - start)
"""
_SYMPY = (
    "import time; start = time.perf_counter(); import sympy; print(time.perf_counter() - start)"
)


def _shortest(program: str) -> float:
    """Seconds, as the program prints them."""
    times = []
    for _ in range(REPEATS):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        times.append(float(done.stdout))
    return min(times)


def _count(e: Expr) -> int:
    return 1 + sum(_count(a) for a in e.args) if isinstance(e, Op) else 0


def _operations(*programs: Program) -> int:
    return sum(_count(assign.value) for program in programs for assign in program)


def counts(neuron: NeuronModel) -> tuple[int, int, int, int]:
    """Operations of the forward step and of the full adjoint, each before and after value numbering."""
    lowered = lower(neuron, spiking=True, detach_reset=False)
    adjoint = differentiate(lowered, full=True)
    variant = make_variant(neuron, spiking=True, detach_reset=False, full=True)
    return (
        _operations(lowered.step),
        _operations(variant.forward),
        _operations(adjoint.reverse),
        _operations(variant.prologue, variant.reverse),
    )


def main() -> None:
    """Print both tables."""
    from neurodsl.driver import analyse_text
    from neurodsl.files import disk_loader
    from neurodsl.library import find
    from neurodsl.options import Options

    sympy = _shortest(_SYMPY)
    lines = [f"import sympy: {1000 * sympy:.0f} ms", ""]
    lines += ["| compiled | ms | of import sympy |", "| --- | ---: | ---: |"]
    rows = [
        ("LIF", "['LIF']"),
        ("HodgkinHuxley (rk4)", "['HodgkinHuxley']"),
        ("the library", "names()"),
    ]
    for label, chosen in rows:
        seconds = _shortest(_COMPILE.replace("{names}", chosen))
        lines.append(f"| {label} | {1000 * seconds:.0f} | {seconds / sympy:.1f} |")
    lines += ["", "| operations | forward | after numbering | adjoint | after numbering |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for name in SHOWN:
        found = find(name)
        assert found is not None
        model = analyse_text(found[1], found[0], Options(), disk_loader).model
        neuron = next(n for n in model.neurons if n.name == name)
        lines.append(f"| `{name}` | " + " | ".join(map(str, counts(neuron))) + " |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
