"""What every reader of hwloc's XML asks of one object: its type, its set of CPUs, its number, its pairs of name and value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.topology.failure import ReadFailure, quoted
from kvmc.topology.groups import parse_mask

if TYPE_CHECKING:
    from lxml import etree


def cpus_of(item: etree._Element, name: str = "cpuset") -> CpuSet:
    """A set of CPUs; groups of zeros are left empty in it, and `0xf...f` at its start stands for all higher ones."""
    text = item.get(name)
    where = f"`{name}` of a `{type_of(item)}` at line {item.sourceline}"
    if text is None:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where} is missing")
    if text.startswith("0xf...f"):
        rest = parse_mask(_plain(text[7:].removeprefix(",")), where)
        bits = 32 * (text.count(","))
        return CpuSet(rest.mask | ((1 << (MAX_CPU + 1)) - 1) >> bits << bits)
    return parse_mask(_plain(text), where)


def _plain(text: str) -> str:
    return ",".join(group.strip().removeprefix("0x") or "0" for group in text.split(","))


def type_of(item: etree._Element) -> str:
    kind = item.get("type") or ""
    return {"Node": "NUMANode", "Group0": "Group"}.get(kind, kind)


def infos_of(item: etree._Element) -> dict[str, str]:
    return {one.get("name") or "": one.get("value") or "" for one in item.findall("info")}


def os_index(item: etree._Element, limit: int) -> int:
    """The number that the operating system gives the object."""
    text = item.get("os_index") or ""
    where = f"`os_index` of a `{type_of(item)}` at line {item.sourceline}"
    if re.fullmatch(r"[0-9]{1,10}", text) is None:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where} is {quoted(text)}, not a number")
    if int(text) > limit:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where} is {text}, above {limit}")
    return int(text)
