"""A GPU without a GPU: holds buffers and runs the kernels of a module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ptxsim.buffers import FIRST_BUFFER, Buffer
from ptxsim.formats import NUMPY, Array
from ptxsim.geometry import Dim3, dim3, geometry_of
from ptxsim.launch_state import Launch, PrivateMemory, Stats
from ptxsim.program import Program, program_of
from ptxsim.scheduler import Scheduler
from ptxsim.syntax import Module, PtxError, Variable

Argument = Buffer | int | float | bytes | np.generic | None


class Machine:
    """Buffers, and launches of one module's kernels.

    strict: raise the first fault; else collect them in `Stats.findings`.
    races: look for data races (costs time).
    seed: of the order of atomic operations and of the noise.
    noise: move every result of an `.approx` instruction within NVIDIA's documented error.
    max_steps: after so many basic blocks a launch counts as endless.
    """

    def __init__(
        self,
        module: Module,
        *,
        strict: bool = True,
        races: bool = True,
        seed: int = 0,
        noise: bool = False,
        max_steps: int = 10_000_000,
    ) -> None:
        self.module, self.strict, self.races, self.noise = module, strict, races, noise
        self.generator = np.random.default_rng(seed)
        self.max_steps = max_steps
        self.buffers: dict[int, Buffer] = {}
        for variable in module.variables:
            if variable.space in ("global", "const"):
                content = np.frombuffer(variable.initial or bytes(variable.nbytes), np.uint8)
                constant = variable.space == "const"
                buffer = self.buffer(variable.name, content, readonly=constant)
                buffer.constant = constant

    def buffer(
        self,
        name: str,
        data: Any,
        dtype: DTypeLike = None,
        init: bool | None = None,
        readonly: bool = False,
        misalign: int = 0,
    ) -> Buffer:
        """A new buffer: of an array, an input; of a shape, an output that nothing has written.

        init: whether it counts as written, if that is to be different.
        readonly: writing to it is a fault.
        misalign: bytes past alignment where it starts.
        """
        is_shape = isinstance(data, (tuple, int))
        content = np.zeros(data, dtype or np.float32) if is_shape else np.asarray(data, dtype)
        initialised = not is_shape if init is None else init
        number = FIRST_BUFFER + len(self.buffers)
        buffer = Buffer(number, name, content, initialised, readonly, misalign, self.races)
        self.buffers[number] = buffer
        return buffer

    def launch(
        self,
        name: str,
        grid: Dim3,
        block: Dim3,
        args: Sequence[Argument],
        dynamic_shared: int = 0,
    ) -> Stats:
        """Run a kernel.

        args: buffers, numbers (pointers too), None for a null pointer, bytes for a struct.
        dynamic_shared: bytes of shared memory besides the kernel's own.

        Raises:
            Fault: what the kernel did wrong, if the machine is strict.
            PtxError: for instructions that are not supported, once they are reached.
        """
        program = program_of(self.module, name)
        parameters = program.kernel.parameters
        if len(args) != len(parameters):
            raise PtxError(f"{name} takes {len(parameters)} arguments, {len(args)} given")
        for buffer in self.buffers.values():
            buffer.start()
        geometry = geometry_of(dim3(grid), dim3(block))
        geometry.start()
        launch = Launch(
            geometry, self.buffers, self.generator, strict=self.strict, noise=self.noise
        )
        launch.parameters = {
            p.name: _parameter(p, a) for p, a in zip(parameters, args, strict=True)
        }
        shared = program.sizes["shared"] + dynamic_shared
        launch.shared = PrivateMemory(shared, geometry.blocks, self.races)
        launch.local = PrivateMemory(program.sizes["local"], geometry.threads, False)
        with np.errstate(all="ignore"):
            Scheduler(program, launch, self.max_steps).run()
        launch.stats.buffers = list(self.buffers.values())
        return launch.stats

    def program(self, name: str) -> Program:
        """The decoded kernel."""
        return program_of(self.module, name)

    def unsupported(self, name: str) -> list[str]:
        """The instructions of a kernel that this simulator cannot run, without running it."""
        return self.program(name).unsupported()


def _parameter(parameter: Variable, argument: Argument) -> Array:
    """The bytes of an argument."""
    if isinstance(argument, Buffer):
        argument = argument.address
    if isinstance(argument, (bytes, bytearray)):
        return np.frombuffer(bytes(argument).ljust(parameter.nbytes, b"\0"), np.uint8)
    kind = parameter.type
    if kind[0] in "bu":
        kind = f"u{kind[1:]}" if kind[:2] != "bf" else kind
        value = np.array([int(argument or 0) & ((1 << 8 * parameter.nbytes) - 1)], np.uint64)
    else:
        value = np.array([argument])
    return np.frombuffer(
        value.astype(NUMPY[kind]).tobytes().ljust(parameter.nbytes, b"\0"), np.uint8
    )
