"""The kept parse tables are those of the grammar."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import lark
import pytest

from kvmc.syntax import parser
from kvmc.syntax.tables import kept, made
from kvmc_grammar import grammar, tables
from syntax.test_parse import DAMAGED, EXAMPLE


def test_the_tables_are_of_this_grammar() -> None:
    again = "run `python -m kvmc.syntax.tables > grammar/kvmc_grammar/tables.py`"
    assert sha256(grammar().encode()).hexdigest() == tables.GRAMMAR, again
    # A later lark of the same series makes its own tables; kept ones are of the oldest that the project takes.
    assert tables.LARK.startswith("1.3."), again


def test_a_parser_from_kept_tables_reads_as_one_from_the_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [EXAMPLE, *(text for text, _, _ in DAMAGED)]
    found = []
    for source in (made(), kept()):
        monkeypatch.setattr(parser, "_lark", lambda source=source: source)
        found.append([(file, bag.items) for file, bag in (parser.parse("f", text) for text in texts)])
    assert found[0] == found[1]


def test_tables_of_another_lark_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept().source_path == "<deserialized>" or lark.__version__ != tables.LARK
    monkeypatch.setattr(tables, "LARK", "1.3.0.dev0")
    assert kept().source_path != "<deserialized>"


def test_the_grammar_is_small_and_package_data() -> None:
    text = Path(str(files("kvmc_grammar"))) / "kvmt.lark"
    assert text.read_text(encoding="utf-8") == grammar()
    assert len(grammar().splitlines()) < 40
