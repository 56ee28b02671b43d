"""Runs NVIDIA PTX on the CPU with NumPy, to check generated kernels where there is no GPU.

from ptxsim import Machine, load_ptx

module = load_ptx(Path("kernel.ptx").read_text())
machine = Machine(module)
x = machine.buffer("x", array)                     # an input
y = machine.buffer("y", (n,), dtype="f4")          # an output: reading it before it is written is a fault
stats = machine.launch("kernel", grid=8, block=128, args=[x, y, n])
result = y.array()
print(stats.table())
"""

from ptxsim.buffers import Buffer, Fault, Traffic
from ptxsim.launch_state import Stats
from ptxsim.machine import Machine
from ptxsim.parser import parse as load_ptx
from ptxsim.syntax import Module, PtxError

__all__ = ["Buffer", "Fault", "Machine", "Module", "PtxError", "Stats", "Traffic", "load_ptx"]
