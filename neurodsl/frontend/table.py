"""The parser's table, made once: to build it from the grammar takes longer than all else that `neurodsl check` does.

The table is a JSON file beside the grammar. It says which grammar and which version of Lark it was made by, and where
one of them is another, the parser is built from the grammar as if there were no table: the same parser, later.
After a change of the grammar: `python -m neurodsl.frontend.table`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from neurodsl.frontend.blocks import Blocks
from neurodsl.grammar import STARTS, grammar_text, table_path


def load_parser() -> Lark:
    """The parser: from the table where it is current, else from the grammar."""
    try:
        table = json.loads(table_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return build_parser()
    return restore(table) if is_current(table) else build_parser()


def build_parser() -> Lark:
    """The parser, built from the grammar."""
    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="contextual",
        start=list(STARTS),
        postlex=Blocks(),
        keep_all_tokens=True,
        maybe_placeholders=False,
        propagate_positions=False,
    )


def make_table(parser: Lark) -> dict[str, Any]:
    """What `restore` needs, as JSON has it."""
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    data["options"]["postlex"] = None
    table = {"origin": _origin(), "data": data, "memo": memo}
    copy: dict[str, Any] = json.loads(json.dumps(table))
    return copy


def is_current(table: dict[str, Any]) -> bool:
    """Whether a table was made from this grammar, by this Lark."""
    return bool(table.get("origin") == _origin())


def restore(table: dict[str, Any]) -> Lark:
    """The parser of a table. JSON has texts for keys; the parser's are numbers."""
    rows = table["data"]["parser"]["parser"]
    rows["tokens"] = _numbered(rows["tokens"])
    rows["states"] = {int(state): _numbered(row) for state, row in rows["states"].items()}
    parser: Lark = Lark._load_from_dict(  # type: ignore[no-untyped-call]
        table["data"], _numbered(table["memo"]), postlex=Blocks()
    )
    return parser


def _numbered(mapping: dict[str, Any]) -> dict[int, Any]:
    return {int(key): value for key, value in mapping.items()}


def _origin() -> list[str]:
    return [lark.__version__, hashlib.sha256(grammar_text().encode()).hexdigest()]


def _write() -> None:
    text = json.dumps(make_table(build_parser()), separators=(",", ":"), sort_keys=True)
    table_path().write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
