"""Reads the manifest that stands beside a generated module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any


class Manifest(Mapping[str, Any]):
    """A manifest as a mapping, and where its files are; read when it is asked for first."""

    def __init__(self, module_file: str, fingerprint: str) -> None:
        self.module_file = Path(module_file)
        self.fingerprint = fingerprint

    @property
    def stem(self) -> str:
        """The stem of the generated files."""
        return self.module_file.stem

    @cached_property
    def content(self) -> dict[str, Any]:
        """The JSON object.

        Raises:
            FileNotFoundError: the manifest does not stand beside the module.
            ValueError: it belongs to another compilation.
        """
        path = self.module_file.with_suffix(".json")
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.get("fingerprint") != self.fingerprint:
            raise ValueError(f"{path} and {self.module_file.name} are of different compilations")
        return content

    def sibling(self, suffix: str, prefix: str = "") -> Path:
        """Another generated file of the same stem."""
        return self.module_file.with_name(f"{prefix}{self.stem}{suffix}")

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __iter__(self) -> Any:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


def manifest_beside(module_file: str, fingerprint: str) -> Manifest:
    """The manifest of a generated module."""
    return Manifest(module_file, fingerprint)
