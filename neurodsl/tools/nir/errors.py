"""What cannot be said in NIR, or not run here; and the package itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class NIRError(ValueError):
    """Something has no counterpart on the other side; the text says what and why."""


def nir_package() -> Any:
    """The package `nir`.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return import_module("nir")
    except ImportError as error:
        raise ImportError(f"NIR needs the package nir ({error}): pip install nir") from error
