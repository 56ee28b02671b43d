"""A fake driver for each test, in place of the machine's; generated modules with their kernels built for the host."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo.trace_rules
from fake_cuda.faked import FakeCuda, Pretence, build
from numerics.launching import SHIM, cuda_kernels

from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find
from neurodsl.options import Options
from neurodsl.output import write_files
from neurodsl.runtime import custom_ops
from neurodsl.runtime.cuda import loading


@dataclass
class Generated:
    """The files of a source, and its CUDA kernels as a library of the host."""

    folder: Path
    stem: str
    manifest: dict[str, Any]
    shim: Path

    def module(self) -> Any:
        """The generated module, imported anew."""
        path = self.folder / f"{self.stem}.py"
        spec = importlib.util.spec_from_file_location(self.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


Generate = Callable[..., Generated]


def host_library(source: str, manifest: dict[str, Any], folder: Path) -> Path:
    """The kernels for the host, compiled quickly: what is launched here is small."""
    symbols = sorted(entry["symbol"] for entry in cuda_kernels(manifest))
    launchers = "".join(f"CUDA_SHIM_KERNEL({symbol})\n" for symbol in symbols)
    path, library = folder / "kernels.cpp", folder / "kernels.so"
    path.write_text(f'#include "cuda_shim.h"\n{source}\n{launchers}', encoding="utf-8")
    flags = ["-std=c++17", "-O0", "-ffp-contract=off", "-fPIC", "-shared", f"-I{SHIM}", "-w"]
    subprocess.run(["g++", *flags, str(path), "-o", str(library)], check=True)
    return library


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="session")
def _sources(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Generated]:
    return {}


@pytest.fixture
def generate(
    _sources: dict[Any, Generated], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Generate:
    """Compile a neuron of the library, or a text, with options; the kernels are built for the host once a session."""

    def made(name: str, text: str | None = None, **options: Any) -> Generated:
        key = (name, text, tuple(sorted(options.items())))
        if key not in _sources:
            folder = tmp_path_factory.mktemp(name)
            found = find(name) if text is None else (f"<text>/{name.lower()}.neuron", text)
            assert found is not None
            compilation = compile_text(found[1], found[0], Options(**options), disk_loader)
            write_files(compilation, folder, force=True)
            manifest = json.loads((folder / f"{compilation.stem}.json").read_text())
            source = (folder / f"{compilation.stem}.cu").read_text()
            shim = host_library(source, manifest, folder)
            _sources[key] = Generated(folder, compilation.stem, manifest, shim)
        kept = _sources[key]
        for suffix in (".py", ".json", ".cpp", ".cu"):
            file = kept.folder / f"{kept.stem}{suffix}"
            (tmp_path / file.name).write_bytes(file.read_bytes())
        return Generated(tmp_path, kept.stem, kept.manifest, kept.shim)

    return made


@pytest.fixture
def install(
    _built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., FakeCuda]:
    """Put a fake driver with some devices in place of the machine's."""

    def made(devices: int = 1, capability: int = 90) -> FakeCuda:
        fake = FakeCuda(_built, tmp_path, devices, capability)
        monkeypatch.setenv("NEURODSL_CUDA_DRIVER", str(fake.path))
        # torch.compile finds PyTorch's functions by identity: it must not learn them while they are replaced
        torch._dynamo.trace_rules.get_torch_obj_rule_map()
        monkeypatch.setattr(torch.cuda, "current_stream", fake.current_stream)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(loading, "_libraries", {})
        monkeypatch.setattr(custom_ops, "_kernels", {})
        return fake

    return made


@pytest.fixture
def fake(install: Callable[..., FakeCuda]) -> FakeCuda:
    """A fake driver with one device."""
    return install()


@pytest.fixture(autouse=True)
def pretence(monkeypatch: pytest.MonkeyPatch) -> Pretence:
    """Tensors asked for on a GPU are made on the CPU."""
    return Pretence(monkeypatch)


@pytest.fixture
def loaded(generate: Generate, fake: FakeCuda) -> Callable[..., Any]:
    """A module with a fatbin beside it that the fake driver takes, its kernels run on the host."""

    def made(name: str, text: str | None = None, **options: Any) -> Any:
        generated = generate(name, text, **options)
        fatbin = generated.folder / f"{generated.stem}.fatbin"
        fatbin.write_bytes(fake.image(generated.shim))
        fake.describe(generated.manifest)
        return generated.module()

    return made
