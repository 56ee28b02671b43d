"""At the end of a session: how much was executed. For the product: the share that this machine takes."""

from __future__ import annotations

import os

import pytest

from cuda_proof.checking import EXECUTED

SHARD = os.environ.get("NEURODSL_PROOF_SHARD", "0/1")
"""`i/n`: of the tests of the product take those whose place is i modulo n."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "sharded: part of the product that NEURODSL_PROOF_SHARD divides"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    place, count = map(int, SHARD.split("/"))
    product = [item for item in items if item.get_closest_marker("sharded")]
    left = {item for at, item in enumerate(product) if at % count != place}
    if left:
        config.hook.pytest_deselected(items=list(left))
        items[:] = [item for item in items if item not in left]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = EXECUTED
    if counts["launches"]:
        kernels = sum(key.startswith("kernels: ") for key in counts)
        kinds = ", ".join(f"{n} {k[3:]}" for k, n in sorted(counts.items()) if k[:3] == "of ")
        terminalreporter.write_sep("-", "CUDA kernels executed")
        terminalreporter.write_line(
            f"{counts['launches']} launches ({kinds}) of {kernels} kernels "
            "(neuron, pass, dtype, architecture): all equal to the reference"
        )
