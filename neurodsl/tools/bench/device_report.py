"""The results of a run on a device as tables: times from Python and in graphs, and shares of the copy's bandwidth."""

from __future__ import annotations

from neurodsl.tools.bench.contestants import COPY
from neurodsl.tools.bench.device_result import DeviceResult, DeviceRow
from neurodsl.tools.bench.tables import Table, duration, size
from neurodsl.tools.bench.timing import Spread

TIME_COLUMNS = (
    "",
    "forward",
    "in a graph",
    "x fused",
    "fwd+bwd",
    "in a graph",
    "x fused",
    "launches",
)
MEMORY_COLUMNS = ("", "forward", "fwd+bwd", "saved B", "beside x", "peak B", "equal")


def device_tables(result: DeviceResult) -> tuple[Table, Table]:
    """The table of times, and the table of bandwidth and memory, of one neuron on one shape."""
    return times_table(result), bandwidth_table(result)


def times_table(result: DeviceResult) -> Table:
    """Medians; multiples of the fused kernels' time are those of graphs where both have one."""
    fused = result.fused
    compiled = any(row.compile_seconds is not None for row in result.rows)
    rows = tuple(_times(row, fused, compiled) for row in result.rows)
    columns = (*TIME_COLUMNS, "compiles") if compiled else TIME_COLUMNS
    where = "memory" if result.beyond_cache else "L2: all inputs fit it"
    notes = [f"{result.sets} sets of buffers in turn, so this measures {where}", *result.notes]
    if result.clocks:
        notes.append(", ".join(f"{name} {value}" for name, value in result.clocks.items()))
    return Table(_title(result), columns, rows, tuple(notes))


def bandwidth_table(result: DeviceResult) -> Table:
    """Counted bytes a second over the copy's, and bytes a neuron-step."""
    rows = tuple(
        (
            row.contestant,
            f"{result.share(row, 'forward'):.2f}",
            f"{result.share(row, 'forward_backward'):.2f}",
            f"{row.saved:.2f}",
            f"{row.saved_beside_inputs:.2f}",
            f"{row.peak:.2f}",
            "" if row.equal is None else f"{row.equal:.6f}",
        )
        for row in result.rows
    )
    traffic, copy = result.traffic, result.row(COPY)
    notes = (
        f"counted bytes: forward {size(traffic.forward)}, forward + backward "
        f"{size(traffic.forward_backward)} (kernels in {traffic.counted_in})",
        f"the copy: {size(traffic.copy)} in {duration(copy.best('forward'))}, "
        f"{result.bandwidth / 1e9:.1f} GB/s",
    )
    title = f"{_title(result)}: bytes over time as a share of the copy's, memory a neuron-step"
    return Table(title, MEMORY_COLUMNS, rows, notes)


def _times(row: DeviceRow, fused: DeviceRow, compiled: bool) -> tuple[str, ...]:
    cells = [row.contestant]
    for name in ("forward", "forward_backward"):
        plain: Spread = getattr(row, name)
        graph: Spread | None = getattr(row, f"{name}_graph")
        base: Spread | None = getattr(fused, f"{name}_graph")
        if graph is not None and base is not None:
            ratio = graph.median / base.median
        else:
            ratio = plain.median / getattr(fused, name).median
        cells += [duration(plain.median), "" if graph is None else duration(graph.median)]
        cells.append(f"{ratio:.2f}")
    overhead = row.launch_overhead
    cells.append("" if overhead is None else duration(max(overhead, 0.0)))
    if compiled:
        cells.append("" if row.compile_seconds is None else duration(row.compile_seconds))
    return tuple(cells)


def _title(result: DeviceResult) -> str:
    return f"{result.neuron}, {result.steps} steps x {result.neurons} neurons, {result.dtype}"
