"""`neurodsl compile`: write the generated files, and the libraries if asked for, and print what was written."""

from __future__ import annotations

import argparse
import keyword
import sys
from importlib.util import find_spec
from pathlib import Path

from neurodsl.cli.failures import DONE, WRONG, UsageError, writing_to
from neurodsl.cli.parser import options_of
from neurodsl.cli.reports import print_diagnostics
from neurodsl.cli.sources import Source, read
from neurodsl.cli.terminal import complain
from neurodsl.diagnostics import CompileError
from neurodsl.options import Options


def run(arguments: argparse.Namespace) -> int:
    """Compile every file; one that is wrong does not keep the others from being written."""
    options = Options(**options_of(arguments))
    sources, status = _read_all(arguments.files)
    _refuse_clashes(sources, arguments.out)
    for source in sources:
        try:
            _compile(source, arguments.out or source.folder, options, arguments)
        except CompileError as error:
            print_diagnostics(error.diagnostics, error.sources, sys.stderr)
            status = WRONG
    return status


def _read_all(files: list[str]) -> tuple[list[Source], int]:
    """The sources that are text, and the exit status so far."""
    sources, status = [], DONE
    for file in files:
        try:
            sources.append(read(file))
        except CompileError as error:
            print_diagnostics(error.diagnostics, error.sources, sys.stderr)
            status = WRONG
    return sources, status


def _compile(source: Source, folder: Path, options: Options, arguments: argparse.Namespace) -> None:
    from neurodsl.driver import compile_text
    from neurodsl.files import disk_loader
    from neurodsl.output import build_files, write_files

    compilation = compile_text(source.text, source.name, options, disk_loader)
    print_diagnostics(compilation.diagnostics, compilation.sources, sys.stderr)
    warn_of_stem(compilation.stem, folder)
    with writing_to(folder):
        paths = write_files(compilation, folder, force=arguments.force)
        _say_written(paths)
        if arguments.build:
            _say_written(build_files(compilation, folder, options, force=arguments.force))
            _say_without_gpu_images()


def _say_written(paths: tuple[Path, ...]) -> None:
    for path in paths:
        print(f"wrote {path}", flush=True)


def _say_without_gpu_images() -> None:
    from neurodsl.build.nvrtc import find_nvrtc
    from neurodsl.build.toolchain import NVCC_REMEDY, NVRTC_REMEDY, find_nvcc

    if find_nvcc() is None and find_nvrtc() is None:
        complain(
            "neither nvcc nor NVRTC found, so nothing was made for GPUs; to mend it: "
            f"{NVRTC_REMEDY}   or: {NVCC_REMEDY}",
            kind="note",
        )


def _refuse_clashes(sources: list[Source], out: Path | None) -> None:
    """Two sources must not write the same files."""
    seen: dict[Path, str] = {}
    for source in sources:
        target = (out or source.folder).absolute() / source.stem
        if target in seen:
            raise UsageError(f"{seen[target]} and {source.name} would both write {target}.py")
        seen[target] = source.name


def warn_of_stem(stem: str, folder: Path) -> None:
    """Warn where `<stem>.py` cannot be imported by its name, or would hide another module."""
    if not stem.isidentifier() or keyword.iskeyword(stem):
        complain(
            f"{stem}.py cannot be imported: {stem!r} is no name in Python; rename the source",
            kind="warning",
        )
    elif _hides_a_module(stem, folder):
        complain(
            f"{stem}.py hides the module {stem!r} from programs in its folder; rename the source",
            kind="warning",
        )


def _hides_a_module(stem: str, folder: Path) -> bool:
    if stem in sys.stdlib_module_names:
        return True
    try:
        found = find_spec(stem)
    except (ImportError, ValueError):
        return False
    if found is None or found.origin is None:
        return found is not None and bool(found.submodule_search_locations)
    return Path(found.origin).parent.resolve() != folder.resolve()
