"""Whether a picture can be written where the command line wants it: asked before the run that it shows."""

from __future__ import annotations

from pathlib import Path

from neurodsl.cli.failures import UsageError

SUFFIXES = (".png", ".pdf", ".svg")


def refuse_picture(flag: str, path: Path) -> None:
    """Stop before the run.

    Raises:
        UsageError: the folder is missing, or the name does not end as that of a picture.
    """
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{flag} {path}: there is no such folder")
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        raise UsageError(f"{flag} {path}: name a file that ends in {', '.join(SUFFIXES)}")
