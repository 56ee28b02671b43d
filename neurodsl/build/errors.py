"""What can go wrong in a build, by whose fault it is: the machine's, or ours."""

from __future__ import annotations

from pathlib import Path

from neurodsl.version import REPORT_TO


class ToolchainError(RuntimeError):
    """This machine lacks something: `message` says what, `remedy` is the command that mends it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message, remedy)

    def __str__(self) -> str:
        return f"{self.message}\n  to mend it: {self.remedy}" if self.remedy else self.message


class CacheError(ToolchainError):
    """The cache folder cannot be written."""


class BuildError(RuntimeError):
    """A compiler refused what we generated: a fault of ours. `kept` is the folder with the text and the output."""

    def __init__(self, tool: str, kept: Path, output: str) -> None:
        self.tool = tool
        self.kept = kept
        self.output = output
        super().__init__(tool, kept, output)

    def __str__(self) -> str:
        shown = "\n".join(f"    {line}" for line in self.output.strip().splitlines()[:40])
        return (
            f"internal error: {self.tool} refused a file that neurodsl generated. This is a fault of neurodsl, "
            f"not of your program.\n{shown}\n  the file and the whole output are kept in {self.kept}\n"
            f"  please report it, with that folder, at {REPORT_TO}"
        )
