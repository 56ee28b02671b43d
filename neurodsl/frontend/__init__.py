"""From text to the syntax tree, and back."""

from neurodsl.frontend.parser import parse, parse_expression

__all__ = ["parse", "parse_expression"]
