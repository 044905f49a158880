"""Two libvirt domains compared by what they mean: sizes in any unit, CPU sets in any form, numbers in any base, attributes and
elements of a domain in any order, save where libvirt reads an order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from kvmc.model.cpuset import CpuSet

_UNITS = {"b": 1, "bytes": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4} | {
    name: 1024**power
    for power, names in enumerate((("k", "KiB"), ("M", "MiB"), ("G", "GiB"), ("T", "TiB")), 1)
    for name in names
}
_SETS = {"cpuset", "nodeset", "cpus", "vcpus"}
_NUMBERS = {"domain", "bus", "slot", "function", "controller", "target", "unit", "port", "chassis"}
_SIZED = {"memory", "currentMemory", "maxMemory", "hard_limit", "soft_limit", "swap_hard_limit"}

_KEYS: dict[str, Callable[[etree._Element], object]] = {
    "vcpupin": lambda e: e.get("vcpu"),
    "vcpusched": lambda e: e.get("vcpus"),
    "iothreadpin": lambda e: e.get("iothread"),
    "memnode": lambda e: e.get("cellid"),
    "cell": lambda e: e.get("id"),
    "sibling": lambda e: e.get("id"),
    "page": lambda e: (_size(e.get("size", ""), e.get("unit")), str(_cpus(e.get("nodeset", "")))),
    "timer": lambda e: e.get("name"),
    "feature": lambda e: e.get("name"),
    "disk": lambda e: e.xpath("string(target/@dev)"),
    "controller": lambda e: (e.get("type"), int(e.get("index", "-1"))),
    "interface": lambda e: e.xpath("string(mac/@address)").lower(),
    "input": lambda e: (e.get("type"), e.get("bus")),
}
"""What tells elements of one name apart where their order says nothing; those of other names are compared in their order."""


def differences(one: str, other: str) -> list[str]:
    """What the two documents say differently, as paths with both sides; empty where they mean the same."""
    found: list[str] = []
    _compare(_spread(etree.fromstring(one.encode())), _spread(etree.fromstring(other.encode())), "", found)
    return found


def _spread(root: etree._Element) -> etree._Element:
    """One scheduler element a vCPU, as libvirt gives them back."""
    for sched in list(root.iter("vcpusched")):
        for vcpu in CpuSet.parse(sched.get("vcpus", "")):
            one = etree.Element("vcpusched", dict(sched.attrib) | {"vcpus": str(vcpu)})
            sched.addprevious(one)
        parent = sched.getparent()
        if parent is not None:
            parent.remove(sched)
    return root


@dataclass(frozen=True, slots=True)
class _Value:
    """An element's own say: attributes and text, each in one form."""

    attributes: dict[str, object]
    text: object


def _compare(one: etree._Element, other: etree._Element, path: str, found: list[str]) -> None:
    path = f"{path}/{_name(one)}"
    if one.tag != other.tag:
        found.append(f"{path}: against {_name(other)}")
        return
    left, right = _value(one), _value(other)
    for name in sorted(left.attributes.keys() | right.attributes.keys()):
        mine, theirs = left.attributes.get(name), right.attributes.get(name)
        if mine != theirs:
            found.append(f"{path}/@{name}: {mine!s} against {theirs!s}")
    if left.text != right.text:
        found.append(f"{path}: {left.text!s} against {right.text!s}")
    mine_by_key, theirs_by_key = _children(one), _children(other)
    for key in [*mine_by_key, *(key for key in theirs_by_key if key not in mine_by_key)]:
        if key not in theirs_by_key:
            found.append(f"{path}/{key[0]} {key[1]}: only in the first")
        elif key not in mine_by_key:
            found.append(f"{path}/{key[0]} {key[1]}: only in the second")
        else:
            _compare(mine_by_key[key], theirs_by_key[key], path, found)


def _children(parent: etree._Element) -> dict[tuple[str, object], etree._Element]:
    """Children by name and key, or by name and place among those of the name; twins of one key by their place as well."""
    found: dict[tuple[str, object], etree._Element] = {}
    places: dict[tuple[str, object], int] = {}
    for child in parent.iterchildren(etree.Element):
        name = _name(child)
        key: object = _KEYS[name](child) if name in _KEYS else ""
        place = places.get((name, key), 0)
        places[name, key] = place + 1
        found[name, (key, place) if place or not key else key] = child
    return found


def _value(element: etree._Element) -> _Value:
    attributes: dict[str, object] = {
        str(name): _attribute(str(name), str(text)) for name, text in element.attrib.items()
    }
    text: object = (element.text or "").strip()
    name = _name(element)
    if name in _SIZED and text:
        text = _size(str(text), element.get("unit"))
        attributes.pop("unit", None)
    elif name in ("cell", "page"):
        size = "memory" if name == "cell" else "size"
        attributes[size] = _size(element.get(size, ""), element.get("unit"))
        attributes.pop("unit", None)
    elif name == "uuid":
        text = str(text).lower().replace("-", "")
    elif name == "mac":
        attributes["address"] = str(attributes.get("address")).lower()
    return _Value(attributes, text)


def _attribute(name: str, text: str) -> object:
    if name in _SETS:
        return _cpus(text)
    if name in _NUMBERS:
        try:
            return int(text, 16 if text.startswith("0x") else 10)
        except ValueError:
            return text
    return text


def _cpus(text: str) -> CpuSet | str:
    """A set; libvirt's form with exclusions (`0-7,^3`) as well."""
    try:
        parts = text.split(",")
        kept = CpuSet.parse(",".join(part for part in parts if not part.startswith("^")))
        return kept - CpuSet.parse(",".join(part[1:] for part in parts if part.startswith("^")))
    except ValueError:
        return text


def _size(text: str, unit: str | None) -> object:
    """Bytes; libvirt's unit is KiB where none is said."""
    scale = _UNITS.get(unit or "KiB")
    return int(text) * scale if scale is not None and text.isdigit() else f"{text} {unit}"


def _name(element: etree._Element) -> str:
    """The tag; one of another namespace in lxml's `{uri}name`."""
    return str(element.tag)
