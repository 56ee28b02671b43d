"""A neuron of the library: its CUDA text, its manifest, and its eager class."""

from __future__ import annotations

import importlib.util
import inspect
import json
import tempfile
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find
from neurodsl.options import Options

SUFFIXES = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}


class Subject:
    """A compiled neuron."""

    def __init__(self, name: str) -> None:
        found = find(name)
        assert found is not None, name
        result = compile_text(found[1], found[0], Options(), disk_loader)
        self.name, self.stem = name, result.stem
        self.texts = {file.suffix: file.text for file in result.files}
        self.source = self.texts[".cu"]
        self.manifest: dict[str, Any] = json.loads(self.texts[".json"])
        self.described: dict[str, Any] = self.manifest["neurons"][name]
        lists = [self.described["kernels"]]
        lists += [variant["kernels"] for variant in self.described.get("variants", ())]
        self.entries = {
            e["symbol"]: e for entries in lists for e in entries if e["target"] == "cuda"
        }
        self.exact = not self.described["functions"]
        """Whether its forward pass calls nothing that libraries compute each in their own way."""

    def entry(self, which: str, dtype: str) -> dict[str, Any] | None:
        """The manifest's entry of a kernel, by the end of its symbol: `forward`, `backward_detached`, …"""
        return self.entries.get(f"{self._prefix}_{which}_{SUFFIXES[dtype]}")

    @cached_property
    def _prefix(self) -> str:
        ending = "_forward_f32"
        return next(s.removesuffix(ending) for s in self.entries if s.endswith(ending))

    @cached_property
    def eager(self) -> Any:
        """The generated class."""
        folder = Path(tempfile.mkdtemp(prefix="cuda_proof_"))
        for suffix in (".py", ".json"):
            (folder / f"{self.stem}{suffix}").write_text(self.texts[suffix], encoding="utf-8")
        spec = importlib.util.spec_from_file_location(
            f"cuda_proof_{self.stem}", folder / f"{self.stem}.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _ = module.__manifest__.content
        return getattr(module, self.name)

    @cached_property
    def dt(self) -> float:
        """The default time step."""
        return float(inspect.signature(self.eager.__init__).parameters["dt"].default)


@cache
def subject(name: str) -> Subject:
    """A neuron of the library, compiled once."""
    return Subject(name)
