"""Two domains by meaning, walked whole: every attribute and text of either is the same in the other, or is a difference.

Elements are told apart by what makes them what they are (a disk by its source, a NIC by its MAC), so that order says nothing where
libvirt reads none; those of other names by their place among their like. A difference is told at the top-most element that only
one of the two has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kvmc.adopt.reasons import reason
from kvmc.model.cpuset import CpuSet

if TYPE_CHECKING:
    from lxml.etree import _Element

NOTHING = ""
"""What the side says that has no such element or attribute."""
_UNITS = {name: 1024**power for power, letter in enumerate("KMGTPE", 1) for name in (letter, f"{letter}iB")}
_UNITS |= {"b": 1, "bytes": 1, "k": 1024, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZED_TEXT = frozenset({"memory", "currentMemory", "maxMemory", "hard_limit", "soft_limit", "swap_hard_limit", "size"})
_SETS = frozenset({"cpuset", "nodeset", "cpus", "vcpus"})
_HEXADECIMAL = frozenset({"domain", "bus", "slot", "function", "chassis", "port", "controller", "target", "unit"})
_SECRET = frozenset({"passwd", "password"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which the two differ. path: below `domain`, with what tells elements apart in brackets. original, built: what
    each says; empty where it has no such thing."""

    path: str
    original: str
    built: str
    reason: str

    @property
    def added(self) -> bool:
        """The original said nothing there."""
        return self.original == NOTHING


def differences(original: _Element, built: _Element) -> list[Difference]:
    """All of them, in the order of the original, then what only the built one has."""
    found: list[Difference] = []
    _compare(original, built, "", found)
    return found


def leaves(root: _Element) -> Iterator[str]:
    """The path of each element and attribute, as `differences` names them."""
    pending: list[tuple[str, _Element]] = [("", root)]
    while pending:
        path, element = pending.pop()
        yield path
        yield from (f"{path}{name}" for name in _says(element) if name)
        pending += [(f"{path}/{key}".lstrip("/"), child) for key, child in children(element).items()]


def _compare(one: _Element, other: _Element, path: str, found: list[Difference]) -> None:
    mine, theirs = _says(one), _says(other)
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        if mine.get(name) != theirs.get(name):
            left, right = _shown(name, one, mine), _shown(name, other, theirs)
            found.append(Difference(f"{path}{name}", left, right, reason(f"{path}{name}", left, right)))
    below, beside = children(one), children(other)
    for key in [*below, *(key for key in beside if key not in below)]:
        here = f"{path}/{key}".lstrip("/")
        if key in below and key in beside:
            _compare(below[key], beside[key], here, found)
            continue
        left = brief(below[key]) if key in below else NOTHING
        right = brief(beside[key]) if key in beside else NOTHING
        found.append(Difference(here, left, right, reason(here, left, right)))


def children(parent: _Element) -> dict[str, _Element]:
    """Children by name and what tells them apart."""
    found: dict[str, _Element] = {}
    for child in parent.iterchildren("*"):
        key = f"{name(child)}{_key(child)}"
        place = 2
        unique = key
        while unique in found:
            unique = f"{key}#{place}"
            place += 1
        found[unique] = child
    return found


def name(element: _Element) -> str:
    """The tag, one of another namespace with the last part of that."""
    space, _, tag = str(element.tag).rpartition("}")
    return f"{space.rstrip('/').rsplit('/', 2)[-2]}:{tag}" if space.startswith("{http") else tag


def _key(element: _Element) -> str:
    """In brackets; empty for what there is one of."""
    tag = str(element.tag)
    values: list[str | None] = []
    if tag == "disk":
        values = [_disk(element)]
    elif tag == "interface":
        mac = element.find("mac")
        values = [(mac.get("address") or "").lower() if mac is not None else None]
    elif tag == "hostdev":
        address = element.find("source/address")
        values = [" ".join(address.get(part, "") for part in _of(address))] if address is not None else []
    elif tag == "controller":
        values = [element.get("type"), element.get("index")]
    elif tag in _BY_ATTRIBUTE:
        values = [element.get(part) for part in _BY_ATTRIBUTE[tag]]
    known = [value for value in values if value]
    return f"[{' '.join(known)}]" if known else ""


_BY_ATTRIBUTE = {
    "vcpupin": ("vcpu",),
    "vcpusched": ("vcpus",),
    "iothreadpin": ("iothread",),
    "iothread": ("id",),
    "memnode": ("cellid",),
    "cell": ("id",),
    "sibling": ("id",),
    "feature": ("name",),
    "timer": ("name",),
    "input": ("type", "bus"),
    "channel": ("type",),
    "graphics": ("type",),
    "vcpu": ("id",),
    "boot": ("dev", "order"),
}


def _of(address: _Element) -> tuple[str, ...]:
    return ("uuid",) if address.get("uuid") else ("domain", "bus", "slot", "function", "device")


def _disk(element: _Element) -> str | None:
    source, target = element.find("source"), element.find("target")
    if source is not None:
        for part in ("file", "dev", "name", "volume", "dir"):
            if source.get(part):
                return source.get(part)
    # an empty drive that was on IDE is on SATA, under the same letter
    return re.sub("^hd", "sd", target.get("dev", "")) if target is not None else None


def _says(element: _Element) -> dict[str, object]:
    """What an element says by itself: `@name` each attribute and `` its text, in one form each."""
    tag = str(element.tag)
    unit = element.get("unit")
    said: dict[str, object] = {}
    for key, value in element.attrib.items():
        if key != "unit" or not (tag in _SIZED_TEXT or "size" in element.attrib or "memory" in element.attrib):
            said[f"@{key}"] = _attribute(tag, str(key), str(value), unit)
    text = (element.text or "").strip()
    if text:
        said[""] = _text(tag, text, unit)
    return said


def _text(tag: str, text: str, unit: str | None) -> object:
    if tag in _SIZED_TEXT:
        return _size(text, unit or "KiB")
    if tag == "uuid":
        return text.lower().replace("-", "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else text


def _attribute(tag: str, name: str, value: str, unit: str | None) -> object:
    if name in _SETS:
        return _cpus(value)
    if name in ("memory", "size") and tag in ("cell", "page"):
        return _size(value, unit or "KiB")
    if name in _HEXADECIMAL and re.fullmatch(r"0x[0-9a-fA-F]{1,8}|[0-9]{1,9}", value):
        return int(value, 0) if value.startswith("0x") else int(value)
    if tag == "mac":
        return value.lower()
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else value


def _cpus(text: str) -> object:
    """A set; libvirt's form with exclusions (`0-7,^3`) as well."""
    try:
        parts = text.replace(" ", "").split(",")
        kept = CpuSet.parse(",".join(part for part in parts if not part.startswith("^")))
        return kept - CpuSet.parse(",".join(part[1:] for part in parts if part.startswith("^")))
    except ValueError:
        return text


def _size(text: str, unit: str) -> object:
    """In bytes."""
    return int(text) * _UNITS[unit] if re.fullmatch(r"[0-9]{1,18}", text) and unit in _UNITS else f"{text} {unit}"


def _shown(what: str, element: _Element, said: dict[str, object]) -> str:
    if what not in said:
        return NOTHING
    if what.lstrip("@") in _SECRET or secret(str(said[what])):
        return "(a secret, not shown)"
    raw = element.get(what[1:]) if what else (element.text or "").strip()
    unit = element.get("unit") if not what or what in ("@memory", "@size") else None
    return f"{raw} {unit}" if unit else str(raw)


def brief(element: _Element) -> str:
    """An element on one line, without secrets, cut where it is long."""
    text = serial(element)
    if secret(text):
        return f"<{name(element)}> (holds a secret, not shown)"
    return text if len(text) <= 240 else f"{text[:236]} ..."


def serial(element: _Element) -> str:
    """One line of XML, attributes in single quotes, without comments and passwords."""
    tag = str(element.tag)
    space, _, local = tag.rpartition("}")
    prefix = f"{space.rstrip('/').rsplit('/', 2)[-2] if '/' in space else 'own'}:" if space else ""
    out = [f"<{prefix}{local}"]
    parent = element.getparent()
    if space and (parent is None or not str(parent.tag).startswith(space)):
        out.append(f" xmlns:{prefix[:-1]}='{space[1:]}'")
    for key, value in element.attrib.items():
        if key not in _SECRET:
            out.append(f" {key}='{_escape(str(value))}'")
    inner = _escape((element.text or "").strip()) + "".join(map(serial, element.iterchildren("*")))
    out.append(f">{inner}</{prefix}{local}>" if inner else "/>")
    return "".join(out)


def secret(text: str) -> bool:
    """Whether a text looks as if it held a secret itself, as options that go to QEMU unseen may."""
    return re.search(r"(?i)passw(or)?d?=|secret,[^ ]*data=|,data=", text) is not None


def _escape(text: str) -> str:
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("'", "&apos;")
        .replace('"', "&quot;")
    )
