"""`python -m neurodsl.tools.roofline.page docs/roofline.md`: works out the page's figures again, between its marks.

What stands between `<!-- figures: NAME -->` and `<!-- end -->` is replaced. Every kernel of the library is compiled for
five architectures: some twenty minutes, less where the cache has them.
"""

from __future__ import annotations

import math
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from neurodsl.library import find, names
from neurodsl.tools.roofline.command import Settings, estimates
from neurodsl.tools.roofline.kernels import compiler_name
from neurodsl.tools.roofline.report import Row, code_table, share_table, time_table
from neurodsl.tools.roofline.sass import LOADS, STORES

GPUS = ("h100", "a100", "b200", "t4", "rtx5090")
DTYPES = ("float32", "float16", "bfloat16", "float64")
_MARK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def library(*chosen: str) -> list[tuple[str, str]]:
    """Names and texts of the library's neurons, or of some."""
    return [found for name in chosen or names() if (found := find(name)) is not None]


def lif_by_dtype() -> str:
    """LIF on an H100."""
    return _both(estimates(library("LIF"), Settings(dtypes=DTYPES)))


def lif_by_gpu() -> str:
    """LIF in float32 on five architectures."""
    return _both(estimates(library("LIF"), Settings(gpus=GPUS)))


def whole_library() -> str:
    """What was asked of the library, and the table."""
    rows = estimates(library(), Settings(gpus=GPUS))
    double = estimates(library(), Settings(dtypes=("float64",)))
    lines = [*_answers(rows), f"Float64 on sm_90 {spills(double)}."]
    table = share_table([row for row in rows if row.gpu_name in GPUS[:3]])
    listed = "\n".join(f"- {line}" for line in lines)
    return f"{listed}\n\n{table.as_markdown()}\nCompiled by {compiler_name()}.\n"


SECTIONS: dict[str, Callable[[], str]] = {
    "dtypes": lif_by_dtype,
    "gpus": lif_by_gpu,
    "library": whole_library,
}


def _both(rows: Sequence[Row]) -> str:
    return f"{code_table(rows).as_markdown()}\n{time_table(rows).as_markdown()}"


def _answers(rows: Sequence[Row]) -> list[str]:
    """Sentences on traffic, accesses, spills, instructions and bytes in flight; the last three on the first GPU."""
    first = [row for row in rows if row.gpu_name == GPUS[0]]
    forward = [row for row in first if row.which != "backward"]
    backward = [row for row in first if row.which == "backward"]
    plain = [row for row in forward if row.which == "forward"]
    return [
        f"Bytes moved over the minimum at T=16, at most: forward {_worst(forward)}; backward {_worst(backward)}.",
        f"Accesses of the loop on sm_90: forward {narrower(forward, 16)}; backward {narrower(backward, 8)}.",
        f"Float32 on five architectures {spills(rows)}.",
        f"Medians on sm_90: forward {_medians(plain)}; backward {_medians(backward)}.",
    ]


def _worst(rows: Sequence[Row]) -> str:
    worst = max(rows, key=lambda row: row.ratio or math.inf)
    if worst.ratio is None:
        return f"not counted ({worst.neuron})"
    return f"{worst.ratio:.3f}" + (f" ({worst.neuron})" if worst.ratio > 1.0005 else "")


def narrower(rows: Iterable[Row], width: int) -> str:
    """Whose loops have an access of fewer bytes."""
    found = [r.neuron for r in rows if min(r.kernel.widths(LOADS, STORES)) < width]
    listed = ", ".join(dict.fromkeys(found))
    return f"all of {width} bytes or more" + (f" but for those of {listed}" if listed else "")


def spills(rows: Iterable[Row]) -> str:
    """Which kernels use local memory, and on which architectures."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.kernel.stack or row.kernel.local:
            found.setdefault(f"{row.neuron} {row.which}", []).append(row.kernel.arch)
    if not found:
        return "spills nothing"
    listed = (f"{name} ({', '.join(dict.fromkeys(archs))})" for name, archs in found.items())
    return "uses local memory in " + ", ".join(listed)


def _medians(rows: Sequence[Row]) -> str:
    instructions = statistics.median(row.limits.instructions for row in rows)
    flight = statistics.median(row.kernel.loop.loads_in_flight for row in rows)
    return f"{instructions:.1f} instructions a neuron-step, {flight:.0f} B in flight"


def _replaced(text: str, name: str, made: str) -> str:
    return _MARK.sub(lambda m: f"{m[1]}\n{made}\n{m[3]}" if m[2] == name else m[0], text)


def main(arguments: Sequence[str]) -> int:
    """Rewrite a page, or some sections of it."""
    path, *chosen = arguments
    page = Path(path)
    text = page.read_text(encoding="utf-8")
    for name in chosen or SECTIONS:
        text = _replaced(text, name, SECTIONS[name]())
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
