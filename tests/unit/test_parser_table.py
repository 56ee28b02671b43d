"""The parser's table: current, the same parser as the grammar's, and never in the way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import lark
import pytest
from neurodsl.grammar import grammar_text, table_path
from neurodsl.grammar.terminals import IN_WORDS, KEYWORDS, RESERVED_WORDS

from neurodsl.frontend import table
from neurodsl.frontend.layout import lay_out

PROGRAMS = sorted((Path(__file__).parents[1] / "invalid").glob("*.neuron"))


def test_the_table_is_current() -> None:
    stored = json.loads(table_path().read_text(encoding="utf-8"))
    assert stored["origin"][1] == table.make_table(table.build_parser())["origin"][1], (
        "run python -m neurodsl.frontend.table"
    )


def test_both_parsers_are_the_same() -> None:
    built = table.build_parser()
    restored = table.restore(table.make_table(table.build_parser()))
    text = lay_out("neuron A(B):\n    input x\n    charge:\n        v = f(x, k=2)^2\n").text
    assert built.parse(text, start="start") == restored.parse(text, start="start")
    for parser in (built, restored):
        with pytest.raises(lark.UnexpectedInput) as error:
            parser.parse("neuron :\n", start="start")
        assert error.value.interactive_parser.accepts() == {"NAME"}


def test_another_lark_or_grammar_makes_the_table_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = table.make_table(table.build_parser())
    assert table.is_current(stored)
    monkeypatch.setattr(lark, "__version__", "0.0.1")
    assert not table.is_current(stored)
    monkeypatch.setattr(table, "table_path", lambda: Path("nowhere.json"))
    assert isinstance(table.load_parser(), lark.Lark)


def test_every_terminal_has_words_and_every_keyword_its_own() -> None:
    terminals = set(re.findall(r"^([A-Z_]+)(?:\.\d)?:", grammar_text(), re.MULTILINE))
    assert set(IN_WORDS) == terminals | {"INDENT", "DEDENT", "$END"}
    assert not [name for name in terminals if name.startswith("__")]
    for name, word in (RESERVED_WORDS | KEYWORDS).items():
        assert re.search(rf"^{name}\.\d: /{word}\(", grammar_text(), re.MULTILINE)


def test_nothing_heavy_is_imported_to_parse() -> None:
    script = (
        "import sys; from neurodsl.diagnostics import Report; from neurodsl.frontend import parse;"
        "assert 'lark' not in sys.modules; parse('neuron A:\\n    input x\\n', 'a', Report());"
        "assert not {'torch', 'sympy', 'numpy', 'interegular', 'regex'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
