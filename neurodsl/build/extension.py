"""Builds the extension of `neurodsl.native` into the cache; PyTorch is not imported, so that this can run beside it."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from neurodsl.build import cache, ninja
from neurodsl.build.errors import BuildError, CacheError, ToolchainError
from neurodsl.build.ninja import Edge
from neurodsl.build.toolchain import CXX_REMEDY, cpu_fingerprint, cxx_compiler

NAME = "neurodsl_native.so"
SOURCES = ("module.cpp", "plan.h", "node.h", "shortcut.h", "pool.h", "bits.h")
LIBRARIES = ("torch_python", "torch_cpu", "torch", "c10")


@dataclass(frozen=True)
class Extension:
    """Where its texts and PyTorch are, PyTorch's version, and which C++ standard library's ABI it has."""

    folder: Path
    torch: Path
    version: str
    abi: int

    def as_arguments(self) -> list[str]:
        """What `main` takes."""
        return [str(self.folder), str(self.torch), self.version, str(self.abi)]

    def built(self) -> Path | None:
        """The extension, if it is in the cache."""
        folder = cache.root() / "native" / self._key()
        return folder / NAME if cache.is_whole(folder) else None

    def failed(self) -> bool:
        """Whether a build in the background has failed; then none is started again."""
        return self._marker().exists()

    def build(self) -> Path:
        """The extension, built if need be."""
        return cache.entry("native", self._key(), self._make) / NAME

    def build_or_note(self) -> int:
        """Build; leave a mark if that fails."""
        try:
            self.build()
        except (ToolchainError, BuildError, CacheError, OSError) as error:
            self._marker().parent.mkdir(parents=True, exist_ok=True)
            self._marker().write_text(str(error), encoding="utf-8")
            return 1
        return 0

    def _marker(self) -> Path:
        return cache.root() / "native" / f"{self._key()}.failed"

    def _texts(self) -> dict[str, str]:
        return {name: (self.folder / name).read_text(encoding="utf-8") for name in SOURCES}

    def _key(self) -> str:
        python = sysconfig.get_config_var("SOABI")
        what = (self._texts(), self.version, str(self.torch), self.abi, python)
        return cache.digest("native", *what, cpu_fingerprint())

    def _make(self, folder: Path) -> None:
        python = Path(sysconfig.get_paths()["include"])
        if not (python / "Python.h").exists():
            raise ToolchainError(
                f"no headers of Python in {python}", "sudo apt-get install python3-dev"
            )
        compiler = cxx_compiler()
        include = self.torch / "include"
        flags = ["-std=c++20", "-O2", "-march=native", "-fPIC", "-shared", "-w"]
        flags.append(f"-D_GLIBCXX_USE_CXX11_ABI={self.abi}")
        for where in (include, include / "torch" / "csrc" / "api" / "include", python):
            flags.append(f"-I{where}")
        libraries = [f"-L{self.torch / 'lib'}", *(f"-l{name}" for name in LIBRARIES)]
        for name, text in self._texts().items():
            (folder / name).write_text(text, encoding="utf-8")
        command = (*compiler.command, *flags, SOURCES[0], "-o", NAME, *libraries)
        output = ninja.run(folder, [Edge(NAME, SOURCES, command)])
        if output is not None:
            raise ToolchainError(
                f"the C++ call path could not be built; {compiler.name} says:\n{output}", CXX_REMEDY
            )


def main(arguments: list[str]) -> int:
    """Build what the arguments describe."""
    folder, torch, version, abi = arguments
    return Extension(Path(folder), Path(torch), version, int(abi)).build_or_note()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
