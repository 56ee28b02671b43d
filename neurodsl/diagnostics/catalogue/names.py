"""E02: names and what they stand for."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
