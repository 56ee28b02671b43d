"""Whether this machine has the memory that a command line asks for."""

from __future__ import annotations

import os

from neurodsl.cli.failures import UsageError


def refuse_beyond_memory(what: str, wanted: int) -> None:
    """Stop before a run whose tensors cannot fit.

    Raises:
        UsageError: `wanted` bytes are more than this machine has.
    """
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return
    if wanted > there:
        raise UsageError(
            f"{what} takes about {wanted / 1e9:.3g} GB, and this machine has {there / 1e9:.3g}"
        )
