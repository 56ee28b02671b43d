"""A test that needs a GPU and finds none fails, in a sentence: a day on a GPU that skips its tests proves nothing."""

from __future__ import annotations

import pytest
import torch

NO_DEVICE = (
    "no CUDA device: tests marked gpu need one, and torch.cuda.is_available() is False "
    "(`neurodsl bench --device cuda` says why); without a GPU leave -m gpu out"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "large: needs some 40 GB of memory on the device")


def needs_device(item: pytest.Item) -> bool:
    return item.get_closest_marker("gpu") is not None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    if needs_device(item) and not torch.cuda.is_available():
        pytest.fail(NO_DEVICE, pytrace=False)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where nothing else was asked for, one sentence does for all."""
    asked = session.items and all(needs_device(item) for item in session.items)
    if asked and not torch.cuda.is_available() and not session.config.option.collectonly:
        pytest.exit(f"{NO_DEVICE}; {len(session.items)} tests were not run", returncode=1)
