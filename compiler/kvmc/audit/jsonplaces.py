"""JSON with places: every value with the text that it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kvmc.audit.source import File, unreadable
from kvmc.diagnostics import Bag, Label, Span
from kvmc.diagnostics.codes import audit as codes

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[^\s,\]}:]+")
_DEPTH = 32
_HEAD = 1
"""Characters of an object or a list that stand for the whole of it: its bracket."""


@dataclass(frozen=True, slots=True)
class Value:
    """`plain`: as `json.loads` gives it. `span`: of an object or a list its first bracket. One of `fields` and `items` may hold
    what is below."""

    plain: object
    span: Span
    fields: dict[str, Value]
    items: tuple[Value, ...]

    def get(self, name: str) -> object:
        return self.fields[name].plain if name in self.fields else None

    def below(self, name: str) -> tuple[Value, ...]:
        return self.fields[name].items if name in self.fields else ()

    def place(self, name: str) -> Span:
        return self.fields[name].span if name in self.fields else self.span


def parse(file: File, bag: Bag) -> Value | None:
    """The document, or None with a finding. A key that stands twice is one."""
    try:
        json.loads(file.text)
        value, _ = _Scanner(file, bag).value(_skip(file.text, 0), 0)
    except (ValueError, RecursionError):
        bag.error(codes.FILE_UNREADABLE, f"`{file.path}` is not JSON", file.head)
        return None
    return value


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


@dataclass(slots=True)
class _Scanner:
    """Walks a text that `json.loads` takes."""

    file: File
    bag: Bag
    decoder: json.JSONDecoder = field(default_factory=json.JSONDecoder)

    def value(self, at: int, depth: int) -> tuple[Value, int]:
        text = self.file.text
        if depth > _DEPTH:
            raise ValueError("too deep")
        if text[at] in "{[":
            return self._container(at, depth)
        if text[at] == '"':
            plain, end = self.decoder.raw_decode(text, at)
        else:
            match = _WORD.match(text, at)
            assert match is not None
            plain, end = json.loads(match[0]), match.end()
        return Value(plain, self.file.span(at, end), {}, ()), end

    def _container(self, start: int, depth: int) -> tuple[Value, int]:
        text, place = self.file.text, self.file.span(start, start + _HEAD)
        fields: dict[str, Value] = {}
        items: list[Value] = []
        at = _skip(text, start + 1)
        while text[at] not in "}]":
            if text[start] == "{":
                key, end = self.decoder.raw_decode(text, at)
                value, after = self.value(_skip(text, _skip(text, end) + 1), depth + 1)
                if key in fields:
                    first = Label(fields[key].span, "first here")
                    self.bag.error(codes.REPEATED, f"`{key[:40]}` is there twice", value.span, secondary=[first])
                fields[key] = value
            else:
                value, after = self.value(at, depth + 1)
                items.append(value)
            at = _skip(text, after)
            at = _skip(text, at + 1) if text[at] == "," else at
        plain: object = (
            {key: value.plain for key, value in fields.items()}
            if text[start] == "{"
            else [value.plain for value in items]
        )
        return Value(plain, place, fields, tuple(items)), at + 1


def texts(value: Value, bag: Bag) -> Iterator[str]:
    """The texts of a list; what is none is a finding."""
    for item in value.items:
        if isinstance(item.plain, str):
            yield item.plain
        else:
            unreadable(bag, item.span, "a text", str(item.plain))
