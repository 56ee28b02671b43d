"""W: what is allowed and probably not meant."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
