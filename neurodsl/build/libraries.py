"""Shared libraries and generated modules, from the cache or newly made."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neurodsl.build import cache, ninja, variants
from neurodsl.build.errors import BuildError, ToolchainError
from neurodsl.build.generator_digest import generator_digest
from neurodsl.build.ninja import Edge
from neurodsl.build.toolchain import (
    CXX_REMEDY,
    Compiler,
    cpu_features,
    cpu_fingerprint,
    cxx_compiler,
)

CXX_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-w")
"""For every CPU library. The caller adds what strict results need (the manifest's `flags`)."""

GXX_FLAGS = ("-fno-tree-pre", "-fno-thread-jumps", "--param=max-completely-peel-times=2")
"""For g++: two passes make branches of selections, and loops with branches become no vectors; writing a block's loops
out in full takes a third of the time to compile.
"""

CXX_PROBE = '#include <cmath>\n#include <cstdint>\n#include <cstdlib>\nextern "C" int probe() { return 0; }\n'


def cpu_library(source: str, flags: Sequence[str], *, stem: str) -> Path:
    """The shared library of a C++ text, compiled for this machine or taken from the cache.

    OpenMP's functions are left undefined: whoever loads the library provides the runtime that PyTorch already runs,
    so that there is one pool of threads.

    Args:
        source: the text of one C++ file.
        flags: added to the compiler's command line, after CXX_FLAGS.
        stem: the file is named `lib<stem>.so`.

    Raises:
        ToolchainError: no compiler or no ninja, or the compiler cannot compile anything.
        BuildError: the compiler refused the text.
    """
    compiler = cxx_compiler()
    safe = safe_name(stem)
    part = Part(safe, source, (*_common(compiler), *_native_tuning(), *flags))
    return _library(safe, [part], compiler, cpu_fingerprint())


def portable_library(
    source: str, symbols: Sequence[str], flags: Sequence[str], *, stem: str, once: str = ""
) -> Path:
    """The shared library of a C++ text for every machine of this architecture, made or taken from the cache.

    On x86-64 it holds each kernel for every one of `variants.LEVELS`, and takes the best that the CPU has when it is
    loaded. Elsewhere it holds each once, for the architecture's common instruction set.

    Args:
        source: the text of one C++ file.
        symbols: the C functions that it defines.
        flags: added to the compiler's command line, after CXX_FLAGS.
        stem: the file is named `lib<stem>.so`.
        once: C++ text that is compiled into the library once, beside the kernels.

    Raises:
        ToolchainError: no compiler or no ninja, or the compiler cannot compile anything.
        BuildError: the compiler refused the text.
    """
    compiler = cxx_compiler()
    safe = safe_name(stem)
    options = (*_common(compiler), *flags)
    levels = variants.levels_here()
    if not levels:
        return _library(safe, [Part(safe, source + once, options)], compiler, "portable")
    # the linker keeps the first of equal inline functions: that of the lowest level
    parts = [
        Part(
            f"{safe}.{level.suffix}",
            variants.renaming_text(symbols, level) + source,
            (*options, *level.flags),
        )
        for level in reversed(levels)
    ]
    choice = Part(f"{safe}.choice", variants.choice_text(symbols, levels) + once, options)
    return _library(safe, [*parts, choice], compiler, "portable")


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a library: the name of its file without the suffix, and how it is compiled."""

    name: str
    text: str
    options: tuple[str, ...]


def _library(safe: str, parts: Sequence[Part], compiler: Compiler, cpu: str) -> Path:
    """The library of these parts, linked in this order; they are compiled at once."""
    name = f"lib{safe}.so"

    def make(folder: Path) -> None:
        edges = [
            Edge(
                f"{part.name}.o",
                (f"{part.name}.cpp",),
                (
                    *compiler.command,
                    *part.options,
                    "-c",
                    f"{part.name}.cpp",
                    "-o",
                    f"{part.name}.o",
                ),
            )
            for part in parts
        ]
        objects = tuple(edge.output for edge in edges)
        link = (*compiler.command, "-shared", "-Wl,--as-needed", *objects, "-o", name)
        texts = {f"{part.name}.cpp": part.text for part in parts}
        compile_in(
            folder, texts, [*edges, Edge(name, objects, link)], compiler, (CXX_PROBE, CXX_REMEDY)
        )
        for built in objects:
            (folder / built).unlink()

    listed = [[part.name, part.text, *part.options] for part in parts]
    key = cache.digest("cpu", listed, compiler.command, compiler.version, cpu, name)
    return cache.entry("cpu", key, make) / name


def module_folder(fingerprint: str, generate: Callable[[], dict[str, str]]) -> Path:
    """A folder with the texts that `generate` returns by name; it is called only if the cache has none of this code's.

    Raises:
        CacheError: the folder has to be made, and the cache cannot be written.
    """

    def make(folder: Path) -> None:
        for name, text in generate().items():
            (folder / name).write_bytes(text.encode("utf-8"))

    return cache.entry("modules", cache.digest("module", fingerprint, generator_digest()), make)


def compile_in(
    folder: Path,
    texts: dict[str, str],
    edges: Sequence[Edge],
    compiler: Compiler,
    probe: tuple[str, str],
) -> None:
    """Compile in `folder`. If it fails, find out whose fault it is by compiling next to nothing in the same way."""
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode("utf-8"))
    with _announced(f"compiling {', '.join(texts)} with {compiler.name}"):
        output = ninja.run(folder, edges)
    if output is None:
        return
    probe_text, remedy = probe
    with tempfile.TemporaryDirectory(prefix="neurodsl-probe-") as scratch:
        for place, name in enumerate(texts):
            probe_of_part = probe_text.replace("probe", f"probe_{place}")
            (Path(scratch) / name).write_text(probe_of_part, encoding="utf-8")
        probe_output = ninja.run(Path(scratch), edges)
    if probe_output is not None:
        raise ToolchainError(
            f"{compiler.name} cannot compile even an empty program here; it says:\n{probe_output.strip()}",
            remedy,
        )
    kept = Path(tempfile.mkdtemp(prefix="neurodsl-kept-"))
    (folder / "output.txt").write_text(output, encoding="utf-8")
    shutil.copytree(folder, kept, dirs_exist_ok=True)
    raise BuildError(compiler.name, kept, output)


PATIENCE = 10.0
"""Seconds after which who waits is told what for."""


@contextmanager
def _announced(what: str) -> Iterator[None]:
    """Say so if it takes long."""
    text = f"neurodsl: still {what}; the result is kept for the next time"
    timer = threading.Timer(PATIENCE, lambda: print(text, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _native_tuning() -> list[str]:
    chosen = os.environ.get(variants.VARIABLE, "")
    if chosen and variants.levels_here():
        return [*variants.level_named(chosen, cpu_features()).flags]
    wide = ["-mprefer-vector-width=512"] if "avx512f" in cpu_features() else []
    return ["-march=native", *wide]


def _common(compiler: Compiler) -> tuple[str, ...]:
    """Flags of every level. `-fopenmp-simd` wants no runtime: kernels look for one themselves."""
    own = GXX_FLAGS if compiler.kind == "g++" else ()
    return (*CXX_FLAGS, *own, "-fopenmp-simd")


def safe_name(stem: str) -> str:
    """A file name without anything that a shell, ninja or a compiler could read as its own."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", stem).strip(".") or "kernels"
