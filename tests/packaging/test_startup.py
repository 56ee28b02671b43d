"""Start-up in fresh processes, as multiples of `import lark`: `check` under 3, `compile` under 10."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

LIF = """\
neuron LIF:
    input  x
    output s

    param tau = 2.0 in (1, inf)
    state v = 0.0

    charge:
        dv/dt = (x - v) / tau

    fire:
        s = spike(v - 1.0, atan(alpha=2.0))

    reset:
        v = 0.0 if s else v
"""


def wall_time(script: str, folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


@pytest.mark.full
@pytest.mark.parametrize(
    ("command", "limit"), [(["check"], 3), (["compile", "-o", "out", "--force"], 10)]
)
def test_a_command_takes_few_imports_of_lark(
    command: list[str], limit: float, tmp_path: Path
) -> None:
    (tmp_path / "lif.neuron").write_text(LIF, encoding="utf-8")
    arguments = [*command, "lif.neuron"]
    script = f"import sys; from neurodsl.cli import main; sys.exit(main({arguments!r}))"
    lark, ours = [], []
    for _ in range(15):
        lark.append(wall_time("import lark", tmp_path))
        ours.append(wall_time(script, tmp_path))
    ratio = sorted(ours)[7] / sorted(lark)[7]
    assert ratio < limit, f"{ratio:.2f} times the wall time of `import lark`"
