"""INDENT and DEDENT: what the white space after each line end means. The layout pass has checked it."""

from __future__ import annotations

from collections.abc import Iterator

from lark import Token
from lark.lark import PostLex


class Blocks(PostLex):
    """Puts INDENT and DEDENT into the stream of tokens, after the NEWLINE of the line before."""

    always_accept = ("NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The stream with INDENT and DEDENT in it; blocks that are open at the end are closed."""
        levels = [0]
        for token in stream:
            yield token
            if token.type != "NEWLINE":
                continue
            indent = len(token) - len(token.rstrip(" "))
            if indent > levels[-1]:
                levels.append(indent)
                yield Token.new_borrow_pos("INDENT", "", token)
            while indent < levels[-1]:
                levels.pop()
                yield Token.new_borrow_pos("DEDENT", "", token)
