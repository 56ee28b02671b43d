"""What FILE on the command line means: a file, or a neuron of the library."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from neurodsl.cli.failures import UsageError
from neurodsl.driver import stem_of


@dataclass(frozen=True, slots=True)
class Source:
    """A program's text, the name that diagnostics call it by, and where its files are written by default."""

    name: str
    text: str
    folder: Path

    @property
    def stem(self) -> str:
        """The stem of the files that are written for it."""
        return stem_of(self.name)


def read(argument: str) -> Source:
    """The source that FILE means: an existing file, or what looks like a path, is a file; else a library name.

    Raises:
        UsageError: there is no such file and no such library neuron.
        CompileError: the file is not UTF-8.
    """
    if not argument.strip():
        raise UsageError("FILE is empty: name a file, or a neuron of the library")
    path = Path(argument)
    if path.exists() or "/" in argument or ".neuron" in argument:
        return _read_file(path, argument)
    from neurodsl.library import find

    found = find(argument)
    if found is None:
        raise UsageError(f"{_unknown(argument)} (`neurodsl list` shows the library)")
    name, text = found
    return Source(name, text, Path())


def loadable(argument: str) -> str | Path:
    """FILE as `neurodsl.load` takes it: a path that exists, or a library name.

    Raises:
        UsageError, CompileError: as `read`.
    """
    read(argument)
    path = Path(argument)
    return path if path.exists() else argument


def _read_file(path: Path, argument: str) -> Source:
    from neurodsl.files import read_source

    try:
        return Source(argument, read_source(path, argument), path.parent)
    except IsADirectoryError:
        raise UsageError(f"{argument} is a folder: name a file") from None
    except OSError as error:
        raise UsageError(f"{argument}: {error.strerror}") from None


def _unknown(argument: str) -> str:
    from neurodsl.library import names

    close = difflib.get_close_matches(argument.lower(), [n.lower() for n in names()], n=1)
    exact = [name for name in names() if name.lower() in close]
    hint = f"; did you mean {exact[0]}?" if exact else ""
    return f"there is no file and no library neuron {argument!r}{hint}"
