"""The language's surface: its grammar, the table made from it, and the words for its terminals."""

from __future__ import annotations

from pathlib import Path

STARTS = ("start", "lone_expression")
"""The symbols that a text may be: a file, or one expression."""


def grammar_text() -> str:
    """The grammar, `neuron.lark`."""
    return _folder().joinpath("neuron.lark").read_text(encoding="utf-8")


def table_path() -> Path:
    """Where the parser's table lies that was made from the grammar; `neurodsl.frontend.table` reads and writes it."""
    return _folder() / "neuron.json"


def _folder() -> Path:
    return Path(__file__).parent
