"""A domain's XML by meaning: order, spacing, comments, units and spellings of sets and numbers do not count."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kvmc.audit import cpulists, xml

Canonical = tuple[object, ...]
"""An element: its tag, its attributes, its text, its children, the last sorted."""

_SETS = frozenset({"cpuset", "nodeset", "vcpus", "cpus"})
_HEXADECIMAL = frozenset({"domain", "bus", "slot", "function", "chassis", "port"})
_SIZES = frozenset({"memory", "size"})
_NUMBER = re.compile(r"[0-9]{1,18}")
_UNITS = {name: 1024**power for power, letter in enumerate("KMGTPE", 1) for name in (letter, f"{letter}iB")}
_UNITS |= {"b": 1, "bytes": 1, "k": 1024, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_LISTS: tuple[str, ...] = ("cputune", "numatune", "memoryBacking", "features", "os", "cpu", "devices", "clock", "pm")
"""What is compared child by child."""

_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "vcpupin": (("vcpu",),),
    "iothreadpin": (("iothread",),),
    "memnode": (("cellid",),),
    "controller": (("type",), ("index",)),
    "disk": (("target", "dev"),),
    "interface": (("mac", "address"),),
    "hostdev": tuple(("source", "address", part) for part in ("bus", "slot", "function", "uuid")),
    "feature": (("name",),),
    "timer": (("name",),),
}
"""What tells elements of one name apart: each a path that ends with an attribute."""


def element(node: xml.Node) -> Canonical:
    unit = node.get("unit", "KiB")
    attributes: list[tuple[str, object]] = []
    for name, value in node.element.attrib.items():
        key = str(name)
        if key != "unit":
            attributes.append((key, _attribute(key, str(value), unit)))
    text: object = (node.element.text or "").strip()
    if node.tag in ("memory", "currentMemory", "maxMemory") and isinstance(text, str):
        text = _size(text, unit)
    elif node.tag == "uuid":
        text = str(text).lower().replace("-", "")
    else:
        text = _number(str(text))
    children = sorted(map(element, _children(node)), key=repr)
    return node.tag, tuple(sorted(attributes, key=repr)), text, tuple(children)


def _children(node: xml.Node) -> list[xml.Node]:
    return [xml.Node(node.file, child, node.places) for child in node.element if isinstance(child.tag, str)]


def _attribute(name: str, value: str, unit: str) -> object:
    if name in _SETS:
        return _parsed(cpulists.libvirt_list, value)
    if name in _HEXADECIMAL:
        return _parsed(lambda text: int(text, 0), value)
    if name in _SIZES:
        return _size(value, unit)
    return value.lower() if name == "address" else _number(value)


def _parsed(parse: Callable[[str], object], value: str) -> object:
    try:
        return parse(value)
    except ValueError:
        return value


def _number(value: str) -> object:
    return int(value) if _NUMBER.fullmatch(value) else value


def _size(text: str, unit: str) -> object:
    """In bytes."""
    return int(text) * _UNITS[unit] if _NUMBER.fullmatch(text) and unit in _UNITS else f"{text} {unit}"


Parts = dict[tuple[str, ...], list[Canonical]]


def parts(root: xml.Node) -> Parts:
    """The domain in parts that can be compared one by one: container, tag, and what tells the element apart -> its meanings."""
    found: Parts = {}
    for node in _children(root):
        if node.tag not in _LISTS:
            found.setdefault(("", node.tag), []).append(element(node))
            continue
        bare = ("<" + node.tag + ">",)
        attributes = tuple(sorted(node.element.attrib.items()))
        found.setdefault(bare, []).append((node.tag, attributes))
        for inner in _children(node):
            found.setdefault((node.tag, inner.tag, *key_of(inner)), []).append(element(inner))
    return {key: sorted(values, key=repr) for key, values in found.items()}


def key_of(node: xml.Node) -> tuple[str, ...]:
    """What tells an element from others of its name."""
    found = []
    for *path, name in _KEYS.get(node.tag, ()):
        place = node.child(*path) if path else node
        value = place.get(name) if place else ""
        found.append(str(_attribute(name, value, "KiB")))
    return tuple(found)


def without(meaning: Canonical, *tags: str) -> Canonical:
    """An element's meaning without some of its children."""
    tag, attributes, text, children = meaning
    assert isinstance(children, tuple)
    return tag, attributes, text, tuple(child for child in children if child[0] not in tags)


@dataclass(frozen=True, slots=True)
class Holds:
    """Elements of one kind; another definition holds them if each is in one of its own, with what libvirt adds."""

    meanings: tuple[Canonical, ...]

    def within(self, other: object) -> bool:
        return isinstance(other, Holds) and all(
            any(_within(one, there) for there in other.meanings) for one in self.meanings
        )


def _within(wanted: Canonical, there: Canonical) -> bool:
    tag, attributes, text, children = wanted
    other_tag, other_attributes, other_text, other_children = there
    assert isinstance(attributes, tuple) and isinstance(children, tuple)
    assert isinstance(other_attributes, tuple) and isinstance(other_children, tuple)
    return (
        tag == other_tag
        and set(attributes) <= set(other_attributes)
        and text in ("", other_text)
        and all(any(_within(one, other) for other in other_children) for one in children)
    )
