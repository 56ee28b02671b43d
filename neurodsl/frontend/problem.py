"""A syntax error on its way from where it is found to the report."""

from __future__ import annotations

from neurodsl.diagnostics.span import Span

Place = Span | tuple[int, int]
"""Where something stands: a span, or offsets (start, end) into the text."""


class SyntaxProblem(Exception):  # noqa: N818 - the user's error, not the compiler's
    """One syntax error; `secondary` holds other places, and what is said there."""

    def __init__(
        self,
        code: str,
        place: Place,
        message: str,
        *,
        label: str = "",
        secondary: tuple[tuple[Place, str], ...] = (),
        help: tuple[str, ...] | str = (),
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.place = place
        self.message = message
        self.label = label
        self.secondary = secondary
        self.help = (help,) if isinstance(help, str) else help
