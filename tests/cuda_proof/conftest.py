"""At the end of a session: how much was executed. For the product: the share that this machine takes."""

from __future__ import annotations

import os

import pytest

from cuda_proof.checking import EXECUTED
from cuda_proof.faults import FOUND

SHARD = os.environ.get("NEURODSL_PROOF_SHARD", "0/1")
"""`i/n`, i from 0: of the tests that are marked so take the part i of n parts."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "sharded: part of the product that NEURODSL_PROOF_SHARD divides"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    place, count = map(int, SHARD.split("/"))
    product = [item for item in items if item.get_closest_marker("sharded")]
    first, end = len(product) * place // count, len(product) * (place + 1) // count
    left = {*product[:first], *product[end:]}
    if left:
        config.hook.pytest_deselected(items=list(left))
        items[:] = [item for item in items if item not in left]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    line = terminalreporter.write_line
    if EXECUTED["launches"]:
        kernels = sum(key.startswith("kernels: ") for key in EXECUTED)
        kinds = ", ".join(f"{n} {k[3:]}" for k, n in sorted(EXECUTED.items()) if k[:3] == "of ")
        terminalreporter.write_sep("-", "CUDA kernels executed")
        line(
            f"{EXECUTED['launches']} launches ({kinds}) of {kernels} kernels "
            "(neuron, pass, dtype, architecture): all equal to the reference"
        )
    if FOUND:
        terminalreporter.write_sep("-", "faults planted in CUDA kernels")
        found = sum(fault.found for fault in FOUND)
        faults = sum(not fault.equivalent for fault in FOUND)
        line(f"{found} of {faults} found ({found / max(faults, 1):.1%})")
        line(f"{len(FOUND) - faults} more planted changes are no faults, as nothing can tell them")
        for fault in FOUND:
            if not fault.found:
                line(f"  not found: {fault.what}: {fault.reason}")
