"""Writes what was compiled: generated texts, the CPU library, GPU images. Each file appears whole or not at all."""

from __future__ import annotations

import glob
import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodsl.options import Options

if TYPE_CHECKING:
    from neurodsl.driver import Compilation

MARKER = re.compile(r"\b[Gg]enerated by neurodsl\b")
"""Stands near the top of every generated text that can hold a comment."""

LIBRARY_MARKER = "neurodsl_source"
"""A symbol of every CPU library that `--build` makes; its value is the fingerprint of what it was made from."""

_ELF, _ELF_MACHINE_CUDA = b"\x7fELF", 190
_FATBIN = (0xBA55ED50).to_bytes(4, "little")


def write_files(compilation: Compilation, folder: Path, *, force: bool) -> tuple[Path, ...]:
    """Write the generated texts into `folder` (made if missing), and remove libraries built from other texts.

    Raises:
        FileExistsError: a file that neurodsl did not write is in the way, and `force` is not set; or `folder` is a
            file. Nothing is written.
        OSError: the folder cannot be written.
    """
    texts = {folder / (compilation.stem + f.suffix): f.text for f in compilation.files}
    if not force:
        refuse_foreign(texts)
    make_folder(folder)
    changed = [path for path, text in texts.items() if _content(path) != text.encode("utf-8")]
    if changed:
        _remove_stale(folder, compilation.stem)
    for path in changed:
        write_atomically(path, texts[path].encode("utf-8"))
    return tuple(texts)


def build_files(
    compilation: Compilation, folder: Path, options: Options, *, force: bool = False
) -> tuple[Path, ...]:
    """Build the CPU library and what GPUs load for `options.cuda_arch`, into `folder`.

    For GPUs that is one fatbin where nvcc is found, else a cubin an architecture where NVRTC is found, else nothing.

    Raises:
        ToolchainError: there is no C++ compiler, or an architecture that was asked for is not known to nvcc or NVRTC.
        FileExistsError: a library that neurodsl did not build is in the way, and `force` is not set.
    """
    from neurodsl.build import portable_library

    texts = {file.suffix: file.text for file in compilation.files}
    manifest = json.loads(texts[".json"])
    flags: dict[str, list[str]] = manifest["flags"]
    stem = compilation.stem
    mark = _library_mark(compilation.fingerprint)
    library = portable_library(
        texts[".cpp"], cpu_symbols(manifest), flags["cxx"], stem=stem, once=mark
    )
    made = {
        folder / f"lib{stem}.so": library,
        **_gpu_images(texts.get(".cu"), flags["nvcc"], folder, stem, options),
    }
    if not force:
        refuse_foreign(made)
    for path, built in made.items():
        write_atomically(path, built.read_bytes(), executable=path.suffix == ".so")
    return tuple(made)


def cpu_symbols(manifest: dict[str, Any]) -> list[str]:
    """The C functions of the CPU library, in order: each kernel, and its form that takes slots."""
    found: dict[str, None] = {}
    for neuron in manifest["neurons"].values():
        variants = [variant["kernels"] for variant in neuron.get("variants", ())]
        for kernels in (neuron["kernels"], *variants, neuron.get("stencil", ())):
            for entry in kernels:
                if entry["target"] == "cpp":
                    found |= {entry["symbol"]: None, f"{entry['symbol']}_slots": None}
    return list(found)


def _library_mark(fingerprint: str) -> str:
    name = LIBRARY_MARKER
    return f'\nextern "C" {{\nextern const char {name}[];\nconst char {name}[] = "{fingerprint}";\n}}\n'


def _gpu_images(
    source: str | None, flags: list[str], folder: Path, stem: str, options: Options
) -> dict[Path, Path]:
    """Path to write -> path in the cache; nothing where there is neither nvcc nor NVRTC."""
    from neurodsl.build.gpu_images import images_of

    if source is None:
        return {}
    archs, asked = options.cuda_arch, options.cuda_arch != Options().cuda_arch
    made = images_of(source, flags, archs, stem=stem, exactly=asked)
    return {folder / f"{stem}{suffix}": path for suffix, path in made.items()}


def refuse_foreign(paths: Iterable[Path]) -> None:
    """Raise FileExistsError if any of the files exists and neurodsl did not write it."""
    foreign = [str(path) for path in paths if path.exists() and not is_ours(path)]
    if foreign:
        them = "it" if len(foreign) == 1 else "them"
        raise FileExistsError(
            f"neurodsl did not write {', '.join(foreign)}: --force overwrites {them}, "
            "-o DIR writes to another folder"
        )


def is_ours(path: Path) -> bool:
    """Whether neurodsl wrote a file: judged by its content, never by its name alone."""
    content = _content(path)
    if content is None:
        return False
    if path.suffix == ".json":
        return _is_manifest(content)
    if path.suffix == ".fatbin":
        return content.startswith(_FATBIN)
    if content.startswith(_ELF):
        is_cubin = int.from_bytes(content[18:20], "little") == _ELF_MACHINE_CUDA
        return is_cubin if path.suffix == ".cubin" else LIBRARY_MARKER.encode() in content
    return MARKER.search(content[:2000].decode("utf-8", "replace")) is not None


def make_folder(folder: Path) -> None:
    """Make a folder, and those around it, where they are missing.

    Raises:
        FileExistsError: it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: name a folder to write to")
    folder.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Path, content: bytes, *, executable: bool = False) -> None:
    """Write a file by one rename, so that no reader ever sees half of it."""
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:  # of a name that nobody has written
        raise OSError(error.errno, error.strerror, str(path.parent)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(draft, (0o777 if executable else 0o666) & ~mask)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _remove_stale(folder: Path, stem: str) -> None:
    """Libraries of an earlier `--build` do not fit new texts; they would be loaded in their place."""
    cubins = sorted(folder.glob(f"{glob.escape(stem)}.sm_*.cubin"))
    for path in [folder / f"lib{stem}.so", folder / f"{stem}.fatbin", *cubins]:
        if path.exists() and is_ours(path):
            path.unlink()


def _is_manifest(content: bytes) -> bool:
    try:
        manifest = json.loads(content)
    except ValueError:
        return False
    return isinstance(manifest, dict) and "manifest" in manifest and "neurodsl" in manifest


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
