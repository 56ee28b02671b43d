"""The simulator's command line.

python -m ptxsim info x.ptx                           kernels, parameters, instructions, what is not supported
python -m ptxsim run x.ptx kernel GRID BLOCK ARG ...  one launch: prints its traffic and what it did wrong
    ARG: in:SHAPE[:dtype] random input, out:SHAPE[:dtype] output, zero:SHAPE[:dtype], null, or a number;
    SHAPE: 16x1000

(Run it in the folder `tests`.)
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from ptxsim import Machine, load_ptx
from ptxsim.machine import Argument


def info(path: str) -> int:
    """Print what is in a file."""
    module = load_ptx(Path(path).read_text())
    machine = Machine(module)
    print(f"target {module.target}, PTX {module.version}")
    for name, kernel in module.kernels.items():
        parameters = ", ".join("." + parameter.type for parameter in kernel.parameters)
        what = "entry" if kernel.is_entry else "func"
        print(f"{what} {name}({parameters}): {len(kernel.code)} instructions")
        counts = Counter(instruction.opcode for instruction in kernel.code)
        print("   ", ", ".join(f"{opcode} {times}" for opcode, times in counts.most_common()))
        for text in machine.unsupported(name):
            print("    not supported:", text)
    return 0


def run(path: str, kernel: str, grid: str, block: str, *texts: str) -> int:
    """Launch a kernel; 1 if it did something wrong."""
    machine = Machine(load_ptx(Path(path).read_text()), strict=False)
    generator = np.random.default_rng(0)
    arguments = [_argument(machine, generator, f"arg{n}", t) for n, t in enumerate(texts)]
    stats = machine.launch(kernel, int(grid), int(block), arguments)
    print(stats.table())
    for fault in stats.findings:
        print("FOUND", fault)
    return 1 if stats.findings else 0


def _argument(machine: Machine, generator: np.random.Generator, name: str, text: str) -> Argument:
    kind, _, rest = text.partition(":")
    if kind == "null":
        return None
    if kind not in ("in", "out", "zero"):
        return int(text) if text.lstrip("-").isdigit() else float(text)
    sizes, _, type_name = rest.partition(":")
    shape, dtype = tuple(int(size) for size in sizes.split("x")), np.dtype(type_name or "f4")
    if kind == "out":
        return machine.buffer(name, shape, dtype=dtype)
    if kind == "zero":
        return machine.buffer(name, np.zeros(shape, dtype))
    if dtype.kind == "f":
        return machine.buffer(name, generator.normal(0.7, 1, shape).astype(dtype))
    return machine.buffer(name, generator.integers(0, 2**15, shape).astype(dtype))


def main(arguments: list[str]) -> int:
    """Run a command."""
    if len(arguments) == 2 and arguments[0] == "info":
        return info(arguments[1])
    if len(arguments) >= 5 and arguments[0] == "run":
        return run(*arguments[1:])
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
