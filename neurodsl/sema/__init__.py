"""What a program means: names, types, inheritance and imports resolved, every check of the language."""

from __future__ import annotations

from neurodsl.sema.analysis import analyse

__all__ = ["analyse"]
