"""E01: syntax."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
