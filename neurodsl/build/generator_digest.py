"""What generated texts depend on besides their source: the code that generates them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("neurodsl", "neurodsl.csrc_gen", "neurodsl.grammar")
"""Packages by name: in a working tree the last two do not lie in the first."""

SUFFIXES = (".py", ".lark", ".json", ".neuron")


@lru_cache(maxsize=1)
def generator_digest() -> str:
    """A digest of our code and of SymPy's version.

    A version of ours stands for one code only once it is released: with this in their keys, entries of the cache that
    another state of a working tree has made are not taken for its own.
    """
    return digest_of_folders(map(folder_of, PACKAGES), version("sympy"))


def digest_of_folders(folders: Iterable[Path], *parts: str) -> str:
    """Of the source files below the folders, by name and content, and of the parts: not of dates or places."""
    total = hashlib.sha256(repr(parts).encode())
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return total.hexdigest()[:32]


def folder_of(package: str) -> Path:
    """Where a package's own files lie."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
