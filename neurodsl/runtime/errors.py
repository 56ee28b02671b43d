"""What goes wrong between a module and its tensors, in words."""

from __future__ import annotations


class StaleGraphError(RuntimeError):
    """Backward reached a state whose graph has been freed by an earlier backward."""


class UnsupportedError(RuntimeError):
    """Something that fused kernels do not do; the text says what does it."""
