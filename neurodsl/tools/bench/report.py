"""The results of a run as tables: who took how long, and how far from the limit that is."""

from __future__ import annotations

from neurodsl.tools.bench.first_call import CompileTime
from neurodsl.tools.bench.measure import Result, Row
from neurodsl.tools.bench.tables import Table, duration, size

SHOWN = ("forward", "forward_backward", "forward_backward_alone")
COLUMNS = (
    "",
    "forward",
    "x fused",
    "fwd+bwd",
    "x fused",
    "alone",
    "x fused",
    "saved B",
    "beside x",
)


def tables_of(result: Result) -> tuple[Table, Table]:
    """The contestants' table and the limits' table of one neuron on one shape."""
    return contestants_table(result), limits_table(result)


def contestants_table(result: Result) -> Table:
    """Medians, multiples of the fused kernels' time, saved bytes a neuron-step, and what compiling took."""
    fused, relu = result.fused, result.relu
    compiled = any(row.compile_seconds is not None for row in result.rows)
    rows = tuple(_cells(row, fused, compiled) for row in result.rows)
    ratios = [
        f"{words} {getattr(fused, name).median / getattr(relu, name).median:.2f}"
        for words, name in (
            ("forward", "forward"),
            ("forward + backward", "forward_backward"),
            ("forward alone", "forward_alone"),
            ("forward + backward alone", "forward_backward_alone"),
        )
    ]
    columns = (*COLUMNS, "compiles") if compiled else COLUMNS
    return Table(_title(result), columns, rows, (f"fused / ReLU: {', '.join(ratios)}",))


def limits_table(result: Result) -> Table:
    """Counted bytes, the limit that follows, the time taken and the share reached."""
    beside = result.beside
    rows = tuple(
        (
            limit.what,
            size(limit.bytes),
            duration(limit.limit),
            duration(limit.seconds),
            f"{limit.reached:.2f}",
            f"{limit.of_copy:.2f}",
        )
        for limit in result.limits
    )
    copies = ", ".join(
        f"{name} {duration(time.median)}" + (" (best)" if name == beside.best_copy else "")
        for name, time in beside.copies.items()
    )
    empty = ", ".join(f"{name} {duration(time.median)}" for name, time in beside.empty.items())
    notes = (
        f"copies into existing memory: {copies}; {beside.bandwidth / 1e9:.1f} GB/s without the call",
        f"empty calls: {empty}",
    )
    columns = ("counted limit", "bytes", "limit", "taken", "reached", "of copy's B/s")
    return Table(_title(result), columns, rows, notes)


def compile_note(time: CompileTime | None, file: str) -> str:
    """One line on what compiling a file takes."""
    if time is None:
        return f"{file}: no compile time (no C++ compiler was found)"
    return f"{file} from nothing: text to module {duration(time.text)}, its CPU library {duration(time.library)}"


def _cells(row: Row, fused: Row, compiled: bool) -> tuple[str, ...]:
    cells = [row.contestant]
    for name in SHOWN:
        seconds, base = getattr(row, name).median, getattr(fused, name).median
        cells += [duration(seconds), f"{seconds / base:.2f}"]
    cells += [f"{row.saved:.2f}", f"{row.saved_beside_inputs:.2f}"]
    if compiled:
        cells.append("" if row.compile_seconds is None else duration(row.compile_seconds))
    return tuple(cells)


def _title(result: Result) -> str:
    return f"{result.neuron}, {result.steps} steps x {result.neurons} neurons, {result.dtype}"
