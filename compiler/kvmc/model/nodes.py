"""Blocks with typed values: what the schema pass gives and what inheritance merges."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from kvmc.diagnostics import Label, Span
from kvmc.model.settings import defaults
from kvmc.model.table import BlockRow
from kvmc.syntax.tree import Word


class Unknown(Enum):
    """Stands for a value that was set and could not be read: what depends on it is not judged."""

    VALUE = "unknown"


UNKNOWN = Unknown.VALUE


@dataclass(frozen=True, slots=True)
class Given:
    """A value that the source sets. span: name to value. at: the value. parts: its items, for a list. block: `class pg`."""

    value: object
    span: Span
    at: Span
    parts: tuple[Span, ...]
    block: str


@dataclass(slots=True)
class Node:
    """A block. `top` is the top-level block that it stands in, as artifacts name it; children are by kind and label.

    complete: False where a parent is missing or broken, so that what is not set here cannot be called missing.
    """

    row: BlockRow
    name: str
    label: Span
    header: Span
    top: str
    parent: Word | None = None
    values: dict[str, Given] = field(default_factory=dict)
    children: dict[tuple[str, str], Node] = field(default_factory=dict)
    complete: bool = True
    word: str = ""
    """The label before its name: which relation a `place` is."""

    def get(self, name: str) -> object:
        """The value, else its default, else None; UNKNOWN where it was set and could not be read."""
        given = self.values.get(name)
        if given is not None:
            return given.value
        return defaults(self.row.name)[name]

    def labelled(self, kind: str) -> dict[str, Node]:
        """The blocks of one kind by label."""
        return {label: node for (found, label), node in self.children.items() if found == kind}

    def place(self, name: str, text: str = "") -> Label:
        """A label at the setting, or at the header of the block that has its default."""
        given = self.values.get(name)
        return Label(given.span if given else self.header, text)


Tables = dict[str, dict[str, Node]]
"""Top-level blocks by kind and name, in source order."""
