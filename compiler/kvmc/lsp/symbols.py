"""Names across all files of a site: where each is defined and where it is used. From the trees, so that errors hide nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kvmc.diagnostics import Span
from kvmc.model.kinds import ListOf, elements
from kvmc.model.settings import blocks, settings
from kvmc.model.texts import Ref
from kvmc.syntax.tree import Block, Count, File, Setting, Word

_NAMED = frozenset({"site", "platform", "pool", "host", "devices", "network", "storage", "class", "vm", "place"})
"""Kinds of blocks whose names mean one thing in the whole site."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name of one kind. All device pools of one name are one symbol: a guest may get a function of any of them."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place of a symbol. block: what it names, for a definition."""

    symbol: Symbol
    word: Word
    block: Block | None = None


def occurrences(files: Iterable[File]) -> tuple[Occurrence, ...]:
    """All of them, in the order of the files and within each in source order."""
    return tuple(one for file in files for item in file.items for one in _item(item, ""))


def at(found: Iterable[Occurrence], file: str, offset: int) -> Occurrence | None:
    """The occurrence that covers a place, its end included."""
    return next(
        (one for one in found if one.word.span.file == file and one.word.span.start <= offset <= one.word.span.end),
        None,
    )


def _item(item: Setting | Block, within: str) -> Iterator[Occurrence]:
    if isinstance(item, Setting):
        row = settings(within).get(item.name.text) if within else None
        kind = row.kind.item if row and isinstance(row.kind, ListOf) else row.kind if row else None
        if isinstance(kind, Ref):
            for part in elements(item.value):
                if not isinstance(part, Count):
                    yield Occurrence(Symbol(kind.kind, part.text), part)
        return
    row_of = blocks().get(item.kind.text)
    if row_of is None:
        return
    if item.kind.text in _NAMED and len(item.labels) >= len(row_of.labels) > 0:
        word = item.labels[len(row_of.labels) - 1]
        yield Occurrence(Symbol(item.kind.text, word.text), word, item)
    if item.parent is not None and row_of.parents:
        yield Occurrence(Symbol(row_of.parents, item.parent.text), item.parent)
    for inner in item.items:
        yield from _item(inner, item.kind.text)


def enclosing(file: File, offset: int) -> tuple[Setting | Block, ...]:
    """The items that cover a place, outermost first."""
    path: list[Setting | Block] = []
    items: tuple[Setting | Block, ...] = file.items
    while True:
        inner = next((one for one in items if one.span.start <= offset <= one.span.end), None)
        if inner is None:
            return tuple(path)
        path.append(inner)
        items = inner.items if isinstance(inner, Block) else ()


def span_of(word: Word) -> Span:
    """The name within the word: without its quotes."""
    span = word.span
    return Span(span.file, span.start + 1, span.end - 1) if word.quoted else span
