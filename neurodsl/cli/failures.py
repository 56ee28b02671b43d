"""From exceptions to exit statuses: whose fault it is, what mends it, and no traceback unless the fault is ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from neurodsl.cli.terminal import complain, has_color

DONE, WRONG, USAGE, LACKING, INTERNAL = 0, 1, 2, 3, 70


class UsageError(Exception):
    """The command line asks for something that cannot be; the text says what."""


def guarded(command: Callable[[], int]) -> int:
    """Run a command and turn what it raises into words and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = command()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        return _report(error)


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """What the operating system refuses in a folder that the command line names, or above it, is its fault."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        where = Path(error.filename or folder)
        this, that = where.absolute(), folder.absolute()
        if not (this.is_relative_to(that) or that.is_relative_to(this)):
            raise
        raise UsageError(f"{where}: {error.strerror}") from None


def _report(error: Exception) -> int:
    from neurodsl.diagnostics import CompileError

    if isinstance(error, CompileError):
        from neurodsl.diagnostics.render import render_text

        text = render_text(error.diagnostics, error.sources, color=has_color(sys.stderr))
        sys.stderr.write(text.rstrip("\n") + "\n")
        return WRONG
    status = _expected(error)
    if status is None:
        return _internal(error)
    complain(_OUT_OF_MEMORY if _is_out_of_memory(error) else str(error))
    return status


def _expected(error: Exception) -> int | None:
    """The status of an exception whose own text says all; None if it is a fault of ours."""
    from neurodsl.build import ToolchainError

    if isinstance(error, UsageError | FileExistsError):
        return USAGE
    lacking = isinstance(error, ToolchainError) or _is_out_of_memory(error)
    return LACKING if lacking else None


_OUT_OF_MEMORY = "this machine's memory does not suffice: ask for fewer steps or neurons"


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch has a type of its own for GPUs alone."""
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def _internal(error: Exception) -> int:
    from neurodsl.build import BuildError
    from neurodsl.version import REPORT_TO

    if isinstance(error, BuildError):
        sys.stderr.write(f"{error}\n")
        return INTERNAL
    kept = _keep_traceback(error)
    complain(
        f"{type(error).__name__}: {error}\n"
        f"  This is a fault of neurodsl, not of your program. The traceback is kept in\n"
        f"  {kept}\n"
        f"  Please report it, with that file and your program, at {REPORT_TO}.",
        kind="internal error",
    )
    return INTERNAL


def _keep_traceback(error: Exception) -> str:
    import platform
    import tempfile
    import traceback
    from importlib.metadata import PackageNotFoundError, version

    lines = [f"command: {sys.argv}", f"python: {sys.version}", f"platform: {platform.platform()}"]
    for package in ("neurodsl", "torch", "sympy", "lark"):
        try:
            lines.append(f"{package}: {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package}: not installed")
    lines += ["", *traceback.format_exception(error)]
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="neurodsl-internal-error-", suffix=".txt", delete=False
    ) as file:
        file.write("\n".join(lines))
    return file.name
