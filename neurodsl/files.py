"""From a source file to files beside it: `neurodsl.compile_file`, and how imports find their texts."""

from __future__ import annotations

import codecs
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from neurodsl.diagnostics import CompileError, Diagnostic, Report, Span
from neurodsl.driver import Compilation, compile_text
from neurodsl.options import Options


@dataclass(frozen=True, slots=True)
class CompileResult:
    """What `compile_file` made: the written paths, warnings and infos, and seconds a stage."""

    paths: tuple[Path, ...]
    diagnostics: tuple[Diagnostic, ...]
    timings: dict[str, float]
    compilation: Compilation


def disk_loader(importing: str, path: str) -> tuple[str, str]:
    """The text of an imported file; `path` is relative to the folder of the importing one."""
    name = posixpath.normpath(
        posixpath.join(posixpath.dirname(PurePath(importing).as_posix()), path)
    )
    return name, read_source(Path(name))


def read_source(path: Path, name: str | None = None) -> str:
    """A source file's text: UTF-8, with or without a byte order mark. Diagnostics call it `name`, else by its path.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        CompileError: it is not UTF-8.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _not_utf8(content, error.start, name or str(path)) from None


def _not_utf8(content: bytes, at: int, name: str) -> CompileError:
    """What is wrong with the first byte that fits nowhere."""
    before = content[:at].decode("utf-8").removeprefix("\ufeff")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    report = Report(sources={name: content.decode("utf-8", "replace")})
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    report.add(
        "E0102",
        Span(name, line, column, line, column + 1),
        f"the byte 0x{content[at]:02x} is not UTF-8 text",
        label=f"byte {at + 1} of the file",
        help="the file seems to be UTF-16: save it as UTF-8" if utf16 else "save the file as UTF-8",
    )
    return CompileError(tuple(report.diagnostics), report.sources)


def compile_file(
    path: str | os.PathLike[str],
    out_dir: str | os.PathLike[str] | None = None,
    *,
    build: bool = False,
    force: bool = False,
    **options: Any,
) -> CompileResult:
    """Compile a `.neuron` file and write the generated files beside it, or in `out_dir` (made if missing).

    `build` also builds the CPU library and, where nvcc or NVRTC is found, what GPUs load; `force` overwrites files
    that neurodsl did not write. Other keywords are those of `neurodsl.options.Options`.

    Raises:
        CompileError: the program is wrong.
        FileExistsError: a file that neurodsl did not write is in the way.
        ToolchainError: `build` was asked for and there is no C++ compiler.
    """
    from neurodsl.output import write_files

    source = Path(path)
    chosen = Options(**options)
    compilation = compile_text(read_source(source), str(source), chosen, disk_loader)
    folder = Path(out_dir) if out_dir is not None else source.parent
    paths = write_files(compilation, folder, force=force)
    if build:
        from neurodsl.output import build_files

        paths += build_files(compilation, folder, chosen)
    return CompileResult(tuple(paths), compilation.diagnostics, compilation.timings, compilation)
