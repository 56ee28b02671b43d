"""A content-addressed cache on disk, safe under parallel builds.

    <root>/<kind>/<key>/        an entry: its files, and entry.json with their sizes and digests, written last
    <root>/locks/<key>.lock     held while an entry is made
    <root>/making/              entries in the making; they become visible by one rename

A key is a digest of everything that the content depends on, so entries are never updated. An entry that is not what
its entry.json says (a full disk, a crash, a curious editor) is thrown away and made again.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from neurodsl.build.errors import CacheError
from neurodsl.version import __version__

ENTRY = "entry.json"
CACHE_REMEDY = "export NEURODSL_CACHE_DIR=/a/folder/that/you/can/write"
LAYOUT = "1"
"""Changed when the layout of entries changes: part of every key."""


def digest(*parts: object) -> str:
    """A key: the digest of all that the content depends on, with our version."""
    content = json.dumps([LAYOUT, __version__, *parts], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def root() -> Path:
    """The cache folder: NEURODSL_CACHE_DIR, else the user's cache folder (need not exist yet)."""
    chosen = os.environ.get("NEURODSL_CACHE_DIR", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("neurodsl", appauthor=False))


def entry(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of an entry. If it is missing or broken, `make` fills an empty folder that becomes it.

    Raises:
        CacheError: the entry has to be made, and the cache folder cannot be written.
    """
    folder = root() / kind / key
    if is_whole(folder):
        return folder
    base = _writable_root()
    folder = base / kind / key
    with _locked(base, key):
        if not is_whole(folder):
            _make(base, folder, make)
    return folder


def is_whole(folder: Path) -> bool:
    """Whether an entry is there and its files are what was written."""
    try:
        listed = json.loads((folder / ENTRY).read_bytes())
        return bool(listed) and all(
            _signature(folder / name) == sign for name, sign in listed.items()
        )
    except (OSError, ValueError, AttributeError):
        return False


def _signature(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _make(base: Path, folder: Path, make: Callable[[Path], None]) -> None:
    making = base / "making"
    making.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name[:12]}-", dir=making))
    try:
        make(draft)
        files = sorted(path for path in draft.iterdir() if path.is_file())
        listed = {path.name: _signature(path) for path in files}
        (draft / ENTRY).write_text(json.dumps(listed, indent=1), encoding="utf-8")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            folder.rename(making / f"{draft.name}-broken")
            shutil.rmtree(making / f"{draft.name}-broken", ignore_errors=True)
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _locked(base: Path, key: str) -> Iterator[None]:
    from filelock import FileLock

    locks = base / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{key}.lock"):
        yield


def _writable_root() -> Path:
    """The cache folder if it can be written; else, where the user did not choose it, one for this process."""
    base = root()
    try:
        check_writable()
        return base
    except OSError as error:
        if os.environ.get("NEURODSL_CACHE_DIR"):
            raise CacheError(
                f"the cache folder {base} (from NEURODSL_CACHE_DIR) cannot be written: {error.strerror}",
                CACHE_REMEDY,
            ) from error
        return _process_root(base)


def check_writable() -> None:
    """Make the cache folder if it is missing, and write into it; OSError if that fails."""
    folder = root()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


@lru_cache
def _process_root(unwritable: Path) -> Path:
    """A folder that lives as long as this process, with one warning."""
    warnings.warn(
        f"the cache folder {unwritable} cannot be written: what is compiled now is forgotten at exit "
        "(set NEURODSL_CACHE_DIR to keep it)",
        RuntimeWarning,
        stacklevel=2,
    )
    folder = Path(tempfile.mkdtemp(prefix="neurodsl-cache-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
