"""The function that every kernel calls: it chooses how its threads go through the neurons.

Where there are more neurons than threads, and rows and pointers allow it, a thread takes V neurons beside each other,
else one; both go on by the size of the grid, so that any grid is right.
"""

from __future__ import annotations

from collections.abc import Callable

from neurodsl.csrc_gen.cuda.members import Members
from neurodsl.csrc_gen.writer import Writer


def write_choice(
    writer: Writer,
    members: Members,
    call: Callable[[str, str], str],
    corrected: str,
    packed: str,
    before_single: str = "",
    *,
    fixed: bool = True,
) -> None:
    """The statements that call `<name>_tiles<io, real, neurons, …>`.

    Args:
        writer: is written to.
        members: of the threads.
        call: the statement that runs the threads, of the neurons a thread and the template's other arguments.
        corrected: the condition under which divisors may be corrected reciprocals.
        packed: the condition under which V neurons may move together.
        before_single: a statement for calls of which one neuron a thread would do otherwise.
        fixed: whether there is an instance for the usual values of what kernels are compiled for.
    """
    many = f"a.N > int64_t(gridDim.x) * BLOCK && {packed}"
    many += f" && {corrected}" if corrected else ""
    usual, types = members.usual
    members.write_divisors(writer)
    with writer.block("if constexpr (V > 1) {"), writer.block(f"if ({many}) {{"):
        if usual and fixed:
            writer.line(f"if ({usual}) {call('V', f'false{types}')}")
            writer.line(f"else {call('V', f'false{members.loose}')}")
        else:
            writer.line(call("V", f"false{members.loose}"))
        writer.line("return;")
    if before_single:
        writer.line(before_single)
    writer.line(call("1", f"true{members.loose}"))
