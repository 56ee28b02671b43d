"""E04: rules of the language, and what this release does not support."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
