"""`docs/settings.md`, written from the table: `python -m kvmc.model.reference > docs/settings.md`."""

from __future__ import annotations

import sys

from kvmc.model.blocks import BLOCKS
from kvmc.model.settings import ROWS
from kvmc.model.table import BlockRow, Row

_HEAD = """# Blocks and settings

Written from the tables in `compiler/kvmc/model/rows_*.py`; a test keeps it so.

The first line of each file is the language version, `kvmt 1`. `import "file.kvmt"`, outside of blocks, takes in another file: its
path is relative to the importing file and stays below the folder of the site file. `import "std/NAME.kvmt"` takes in a file of
classes of the standard library, which comes with kvmc.

A block is `KIND NAME : PARENT { ... }`, or the same line without `{ ... }`. A setting is `name = value` and ends with its line.
A name has letters, digits, `.`, `_` and `-`, begins with a letter or a digit, and has at most 63 characters. `#` begins a comment.
Texts with other characters stand in double quotes, where `\\"` and `\\\\` are the only escapes.
"""


def reference() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *(_block(row) for row in BLOCKS)])


def _block(row: BlockRow) -> str:
    usage = " ".join((row.name, *row.labels)) + (f" [: {row.parents.upper()}]" if row.parents else "")
    lines = [f"## {row.name}", "", f"`{usage}`" + (_within(row)), "", row.doc]
    if row.like:
        lines += ["", f"Has all settings and blocks of `{row.like}`."]
    inner = [f"`{block.name}`" for block in BLOCKS if row.name in block.within]
    if inner:
        lines += ["", f"Blocks in it: {', '.join(inner)}."]
    rows = [setting for setting in ROWS if setting.block == row.name]
    if rows:
        lines += ["", "| setting | value | default | example | since | |", "|---|---|---|---|---|---|"]
        lines += [_row(setting) for setting in rows]
    return "\n".join(lines) + "\n"


def _within(row: BlockRow) -> str:
    return f", in {' and '.join(f'`{name}`' for name in row.within)}" if row.within else ""


def _row(row: Row) -> str:
    default = f"`{row.default}`" if row.default is not None else "required" if row.required else "none set"
    cells = (f"`{row.name}`", row.kind.words, default, f"`{row.name} = {row.example}`", row.since, row.doc)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
