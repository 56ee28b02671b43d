"""A kernel decoded: basic blocks of steps, ready to be run by any number of launches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ptxsim.atomic import decode_atomic
from ptxsim.buffers import BIAS, FIRST_BUFFER, LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BITS, Fault
from ptxsim.collective import BARRIERS, COLLECTIVES, decode_collective
from ptxsim.comparison import decode_comparison
from ptxsim.conversion import decode_conversion
from ptxsim.elementwise import Step, apply, copy
from ptxsim.floating import decode_floating
from ptxsim.formats import FLOATS, Array
from ptxsim.geometry import Group
from ptxsim.half import decode_half
from ptxsim.inlining import inline_calls
from ptxsim.integer import decode_integer
from ptxsim.launch_state import Launch
from ptxsim.slots import Reader, Slots, Use, Values
from ptxsim.syntax import (
    Address,
    Instruction,
    Kernel,
    Module,
    Operand,
    PtxError,
    Register,
    Symbol,
    Variable,
    Vector,
)
from ptxsim.transfer import decode_transfer

EXIT = -1
Leave = Callable[[Values, Group, Launch], list[tuple[int, Array]]]
"""What ends a block: which block the threads go to."""

_LEAVING = frozenset({"bra", "ret", "exit", "trap", "brx"})
_NO_EFFECT = frozenset(
    {"membar", "fence", "nanosleep", "prefetch", "prefetchu", "griddepcontrol"}
    | {"applypriority", "discard", "pmevent"}
)
_WINDOWS = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW, "param": LOCAL_WINDOW}
_UNKNOWN = (PtxError, KeyError, IndexError, StopIteration, ValueError, TypeError)
"""What decoding an instruction of unknown form ends in."""


@dataclass
class Block:
    """Instructions that are only entered at the first and left at the last."""

    start: int
    instructions: list[Instruction]
    decoded: bool = False
    steps: list[Step] = field(default_factory=list)
    use: Use = field(default_factory=Use)
    leave: Leave | None = None
    members: Reader | None = None
    """The member mask of a collective that waits for the threads it names."""
    waits_for: str = ""
    """`block` or `warp`, if it is a collective that waits."""
    opcodes: Counter[str] = field(default_factory=Counter)


class Program:
    """A kernel of a module, decoded."""

    def __init__(self, module: Module, kernel: Kernel) -> None:
        self.kernel = kernel = inline_calls(module, kernel)
        self.parameters = frozenset(p.name for p in kernel.parameters)
        self.used = _used_registers(kernel)
        symbols = variable_addresses(module)
        self.sizes, self.has_dynamic = {"shared": 0, "local": 0}, False
        self._lay_out(module, symbols)
        self.slots = Slots(kernel, symbols)
        self._unsupported: list[str] = []
        spans = _spans(kernel)
        self._block_at = {start: n for n, (start, _) in enumerate(spans)} | {
            len(kernel.code): len(spans)
        }
        self.blocks = [Block(start, kernel.code[start:end]) for start, end in spans]

    def _lay_out(self, module: Module, symbols: dict[str, int]) -> None:
        """Place the variables of shared and local memory; the dynamic one is the last."""
        named = _named_symbols(self.kernel)
        of_module = [v for v in module.variables if v.space == "shared" and v.name in named]
        variables: list[Variable] = [*of_module, *self.kernel.variables]
        for variable in sorted(variables, key=lambda v: v.count == 0):
            space = "shared" if variable.space == "shared" else "local"
            start = -(-self.sizes[space] // variable.align) * variable.align
            symbols[variable.name] = start
            self.sizes[space] = start + variable.nbytes

    def block(self, number: int) -> Block:
        """A block, decoded: most of a kernel's blocks are for other shapes and never run."""
        block = self.blocks[number]
        if not block.decoded:
            self._decode_block(block)
        return block

    def unsupported(self) -> list[str]:
        """The instructions of the kernel that the simulator does not know."""
        for number in range(len(self.blocks)):
            self.block(number)
        return self._unsupported

    def _decode_block(self, block: Block) -> None:
        end = block.start + len(block.instructions)
        block.decoded = True
        self.slots.use = block.use
        for instruction in block.instructions:
            block.opcodes[instruction.opcode] += 1
            if instruction.opcode in _LEAVING:
                block.leave = self._leave(instruction, self._block_at[end])
            else:
                block.steps.append(self._step(instruction))
        if block.instructions:
            self._find_members(block, block.instructions[0])

    def _find_members(self, block: Block, first: Instruction) -> None:
        if first.opcode not in COLLECTIVES or first.opcode == "activemask":
            return
        block_wide = first.opcode in BARRIERS and "warp" not in first.modifiers
        block.waits_for = "block" if block_wide else "warp"
        if not block_wide:
            block.members = self.slots.read(first.operands[-1], "u32")

    def _leave(self, instruction: Instruction, following: int) -> Leave:
        opcode = instruction.opcode
        if opcode == "brx":
            self._unsupported.append(instruction.text)
            return _refuse_branch(instruction)
        target = EXIT
        if opcode == "bra":
            (label,) = instruction.operands
            assert isinstance(label, Symbol)
            target = self._block_at[self.kernel.labels[label.name]]
        guard = self.slots.read(instruction.guard, "pred") if instruction.guard else None

        def leave(values: Values, group: Group, launch: Launch) -> list[tuple[int, Array]]:
            taken = np.True_ if guard is None else guard(values)
            if opcode == "trap" and taken.any():
                raise Fault("trap", f"'{instruction.text}' by thread {group.index[0]}")
            if taken.all():
                return [(target, group.index)]
            return [(target, group.index[taken]), (following, group.index[~taken])]

        return leave

    def _step(self, instruction: Instruction) -> Step:
        block_use, self.slots.use = self.slots.use, Use()
        try:
            step = self._decode(instruction)
        except _UNKNOWN as problem:
            self._unsupported.append(instruction.text)
            step = _refuse(instruction, problem)
        use = self.slots.use
        block_use.add(use)
        self.slots.use = block_use
        if instruction.guard is None:
            return step
        return _guarded(step, self.slots.read(instruction.guard, "pred"), use)

    def _decode(self, instruction: Instruction) -> Step:
        opcode, modifiers = instruction.opcode, instruction.modifiers
        kind = modifiers[-1] if modifiers else ""
        if opcode in ("ld", "ldu", "st"):
            return decode_transfer(instruction, self.slots, self.parameters)
        if opcode in ("atom", "red"):
            return decode_atomic(instruction, self.slots, self.used)
        if opcode == "mov":
            return copy(self.slots, kind, *instruction.operands)
        if opcode == "cvta":
            return self._convert_address(instruction)
        if opcode in _NO_EFFECT:
            return lambda values, group, launch: None
        if opcode in ("set", "setp", "selp", "slct"):
            return decode_comparison(instruction, self.slots)
        if opcode == "cvt":
            return decode_conversion(instruction, self.slots)
        if opcode in COLLECTIVES:
            return decode_collective(instruction, self.slots)
        if kind in ("f32", "f64"):
            return decode_floating(instruction, self.slots)
        if kind in FLOATS:
            return decode_half(instruction, self.slots)
        return decode_integer(instruction, self.slots)

    def _convert_address(self, instruction: Instruction) -> Step:
        """`cvta`: only shared and local memory have addresses of their own."""
        target, source = instruction.operands
        window = next((_WINDOWS[m] for m in instruction.modifiers if m in _WINDOWS), None)
        if window is None:
            return copy(self.slots, "u64", target, source)
        base = np.uint64((window << WINDOW_BITS) + BIAS)
        if "to" in instruction.modifiers:
            return apply(self.slots, lambda a: a - base, (target, "u64"), (source, "u64"))
        return apply(self.slots, lambda a: a + base, (target, "u64"), (source, "u64"))


def program_of(module: Module, name: str) -> Program:
    """The decoded kernel of this name; kept in the module.

    Raises:
        PtxError: if there is none.
    """
    program = module.programs.get(name)
    if not isinstance(program, Program):
        if name not in module.kernels:
            raise PtxError(f"no kernel {name}; there are {', '.join(module.kernels)}")
        program = module.programs[name] = Program(module, module.kernels[name])
    return program


def variable_addresses(module: Module) -> dict[str, int]:
    """Where the global and constant variables are: in the first buffers of any machine."""
    variables = [v for v in module.variables if v.space in ("global", "const")]
    return {v.name: ((FIRST_BUFFER + n) << WINDOW_BITS) + BIAS for n, v in enumerate(variables)}


def _refuse(instruction: Instruction, problem: Exception) -> Step:
    def refuse(values: Values, group: Group, launch: Launch) -> None:
        raise PtxError(f"not supported: '{instruction.text}' ({problem})")

    return refuse


def _refuse_branch(instruction: Instruction) -> Leave:
    def refuse(values: Values, group: Group, launch: Launch) -> list[tuple[int, Array]]:
        raise PtxError(f"not supported: '{instruction.text}'")

    return refuse


def _guarded(step: Step, guard: Reader, use: Use) -> Step:
    """The step for the threads whose predicate holds."""
    slots, written = sorted(use.slots), sorted(use.written)

    def guarded(values: Values, group: Group, launch: Launch) -> None:
        holds = guard(values)
        if holds.all():
            return step(values, group, launch)
        at = np.flatnonzero(holds)
        if not at.size:
            return None
        some = values.copy()
        for slot in slots:
            if isinstance(values[slot], np.ndarray) and values[slot].ndim:
                some[slot] = values[slot][at]
        step(some, group.geometry.group(group.index[at]), launch)
        for slot in written:
            values[slot][at] = some[slot]
        return None

    return guarded


def _spans(kernel: Kernel) -> list[tuple[int, int]]:
    """The basic blocks: (first, one past the last) instruction."""
    cuts = {0, len(kernel.code), *kernel.labels.values()}
    for n, instruction in enumerate(kernel.code):
        if instruction.opcode in _LEAVING:
            cuts.add(n + 1)
        if instruction.opcode in COLLECTIVES:
            cuts |= {n, n + 1}
    ordered = sorted(cuts)
    return list(pairwise(ordered)) or [(0, 0)]


def _registers_and_symbols(operand: Operand) -> list[str]:
    if isinstance(operand, (Register, Symbol)):
        return [operand.name]
    if isinstance(operand, Address):
        return _registers_and_symbols(operand.base)
    if isinstance(operand, Vector):
        return [name for item in operand.items for name in _registers_and_symbols(item)]
    return []


def _named_symbols(kernel: Kernel) -> set[str]:
    operands = [operand for i in kernel.code for operand in i.operands]
    return {name for operand in operands for name in _registers_and_symbols(operand)}


def _used_registers(kernel: Kernel) -> frozenset[str]:
    """Names of the registers that some instruction reads."""
    used: set[str] = set()
    for instruction in kernel.code:
        if instruction.guard:
            used.add(instruction.guard.name)
        for n, operand in enumerate(instruction.operands):
            if (
                n
                or instruction.opcode in ("st", "red", "bra", "bar", "barrier")
                or isinstance(operand, Address)
            ):
                used.update(_registers_and_symbols(operand))
    return frozenset(used)
