"""Imports run one way through the house, from grammar and diagnostics to the command line."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "neurodsl": ROOT / "neurodsl",
    "neurodsl.grammar": ROOT / "grammar",
    "neurodsl.csrc_gen": ROOT / "csrc_gen",
}

ALLOWED: dict[str, tuple[str, ...]] = {
    "version": (),
    "options": (),
    "grammar": (),
    "diagnostics": ("version",),
    "frontend": ("grammar", "diagnostics"),
    "matrix_functions": (),
    "sema": ("diagnostics", "frontend", "library", "matrix_functions"),
    "symbolic": ("diagnostics", "sema", "ir"),
    "ir": ("diagnostics", "sema", "symbolic"),
    "csrc_gen": ("sema", "ir"),
    "driver": (
        "version",
        "options",
        "diagnostics",
        "frontend",
        "sema",
        "ir",
        "csrc_gen",
    ),
    "build": ("version",),
    "native": ("build",),
    "memory": ("native",),
    "runtime": ("version", "build", "matrix_functions", "native", "memory"),
    "files": ("options", "diagnostics", "driver", "output"),
    "output": ("options", "build", "driver"),
    "loading": ("options", "driver", "files", "library", "build"),
    "library": ("loading",),
}
"""What each part may import, itself apart. `cli` and `tools` stand on top of it all; `tools` does not import `cli`."""

ONLY_IN = {"sympy": ("symbolic",), "lark": ("frontend",)}
"""Packages that one part alone may import. torch is imported by the runtime and by tools."""

CSRC_GEN_READS = ("ir.nodes", "ir.kernel_plan", "ir.contracted", "sema.model", "sema.builtins")


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            yield name, path


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module: str) -> str:
    """`ir` of `neurodsl.ir.nodes`; `` for the package itself."""
    return ([*module.split("."), ""])[1]


def test_imports_run_one_way() -> None:
    wrong = []
    for name, path in modules():
        part = part_of(name)
        if part in ("", "__main__", "cli", "tools"):
            continue
        for imported in imports(path):
            if not imported.startswith("neurodsl."):
                continue
            target = part_of(imported)
            if target not in (part, *ALLOWED[part]):
                wrong.append(f"{name} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_tools_do_not_import_the_command_line() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules()
        if part_of(name) == "tools"
        for imported in imports(path)
        if part_of(imported) == "cli" and imported.startswith("neurodsl.")
    ]
    assert not wrong, "\n".join(wrong)


def test_csrc_gen_knows_the_ir_and_the_model_alone() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules()
        if part_of(name) == "csrc_gen"
        for imported in imports(path)
        if imported.startswith(("neurodsl.ir", "neurodsl.sema"))
        and not any(f"{imported}.".startswith(f"neurodsl.{known}.") for known in CSRC_GEN_READS)
        and imported not in ("neurodsl.ir", "neurodsl.sema")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", sorted(ONLY_IN))
def test_heavy_packages_have_one_home(package: str) -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules()
        for imported in imports(path)
        if imported.split(".")[0] == package
        and part_of(name) not in ONLY_IN[package]
        and part_of(name) != "tools"
    ]
    assert not wrong, "\n".join(wrong)


def test_torch_stays_out_of_the_compiler() -> None:
    wrong = [
        name
        for name, path in modules()
        if part_of(name)
        not in ("runtime", "native", "memory", "tools", "library", "loading", "build")
        for imported in imports(path)
        if imported.split(".")[0] == "torch"
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("command", ["check LIF", "explain E0201", "list"])
def test_quick_commands_import_neither_torch_nor_sympy(command: str, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom neurodsl.cli import main\n"
        f"status = main({command.split()!r})\n"
        "heavy = {'torch', 'sympy'} & set(sys.modules)\n"
        "assert status == 0, status\nassert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_generated_modules_need_no_compiler_stage(tmp_path: Path) -> None:
    """A folder that was built elsewhere is imported and run without lark, sympy or a compiler."""
    command = ["compile", "LIF", "--build", "--cuda-arch", "sm_90", "-o", "out"]
    compile = f"import sys; from neurodsl.cli import main; sys.exit(main({command}))"
    run = (
        "import sys\nsys.path.insert(0, 'out')\n"
        "sys.modules['sympy'] = sys.modules['lark'] = None\n"
        "import torch, lif\nnode = lif.LIF(backend='fused')\n"
        "assert node(torch.ones(4, 2, 3)).shape == (4, 2, 3)\n"
    )
    bare = {**os.environ, "PATH": "", "CXX": "no-such-compiler"}
    bare.pop(
        "NEURODSL_NATIVE", None
    )  # 1 would ask for the call path in C++, which wants a compiler
    for program, environment in ((compile, dict(os.environ)), (run, bare)):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
