"""Texts with places: what every reader starts from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from kvmc.diagnostics import Bag, Label, Span
from kvmc.diagnostics.codes import audit as codes

T = TypeVar("T")

_INTEGER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class At(Generic[T]):
    """A value and the place that says it."""

    value: T
    span: Span

    def label(self, text: str = "") -> Label:
        return Label(self.span, text)


@dataclass(frozen=True, slots=True)
class File:
    """One artifact. `path` is below the host's folder; `name` is `<host>/<path>`, as spans carry it."""

    name: str
    path: str
    text: str

    def span(self, start: int, end: int) -> Span:
        return Span(self.name, start, end)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Each line without its newline, with the offset of its first character. Only a newline ends a line."""
        offset = 0
        for line in self.text.split("\n"):
            yield offset, line
            offset += len(line) + 1

    def trimmed(self, offset: int, part: str) -> At[str]:
        """`part`, which begins at `offset`, without the white space around it."""
        text = part.strip()
        start = offset + len(part) - len(part.lstrip()) if text else offset
        return At(text, self.span(start, start + len(text)))

    @property
    def head(self) -> Span:
        """The first line: where a finding on the whole file points."""
        end = self.text.find("\n")
        return self.span(0, len(self.text) if end < 0 else end)


def integer(text: str) -> int | None:
    """A decimal number of at most 18 ASCII digits; None for anything else."""
    text = text.strip()
    return int(text) if _INTEGER.fullmatch(text) else None


def unreadable(bag: Bag, place: Span, what: str, value: str) -> None:
    """A finding for a value that is there and says nothing that we can read."""
    shown = value if len(value) <= 40 else value[:40] + "..."
    bag.error(codes.VALUE_UNREADABLE, f"`{shown}` is not {what}", place)
