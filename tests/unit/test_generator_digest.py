"""A changed compiler does not meet what another state of it has put into the cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from neurodsl.build import libraries
from neurodsl.build.generator_digest import PACKAGES, digest_of_folders, folder_of


def test_contents_and_names_count(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "inner").mkdir(parents=True)
    (here / "printer.py").write_text("OPERATOR = '*'\n")
    (here / "inner" / "rules.lark").write_text("start: WORD\n")
    first = digest_of_folders([here])
    there = tmp_path / "there"
    shutil.copytree(here, there)
    os.utime(there / "printer.py", (0, 0))
    (there / "printer.pyc").write_bytes(b"\0")
    assert digest_of_folders([there]) == first
    assert digest_of_folders([there], "1.13") != first
    (there / "printer.py").write_text("OPERATOR = '/'\n")
    assert digest_of_folders([there]) != first
    shutil.copy(here / "printer.py", there / "printer.py")
    (there / "inner" / "rules.lark").rename(there / "inner" / "other.lark")
    assert digest_of_folders([there]) != first


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_in_it(package: str, tmp_path: Path) -> None:
    folders = {name: folder_of(name) for name in PACKAGES}
    whole = digest_of_folders(folders.values())
    assert (folders[package] / "__init__.py").is_file()
    copied = tmp_path / "copied"
    shutil.copytree(folders[package], copied)
    assert digest_of_folders({**folders, package: copied}.values()) == whole
    (copied / "__init__.py").write_text("# other\n")
    assert digest_of_folders({**folders, package: copied}.values()) != whole


def test_the_cache_makes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODSL_CACHE_DIR", str(tmp_path))
    made = []

    def generate() -> dict[str, str]:
        made.append(1)
        return {"if.py": "x = 1\n"}

    first = libraries.module_folder("fingerprint", generate)
    assert libraries.module_folder("fingerprint", generate) == first
    assert len(made) == 1
    monkeypatch.setattr(libraries, "generator_digest", lambda: "another state of the code")
    assert libraries.module_folder("fingerprint", generate) != first
    assert len(made) == 2
