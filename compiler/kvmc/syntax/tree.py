"""What the parser gives: blocks and settings with their spans, nothing typed yet."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word or a quoted text. `text` is what it says, without quotes and escapes; `span` covers the quotes too."""

    text: str
    span: Span
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """`N * SIZE`: a number of pages of one size."""

    number: Word
    size: Word
    span: Span


@dataclass(frozen=True, slots=True)
class ListValue:
    """`[a, b]`, in source order."""

    items: tuple[Word | Count, ...]
    span: Span


Value = Word | Count | ListValue


@dataclass(frozen=True, slots=True)
class Setting:
    """`name = value`. `span` runs from the name to the end of the value."""

    name: Word
    value: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Block:
    """`kind label : parent { ... }`; also a line without a body, such as `vm db-1 : pg` or `kvmt 1`.

    `header` runs from the kind to the parent (without the brace), `span` to the closing brace.
    """

    kind: Word
    labels: tuple[Word, ...]
    parent: Word | None
    items: tuple[Setting | Block, ...]
    header: Span
    span: Span


@dataclass(frozen=True, slots=True)
class File:
    """One source file: its name as spans carry it, and its items in source order."""

    name: str
    items: tuple[Setting | Block, ...]
