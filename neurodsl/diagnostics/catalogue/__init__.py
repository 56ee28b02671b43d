"""The codes of diagnostics: E01 syntax, E02 names, E03 types, E04 rules, E05 imports, W06 warnings."""

from __future__ import annotations

from functools import cache

from neurodsl.diagnostics.catalogue.entry import Entry
from neurodsl.diagnostics.diagnostic import Severity

__all__ = ["Entry", "all_codes", "lookup", "severity_of"]


@cache
def _entries() -> dict[str, Entry]:
    from neurodsl.diagnostics.catalogue import (
        declarations,
        names,
        rules,
        syntax,
        types,
        warnings,
    )

    found: dict[str, Entry] = {}
    for module in (syntax, names, types, rules, declarations, warnings):
        for entry in module.ENTRIES:
            if entry.code in found:
                raise RuntimeError(f"the code {entry.code} stands in the catalogue twice")
            found[entry.code] = entry
    return found


def all_codes() -> tuple[str, ...]:
    """Every code, sorted."""
    return tuple(sorted(_entries()))


def lookup(code: str) -> Entry | None:
    """The entry of a code, in any case; None if there is none."""
    return _entries().get(code.upper())


def severity_of(code: str) -> Severity:
    """A code's severity.

    Raises:
        RuntimeError: the code is not in the catalogue, which is a fault of the compiler.
    """
    entry = _entries().get(code)
    if entry is None:
        raise RuntimeError(f"the diagnostic code {code!r} is not in the catalogue")
    return entry.severity
