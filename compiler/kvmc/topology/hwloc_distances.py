"""Distances between NUMA nodes in hwloc's XML: a matrix of formats 2 and 3, or one relative to a base of format 1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import topology as codes
from kvmc.topology.failure import quoted
from kvmc.topology.groups import MAX_DISTANCE, MAX_NODE
from kvmc.topology.hwloc_object import os_index
from kvmc.topology.model import Node

if TYPE_CHECKING:
    from lxml import etree

_LOCAL = 10
_FROM_OS, _LATENCY = 1, 4
"""Flags of a matrix's `kind` (hwloc_distances_kind_e)."""


def read_distances(
    root: etree._Element, items: list[etree._Element], nodes: Sequence[Node], version: str, shown: str, bag: Bag
) -> dict[int, dict[int, int]]:
    """Rows by node; empty where the file has no matrix of the operating system's. items: the nodes in the order of the file."""
    order = [os_index(item, MAX_NODE) for item in items]
    found = _relative(root, order) if version.startswith("1.") else _matrix(root, items, order)
    if found is None:
        return {}
    ids, values = found
    known = {node.id for node in nodes}
    if len(values) != len(ids) ** 2 or not set(ids) <= known or not all(0 < value <= MAX_DISTANCE for value in values):
        bag.error(
            codes.DISTANCES_UNUSABLE,
            f"{quoted(shown)}: the matrix of distances has {len(values)} values for {len(nodes)} nodes, or none that can be",
            notes=("the distances are left out",),
        )
        return {}
    count = len(ids)
    return {
        id: dict(sorted(zip(ids, values[row * count : (row + 1) * count], strict=True))) for row, id in enumerate(ids)
    }


def _matrix(root: etree._Element, items: list[etree._Element], order: list[int]) -> tuple[list[int], list[int]] | None:
    for item in root.findall("distances2"):
        kind = item.get("kind") or ""
        wanted = _FROM_OS | _LATENCY
        if item.get("type") != "NUMANode" or not re.fullmatch(r"[0-9]{1,9}", kind) or int(kind) & wanted != wanted:
            continue
        if item.get("name") not in (None, "", "NUMALatency"):
            continue
        indexes, values = _numbers(item, "indexes"), _numbers(item, "u64values")
        if item.get("indexing") == "gp":
            by_gp = {node.get("gp_index"): id for node, id in zip(items, order, strict=True)}
            indexes = [by_gp.get(str(index), -1) for index in indexes]
        return indexes, values
    return None


def _numbers(item: etree._Element, tag: str) -> list[int]:
    texts = [word for part in item.findall(tag) for word in (part.text or "").split()]
    return [int(word) if re.fullmatch(r"[0-9]{1,20}", word) else -1 for word in texts]


def _relative(root: etree._Element, order: list[int]) -> tuple[list[int], list[int]] | None:
    """Format 1 says of what a matrix is by a depth that its writers count differently. The nodes' own has the kernel's distance
    of a node to itself, 10, in its diagonal; it is in the order of the file."""
    top, count = root.find("object"), len(order)
    for item in top.findall("distances") if top is not None else ():
        base = _decimal(item.get("latency_base"))
        exact = [_decimal(one.get("value")) * base for one in item.findall("latency")]
        values = [round(value) if abs(value - round(value)) < 0.01 else -1 for value in exact]
        if len(values) == count**2 and all(value == _LOCAL for value in values[:: count + 1]):
            return order, values
    return None


def _decimal(text: str | None) -> float:
    return float(text) if text and re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", text) else -1.0
