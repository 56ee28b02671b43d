"""E03: types, levels and arity."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
