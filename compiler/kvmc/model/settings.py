"""The one table of the language: its blocks (blocks.py) and their settings (rows_*.py), and the questions asked of it.

It drives checking, defaults, suggestions and the reference page. A new setting is one row and a field of the model; the grammar
does not change.
"""

from __future__ import annotations

from functools import cache

from kvmc.diagnostics import Span
from kvmc.model.blocks import BLOCKS
from kvmc.model.rows_device import DEVICE_ROWS
from kvmc.model.rows_guest import GUEST_ROWS
from kvmc.model.rows_host import HOST_ROWS
from kvmc.model.rows_machine import MACHINE_ROWS
from kvmc.model.table import BlockRow, Row
from kvmc.syntax.parser import parse
from kvmc.syntax.tree import Setting, Value, Word

ROWS: tuple[Row, ...] = (*HOST_ROWS, *GUEST_ROWS, *MACHINE_ROWS, *DEVICE_ROWS)
_NOWHERE = Span("", 0, 0)


@cache
def blocks() -> dict[str, BlockRow]:
    """The blocks by their kind."""
    return {row.name: row for row in BLOCKS}


@cache
def settings(block: str) -> dict[str, Row]:
    """The settings of a block by their name, those of the block that it is like first."""
    like = blocks()[block].like
    own = {row.name: row for row in ROWS if row.block == block}
    return {**settings(like), **own} if like else own


@cache
def children(block: str) -> tuple[BlockRow, ...]:
    """The blocks that may stand in a block; in none, for the empty text."""
    return tuple(row for row in BLOCKS if (block in row.within if block else not row.within))


@cache
def defaults(block: str) -> dict[str, object]:
    """The typed default of each setting of a block; None where there is none."""
    written = _defaults()
    return {
        row.name: row.kind.read(written[row.block, row.name]) if row.default is not None else None
        for row in settings(block).values()
    }


@cache
def _defaults() -> dict[tuple[str, str], Value]:
    """The table's defaults as trees; their spans point nowhere.

    Nearly all are single words, which are their own tree: each start of kvmc pays for this. The others are parsed, in one go.
    """
    written = {(row.block, row.name): row.default for row in ROWS if row.default is not None}
    found: dict[tuple[str, str], Value] = {key: Word(text, _NOWHERE) for key, text in written.items() if text.isalnum()}
    rest = [key for key in written if key not in found]
    file, bag = parse("", "".join(f"{name} = {written[block, name]}\n" for block, name in rest))
    assert file is not None and not bag.has_errors
    values = (item.value for item in file.items if isinstance(item, Setting))
    return {**found, **dict(zip(rest, values, strict=True))}
