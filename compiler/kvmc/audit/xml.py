"""XML with places: lxml reads the values, a scan of the text tells where they stand.

No document type, no entities of its own, no network, bounded in size; depth is bounded by libxml2 (256).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kvmc.audit.source import At, File
from kvmc.diagnostics import Bag, Span
from kvmc.diagnostics.codes import audit as codes

if TYPE_CHECKING:
    from lxml.etree import _Element

_TAG = re.compile(r"<([^\s/>]+)")
_ATTRIBUTE = re.compile(r"\s+([^\s=/>]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_SKIPPED = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))


@dataclass(slots=True)
class Place:
    """Offsets of one element: its start tag, each attribute's value, and the text up to the next tag."""

    start: int
    end: int
    attributes: dict[str, tuple[int, int]] = field(default_factory=dict)
    text: tuple[int, int] = (0, 0)


def _places(text: str) -> list[Place] | str:
    """The start tags in document order, or what kind of markup we refuse. The text need not be well-formed."""
    found: list[Place] = []
    at = text.find("<")
    while at >= 0:
        closing = next((end for start, end in _SKIPPED if text.startswith(start, at)), None)
        if closing is not None:
            end = text.find(closing, at + 2)
            end = len(text) if end < 0 else end + len(closing)
        elif text.startswith("<!", at):
            return "a document type"
        elif text.startswith("</", at):
            end = at + 2
        else:
            tag = _TAG.match(text, at)
            end = at + 1
            if tag is not None:
                place = Place(at, tag.end())
                end = tag.end()
                while (attribute := _ATTRIBUTE.match(text, end)) is not None:
                    place.attributes[attribute[1]] = attribute.span(2 if attribute[2] is not None else 3)
                    end = attribute.end()
                close = text.find(">", end)
                end = len(text) if close < 0 else close + 1
                place.end = end
                stop = text.find("<", end)
                place.text = (end, len(text) if stop < 0 else stop)
                found.append(place)
        at = text.find("<", end)
    return found


@dataclass(frozen=True, slots=True)
class Node:
    """An element with its place."""

    file: File
    element: _Element
    places: dict[_Element, Place]

    @property
    def tag(self) -> str:
        return str(self.element.tag)

    @property
    def span(self) -> Span:
        """The start tag."""
        place = self.places[self.element]
        return self.file.span(place.start, place.end)

    def attribute(self, name: str) -> At[str] | None:
        value = self.element.get(name)
        if value is None:
            return None
        place = self.places[self.element]
        return At(value, self.file.span(*place.attributes.get(name, (place.start, place.end))))

    def get(self, name: str, default: str = "") -> str:
        value = self.element.get(name)
        return default if value is None else value

    def text(self) -> At[str]:
        """The text before the first child, trimmed."""
        start, end = self.places[self.element].text
        place = self.file.trimmed(start, self.file.text[start:end]).span
        return At((self.element.text or "").strip(), place if place.end > place.start else self.span)

    def children(self, name: str) -> Iterator[Node]:
        for child in self.element.iterchildren(name):
            yield Node(self.file, child, self.places)

    def elements(self) -> Iterator[Node]:
        """All elements directly below."""
        for child in self.element:
            if child in self.places:
                yield Node(self.file, child, self.places)

    def child(self, *path: str) -> Node | None:
        """The first element down the path."""
        node: Node | None = self
        for name in path:
            node = next(node.children(name), None) if node is not None else None
        return node

    def all(self, *path: str) -> Iterator[Node]:
        """Every element down the path."""
        if not path:
            yield self
            return
        for child in self.children(path[0]):
            yield from child.all(*path[1:])


def fragment(text: str) -> _Element | None:
    """One element on its own; None where it is none, or has a document type or an entity."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True)
    try:
        return None if "<!" in text else etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def parse(file: File, bag: Bag) -> Node | None:
    """The root, or None with a finding."""
    from lxml import etree

    places = _places(file.text)
    if isinstance(places, str):
        bag.error(codes.FILE_UNREADABLE, f"`{file.path}` has {places}, which no artifact needs", file.head)
        return None
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True
    )
    try:
        root = etree.fromstring(file.text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        line = getattr(problem, "lineno", None) or 1
        bag.error(
            codes.FILE_UNREADABLE, f"`{file.path}` is not well-formed XML", _line(file, line), notes=[_reason(problem)]
        )
        return None
    elements = list(root.iter(etree.Element))
    if len(elements) != len(places):
        bag.error(codes.FILE_UNREADABLE, f"`{file.path}` has markup that the audit does not follow", file.head)
        return None
    return Node(file, root, dict(zip(elements, places, strict=True)))


def _line(file: File, number: int) -> Span:
    """A line by its number from 1, without the white space around it; the last one where there are fewer."""
    lines = list(file.lines())
    offset, line = lines[min(number, len(lines)) - 1]
    return file.trimmed(offset, line).span


def _reason(problem: Exception) -> str:
    """libxml2's words without the position, which the span tells."""
    return str(problem).split(", line ")[0][:200]
