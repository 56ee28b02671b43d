"""Runs a program: every step is a NumPy operation over all the threads that are at that place.

Threads that stand at the same basic block form a group; the group at the earliest block runs next (this reconverges the
code that nvcc lays out). Barriers and instructions of whole warps start a block of their own, and a group waits there
until all the threads that must take part have come.
"""

from __future__ import annotations

from collections import Counter
from typing import NoReturn

import numpy as np

from ptxsim.buffers import Fault
from ptxsim.formats import Array
from ptxsim.geometry import WARP, Group
from ptxsim.launch_state import Launch
from ptxsim.program import EXIT, Block, Program
from ptxsim.slots import RegisterFile


class Scheduler:
    """The state of the threads of a launch."""

    def __init__(self, program: Program, launch: Launch, most_steps: int) -> None:
        self.program, self.launch, self.most_steps = program, launch, most_steps
        self.geometry = launch.geometry
        self.registers = RegisterFile(program.slots, self.geometry)
        self.exited = np.zeros(self.geometry.threads, bool)
        self.ready: dict[int, Array] = {}
        self.waiting: dict[int, Array] = {}
        """Block to the threads that wait there for others."""
        self.ran: Counter[int] = Counter()
        """Threads that ran each block."""

    def run(self) -> None:
        """Run until all threads have left the kernel.

        Raises:
            Fault: for a deadlock, and for what a strict machine finds.
        """
        if self.geometry.threads:
            self.ready[0] = self.geometry.tid
        for _ in range(self.most_steps):
            if not self.ready:
                if self.waiting:
                    self._stuck()
                break
            self._advance(min(self.ready))
        else:
            name = self.program.kernel.name
            raise Fault("deadlock", f"{name}: more than {self.most_steps} steps; an endless loop?")
        for number, threads in self.ran.items():
            for opcode, times in self.program.blocks[number].opcodes.items():
                self.launch.stats.opcodes[opcode] += times * threads

    def _advance(self, number: int) -> None:
        """Run the block for the threads at it, and send them on."""
        block, index = self.program.block(number), self.ready.pop(number)
        if block.waits_for:
            index = self._gather(block, number, index)
            if not index.size:
                if not self.ready:
                    self._stuck()
                return
        group = self.geometry.group(index)
        self._account(number, block, group)
        for target, threads in self._execute(number, block, group):
            if threads.size:
                self._send(target, threads)

    def _execute(self, number: int, block: Block, group: Group) -> list[tuple[int, Array]]:
        launch, copies = self.launch, None
        if group.span is not None:
            values = self.registers.span(group.span)
        else:
            values, copies = self.registers.gather(group, block.use)
        for instruction, step in zip(block.instructions, block.steps, strict=False):
            launch.here = instruction
            step(values, group, launch)
        if block.leave is None:
            goto = [(number + 1, group.index)]
        else:
            launch.here = block.instructions[-1]
            goto = block.leave(values, group, launch)
        if copies is not None:
            self.registers.scatter(group, block.use, copies)
        return goto

    def _send(self, target: int, threads: Array) -> None:
        if target == EXIT or target >= len(self.program.blocks):
            self.exited[threads] = True
            for number in list(self.waiting):  # someone may be waiting for these threads
                self._add(number, self.waiting.pop(number))
        else:
            self._add(target, threads)

    def _add(self, number: int, threads: Array) -> None:
        if number in self.ready:
            threads = np.sort(np.concatenate([self.ready[number], threads]))
        self.ready[number] = threads

    def _gather(self, block: Block, number: int, index: Array) -> Array:
        """The threads at a collective that may go on; the others wait for the rest of their block or warp."""
        if number in self.waiting:
            index = np.sort(np.concatenate([self.waiting.pop(number), index]))
        here = np.zeros(self.geometry.threads, bool)
        here[index] = True
        self.launch.here = block.instructions[0]
        complete = self._complete_blocks if block.waits_for == "block" else self._complete_warps
        may_go = complete(block, index, here)
        rest = index[~may_go]
        if rest.size:
            self.waiting[number] = rest
        return index[may_go]

    def _complete_blocks(self, block: Block, index: Array, here: Array) -> Array:
        geometry = self.geometry
        absent = np.zeros(geometry.blocks, bool)
        absent[geometry.block[~self.exited & ~here]] = True
        may_go: Array = ~absent[geometry.block[index]]
        gone = np.zeros(geometry.blocks, bool)
        gone[geometry.block[self.exited]] = True
        left = index[may_go][gone[geometry.block[index[may_go]]]]
        if left.size:
            self.launch.fault(
                "barrier",
                f"bar.sync in block {geometry.block[left[0]]} is not reached by all its threads: "
                "some left the kernel before (undefined in CUDA C++)",
            )
        return may_go

    def _complete_warps(self, block: Block, index: Array, here: Array) -> Array:
        geometry, group = self.geometry, self.geometry.group(index)
        assert block.members is not None
        if group.span is not None:
            values = self.registers.span(group.span)
        else:
            values, _ = self.registers.gather(group, block.use)
        mask = np.broadcast_to(block.members(values), index.shape).astype(np.uint32)
        warp, lane = group.warp, group.lane
        may_go: Array = np.ones(group.size, bool)
        if group.size < geometry.threads - np.count_nonzero(self.exited):
            needed = group.or_in_warp(mask)
            others = (geometry.at >= 0) & ~self.exited[geometry.at] & ~here[geometry.at]
            bits = np.uint32(1) << np.arange(WARP, dtype=np.uint32)
            absent = np.where(others, bits, np.uint32(0)).sum(axis=1, dtype=np.uint32)
            may_go = (needed & absent[warp]) == 0
        inside = ((mask >> lane.astype(np.uint32)) & 1).astype(bool)
        if not inside[may_go].all():
            opcode = block.instructions[0].opcode
            self.launch.fault(
                "lane", f"{opcode}.sync by a thread that its own member mask leaves out"
            )
        return may_go

    def _stuck(self) -> NoReturn:
        number, index = next(iter(self.waiting.items()))
        instruction = self.program.blocks[number].instructions[0]
        raise Fault(
            "deadlock",
            f"{self.program.kernel.name} {instruction.line}: {index.size} threads wait for ever at "
            f"'{instruction.text}' (first: thread {index[0]}); others are at another barrier or in a divergent branch",
        )

    def _account(self, number: int, block: Block, group: Group) -> None:
        stats, length = self.launch.stats, len(block.instructions)
        stats.thread_instructions += group.size * length
        stats.warp_instructions += group.requests * length
        self.ran[number] += group.size
