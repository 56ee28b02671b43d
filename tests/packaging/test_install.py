"""The wheel and the editable install, each in a fresh virtual environment that borrows what neurodsl depends on."""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAPPED = {"neurodsl": "neurodsl", "grammar": "neurodsl/grammar", "csrc_gen": "neurodsl/csrc_gen"}
"""Where each folder of the tree stands when installed."""

LOOK = """
import importlib.resources, json, neurodsl, neurodsl.csrc_gen.backend, neurodsl.grammar
print(json.dumps({
    "neurodsl": neurodsl.__file__,
    "grammar": neurodsl.grammar.__file__,
    "backend": neurodsl.csrc_gen.backend.__file__,
    "lark": sum(p.name.endswith(".lark") for p in importlib.resources.files("neurodsl.grammar").iterdir()),
}))
"""


def run(*command: object, folder: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what packaging reads, so that building leaves nothing behind in the real one."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in MAPPED:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
    run(*pip, "-w", out, tree)
    (found,) = out.glob("neurodsl-*.whl")
    return found


def environment(folder: Path) -> Path:
    """A virtual environment without neurodsl; torch and the rest come from this one, by a .pth file."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    borrowed = {
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
        *site.getsitepackages(),
    }
    purelib = next((folder / "lib").glob("python*")) / "site-packages"
    (purelib / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return folder


def install(folder: Path, *what: object) -> Path:
    """Install into an environment with this one's pip; returns its site-packages."""
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps")
    run(*pip, "--no-index", "--no-build-isolation", "--ignore-installed", *what)
    return next((folder / "lib").glob("python*")) / "site-packages"


def test_wheel_holds_exactly_the_tree(wheel: Path) -> None:
    expected = {
        f"{target}/{path.relative_to(ROOT / source).as_posix()}"
        for source, target in MAPPED.items()
        for path in (ROOT / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = zipfile.ZipFile(wheel).namelist()
    found = {name for name in names if ".dist-info/" not in name}
    assert found == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_works_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    packages = install(environment(tmp_path / "env"), wheel)
    seen = run(tmp_path / "env/bin/python", "-c", LOOK, folder=tmp_path)
    assert str(packages / "neurodsl" / "csrc_gen" / "backend.py") in seen
    assert '"lark": 1' in seen
    tops = {path.name for path in packages.iterdir()}
    assert not tops & {"grammar", "csrc_gen"}
    check_commands(tmp_path / "env", tmp_path)


def test_editable_install_works_in_a_fresh_environment(tree: Path, tmp_path: Path) -> None:
    packages = install(environment(tmp_path / "env"), "-e", tree)
    seen = run(tmp_path / "env/bin/python", "-c", LOOK, folder=tmp_path)
    assert str(tree / "csrc_gen" / "backend.py") in seen
    assert '"lark": 1' in seen
    tops = {path.stem for path in packages.iterdir()}
    assert not tops & {"grammar", "csrc_gen"}
    check_commands(tmp_path / "env", tmp_path)


def check_commands(env: Path, folder: Path) -> None:
    """The console script, from a folder that is not the tree."""
    import neurodsl

    command = env / "bin" / "neurodsl"
    assert run(command, "--version", folder=folder).strip() == f"neurodsl {neurodsl.__version__}"
    run(command, "check", "LIF", folder=folder)
    written = run(command, "compile", "LIF", "-o", "out", folder=folder)
    assert "lif.py" in written
    assert (folder / "out" / "lif.cpp").is_file()
