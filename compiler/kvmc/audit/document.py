"""A document that is to be there, against one that is: what differs, what is missing, what is beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kvmc.audit import cpulists, xml
from kvmc.audit.difference import Difference

FREE = "*"
"""A value that another check judges: it is to be there. Behind a text, what begins with it."""
OPEN = "?"
"""A value that another check judges, and that may be left out. With a value behind it, what stands is to be that."""


@dataclass(slots=True)
class Want:
    """An element. `key`: the attributes, or the child and its attribute (`mac/address`), that tell it from its like."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    key: tuple[str, ...] = ()
    children: list[Want] = field(default_factory=list)
    skip: bool = False
    """What is below it is not judged."""

    def add(self, tag: str, text: str | None = None, /, **attributes: str) -> Want:
        """Put an element below."""
        return self.keyed(tag, (), text, **attributes)

    def keyed(self, tag: str, key: tuple[str, ...], text: str | None = None, /, **attributes: str) -> Want:
        """Put an element below that has its like beside it."""
        child = Want(tag, attributes, text, key)
        self.children.append(child)
        return child

    def find(self, path: str) -> str | None:
        """The value of a key."""
        *tags, name = path.split("/")
        node: Want | None = self
        for tag in tags:
            node = next((child for child in node.children if child.tag == tag), None) if node else None
        return node.attributes.get(name) if node else None


def compare(want: Want, has: xml.Node) -> Iterator[Difference]:
    """Every difference, each where it is; what is missing at the start tag that it is missing below."""
    yield from _attributes(want, has)
    if want.text not in (None, FREE) and has.text().value != want.text:
        yield Difference(
            has.text().span, f"is to have `{want.text}` as {_shown(has)} and has `{has.text().value[:60]}`"
        )
    if want.skip:
        return
    left = list(has.elements())
    for child in sorted(want.children, key=lambda child: not child.key):
        found = _pick(child, left, [other for other in want.children if other is not child])
        if found is None:
            words = "".join(f" {name}={value}" for name, value in child.attributes.items() if value not in (FREE, OPEN))
            yield Difference(has.span, f"lacks `<{_bare(child.tag)}{words}>` below {_shown(has)}")
            continue
        left.remove(found)
        yield from compare(child, found)
    for extra in left:
        yield Difference(extra.span, f"has {_shown(extra)} below {_shown(has)}, for which nothing asks")


def _pick(want: Want, left: list[xml.Node], others: list[Want]) -> xml.Node | None:
    """The element that is meant: the one with the same key, else the first that is not another's."""
    same = [node for node in left if node.tag == want.tag]
    if not want.key:
        return same[0] if same else None
    for node in same:
        if all(
            _key(node, path) is not None and _equal(want.find(path) or FREE, _key(node, path) or "")
            for path in want.key
        ):
            return node
    theirs = [other for other in others if other.tag == want.tag and other.key]
    for node in same:
        if not any(
            all(_equal(other.find(path) or FREE, _key(node, path) or "") for path in other.key) for other in theirs
        ):
            return node
    return None


def _key(node: xml.Node, path: str) -> str | None:
    *tags, name = path.split("/")
    child = node.child(*tags)
    at = child.attribute(name) if child else None
    return at.value if at else None


def _attributes(want: Want, has: xml.Node) -> Iterator[Difference]:
    for name, value in want.attributes.items():
        at = has.attribute(name)
        if at is None or (value == FREE and not at.value.strip()):
            if not value.startswith(OPEN):
                yield Difference(has.span, f"lacks `{name}{'' if value == FREE else '=' + value}` in {_shown(has)}")
        elif value not in (FREE, OPEN) and not _equal(value.removeprefix(OPEN), at.value):
            yield Difference(
                at.span, f"is to have `{name}={value.removeprefix(OPEN)}` in {_shown(has)} and has `{at.value[:60]}`"
            )
    for name in map(str, has.element.attrib):
        if name not in want.attributes:
            at = has.attribute(name)
            yield Difference(at.span if at else has.span, f"has `{name[:40]}` in {_shown(has)}, for which nothing asks")


def _equal(wanted: str, has: str) -> bool:
    if wanted == has.strip() or (wanted.endswith(FREE) and has.startswith(wanted.removesuffix(FREE))):
        return True
    for read in (_number, cpulists.libvirt_list):
        try:
            return read(wanted) == read(has)
        except ValueError:
            continue
    return False


def _number(text: str) -> int:
    return int(text, 0)


def _shown(node: xml.Node) -> str:
    return f"`<{_bare(node.tag)[:40]}>`"


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]
