"""What a code means: for `neurodsl explain CODE`, and for the page of the documentation."""

from __future__ import annotations

from neurodsl.diagnostics.catalogue import Entry, all_codes, lookup

_WIDEST = 100
_BOLD, _BLUE = "1", "1;34"

_FAMILIES = {
    "E01": (
        "Syntax",
        "A syntax error is reported alone: what follows it could not be read.",
    ),
    "E02": ("Names", "Which names there are, and what they stand for."),
    "E03": ("Types", "What may be worked out from what."),
    "E04": ("Rules", "What a neuron must have to be one, and what this release leaves out."),
    "W": ("Warnings", "Allowed, and probably not what was meant. They do not stop a compilation."),
}


def explain_code(code: str, color: bool = False) -> str:
    """What a code means: its title, an explanation, a wrong and a right program.

    Raises:
        KeyError: there is no such code.
    """
    entry = lookup(code)
    if entry is None:
        raise KeyError(code)

    def paint(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if color else text

    head = paint(f"{entry.code} ({entry.severity}): {entry.title}", _BOLD)
    parts = [head, _wrapped(entry.explanation)]
    for title, program in (("Wrong:", entry.wrong), ("Right:", entry.right)):
        lines = [f"    {_clamped(line)}".rstrip() for line in program.rstrip("\n").split("\n")]
        parts.append("\n".join([paint(title, _BLUE), "", *lines]))
    return "\n\n".join(parts) + "\n"


def catalogue_markdown() -> str:
    """The page `docs/diagnostics.md`: every code, with a wrong and a right program."""
    parts = [_INTRODUCTION]
    for family, (title, introduction) in _FAMILIES.items():
        entries = [
            entry for code in all_codes() if (entry := lookup(code)) and code.startswith(family)
        ]
        if entries:
            parts.append(f"## {title}\n\n{introduction}")
            parts += [_section(entry) for entry in entries]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """\
# Diagnostics

Every message of the compiler has a code, a place and words. `neurodsl check` shows them; `neurodsl explain E0101` says
what one means, as this page does for all. With `--format json` a program can read them. Errors stop a compilation and
warnings do not. This page is written by the compiler's own catalogue."""


def _section(entry: Entry) -> str:
    wrong, right = (
        "\n".join(_clamped(line) for line in program.rstrip("\n").split("\n"))
        for program in (entry.wrong, entry.right)
    )
    return (
        f"### {entry.code}: {entry.title}\n\n{_wrapped(entry.explanation, 120)}\n\n"
        f"Wrong:\n\n```text\n{wrong}\n```\n\nRight:\n\n```text\n{right}\n```"
    )


def _clamped(line: str) -> str:
    """A line, its middle left out where it is too long to be read."""
    if len(line) <= _WIDEST:
        return line
    half = _WIDEST // 2 - 2
    return f"{line[:half]} … {line[-half:]}"


def _wrapped(text: str, width: int = 90) -> str:
    """Paragraphs, filled; lines that are indented stay as they are."""
    import textwrap

    paragraphs = (paragraph for paragraph in text.strip().split("\n\n"))
    return "\n\n".join(
        paragraph
        if paragraph.startswith(" ")
        else textwrap.fill(paragraph, width, break_long_words=False, break_on_hyphens=False)
        for paragraph in paragraphs
    )
