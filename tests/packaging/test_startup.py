"""`neurodsl check` answers quickly: under three times the wall time of `import lark`, each in a fresh process."""

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
def test_check_takes_under_three_imports_of_lark(tmp_path: Path) -> None:
    (tmp_path / "lif.neuron").write_text(LIF, encoding="utf-8")
    check = "import sys; from neurodsl.cli import main; sys.exit(main(['check', 'lif.neuron']))"
    lark, ours = [], []
    for _ in range(15):
        lark.append(wall_time("import lark", tmp_path))
        ours.append(wall_time(check, tmp_path))
    ratio = sorted(ours)[7] / sorted(lark)[7]
    assert ratio < 3, f"{ratio:.2f} times the wall time of `import lark`"
