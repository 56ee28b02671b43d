"""From text to the syntax tree, and back."""

from neurodsl.frontend.parser import parse

__all__ = ["parse"]
