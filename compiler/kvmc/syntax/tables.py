"""The grammar's parse tables, made once and kept beside it:

    python -m kvmc.syntax.tables > grammar/kvmc_grammar/tables.py

Making them takes longer than reading a small site. The numbers of the states differ from run to run, what they say does not.
They are used only with the lark that made them; that they are those of the grammar is a test's business, not each run's.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kvmc_grammar import grammar

if TYPE_CHECKING:
    from lark import Lark


def made() -> Lark:
    """The parser, from the grammar's text."""
    from lark import Lark

    return Lark(grammar(), parser="lalr", lexer="basic", maybe_placeholders=False)


def kept() -> Lark:
    """The parser, from the kept tables where they fit."""
    import lark

    from kvmc_grammar import tables

    if lark.__version__ != tables.LARK:
        return made()
    return lark.Lark._load_from_dict(tables.DATA, tables.MEMO)  # type: ignore[no-untyped-call, no-any-return]


def written() -> str:
    """The module that keeps the tables."""
    from hashlib import sha256

    import lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    data, memo = made().memo_serialize([TerminalDef, Rule])
    return f'''"""Parse tables of kvmt.lark, written by kvmc.syntax.tables; a test keeps them true."""

# fmt: off
# ruff: noqa: E501
from typing import Any

LARK = "{lark.__version__}"
GRAMMAR = "{sha256(grammar().encode()).hexdigest()}"
DATA: dict[str, Any] = {data!r}
MEMO: dict[int, Any] = {memo!r}
'''


if __name__ == "__main__":
    sys.stdout.write(written())
