"""libvirt's host capabilities (`virsh capabilities`): https://libvirt.org/formatcaps.html, src/conf/capabilities.c.

Offline CPUs are left out by libvirt; a CPU's `siblings` are its core's threads. `core_id` is a number within a die and `die_id` one
within a socket, so neither is a name by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.topology.capabilities_cache import cache_kinds, kib_of, read_resctrl
from kvmc.topology.failure import ReadFailure, is_name, quoted
from kvmc.topology.groups import MAX_DISTANCE, MAX_NODE, NO_ID, distinct, numbered, of_keys, parse_cpus
from kvmc.topology.model import Cpu, Node, Topology

if TYPE_CHECKING:
    from lxml import etree

T = TypeVar("T")


def read_capabilities(root: etree._Element, shown: str, bag: Bag) -> Topology:
    """Raises ReadFailure. Warnings go to the bag."""
    host = root.find("host")
    cells = host.find("topology/cells") if host is not None else None
    if host is None or cells is None:
        raise ReadFailure(
            codes.TOPOLOGY_INCOMPLETE,
            "capabilities without `<host><topology><cells>`",
            help=("take them from the host's own driver: `virsh -c qemu:///system capabilities`",),
        )
    elements = cells.findall("cell")
    ids = [_integer(cell, "id", MAX_NODE) for cell in elements]
    if len(set(ids)) != len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"cell {twice} stands {ids.count(twice)} times")
    told = cells.get("num")
    if told is not None and told != str(len(elements)):
        message = f"{quoted(shown)}: `<cells num={quoted(told).strip('`')}>` holds {len(elements)} cells"
        bag.error(codes.TOPOLOGY_ODD, message)
    cpus = _Cpus()
    limits = read_resctrl(host) or None
    nodes = [_node(cell, id, cpus) for cell, id in zip(elements, ids, strict=True)]
    if not cpus.online.mask:
        raise ReadFailure(codes.TOPOLOGY_INCOMPLETE, "the capabilities' cells name no CPU")
    return Topology(
        arch=_text(host.find("cpu/arch")) or "unknown",
        online=cpus.online,
        nodes=tuple(sorted(nodes, key=lambda node: node.id)),
        packages=cpus.by("socket_id"),
        cores=cpus.cores(),
        l3=_l3(host, cpus.online),
        dies=cpus.by("socket_id", "die_id"),
        clusters=cpus.by("socket_id", "die_id", "cluster_id"),
        cpu=Cpu(
            vendor=_text(host.find("cpu/vendor")),
            model=_text(host.find("cpu/model")),
            features=frozenset(
                name for item in host.findall("cpu/feature") if is_name(name := str(item.get("name") or ""))
            ),
        ),
        caches=cache_kinds(host, cpus.online) or None,
        resctrl=limits,
        l3_ids=_l3_ids(host, cpus.online) if limits else None,
    )


class _Cpus:
    """The `<cpu>` elements of all cells. A CPU that stands in several cells must say the same in each."""

    def __init__(self) -> None:
        self.mask = 0
        self.siblings: dict[int, CpuSet] = {}
        self.ids: dict[str, dict[int, int]] = {"socket_id": {}, "die_id": {}, "cluster_id": {}}
        self.lists: dict[str, CpuSet] = {}

    @property
    def online(self) -> CpuSet:
        return CpuSet(self.mask)

    def add(self, element: etree._Element) -> int:
        cpu = _integer(element, "id", MAX_CPU)
        self.mask |= 1 << cpu
        text = element.get("siblings")
        if text is not None:
            if text not in self.lists:
                self.lists[text] = parse_cpus(text, f"siblings of CPU {cpu}")
            _put("siblings", self.siblings, cpu, self.lists[text])
        for name, known in self.ids.items():
            if element.get(name) is not None:
                _put(name, known, cpu, _integer(element, name, 0xFFFFFFFF, low=-1))
        return cpu

    def cores(self) -> tuple[CpuSet, ...] | None:
        online = self.online
        found = [(cpus & online) | CpuSet(1 << cpu) for cpu, cpus in sorted(self.siblings.items())]
        return distinct(found) if found else None

    def by(self, *names: str) -> tuple[CpuSet, ...] | None:
        """Groups by ids; None where the last id is nowhere told, or the platform has none."""
        last = self.ids[names[-1]]
        keys = {cpu: tuple(self.ids[name].get(cpu, -1) for name in names) for cpu in last if last[cpu] not in NO_ID}
        return of_keys(keys) if keys else None


def _put(name: str, known: dict[int, T], cpu: int, value: T) -> None:
    before = known.setdefault(cpu, value)
    if before != value:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"CPU {cpu} has two values of `{name}`: `{before}` and `{value}`")


def _node(cell: etree._Element, id: int, cpus: _Cpus) -> Node:
    numbers = [cpus.add(element) for element in cell.findall("cpus/cpu")]
    own = CpuSet.of(numbers)
    if len(own) != len(numbers):
        twice = next(cpu for cpu in own if numbers.count(cpu) > 1)
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"cell {id} names CPU {twice} {numbers.count(twice)} times")
    pages = {kib_of(page, page.get("size") or "", f"page size of cell {id}") for page in cell.findall("pages")}
    memory = cell.find("memory")
    return Node(
        id,
        own,
        None if memory is None else kib_of(memory, memory.text or "", f"memory of cell {id}"),
        {
            _integer(item, "id", MAX_NODE): _integer(item, "value", MAX_DISTANCE, 1)
            for item in cell.findall("distances/sibling")
        },
        # libvirt lists the system's own page size first, which is the smallest
        tuple(sorted(pages))[1:],
    )


def _l3(host: etree._Element, online: CpuSet) -> tuple[CpuSet, ...] | None:
    """Banks of level 3; None where libvirt is too old to tell (before 3.2, no `<cache>`)."""
    cache = host.find("cache")
    if cache is None:
        return None
    return distinct(_bank_cpus(bank, online) for bank in _banks(cache))


def _l3_ids(host: etree._Element, online: CpuSet) -> tuple[int, ...] | None:
    banks = [bank for cache in host.findall("cache") for bank in _banks(cache) if bank.get("id") is not None]
    ids = {_bank_cpus(bank, online): _integer(bank, "id", 0xFFFF) for bank in banks}
    return numbered(_l3(host, online) or (), ids)


def _banks(cache: etree._Element) -> list[etree._Element]:
    return [bank for bank in cache.findall("bank") if bank.get("level") == "3" and bank.get("type") != "code"]


def _bank_cpus(bank: etree._Element, online: CpuSet) -> CpuSet:
    return parse_cpus(bank.get("cpus") or "", f"bank {quoted(bank.get('id') or '')}") & online


def _integer(element: etree._Element, name: str, limit: int, low: int = 0) -> int:
    text = element.get(name)
    where = f"`{name}` of a `<{element.tag!s}>` at line {element.sourceline}"
    if text is None or re.fullmatch(r"\s*-?[0-9]{1,10}\s*", text) is None:
        told = "is missing" if text is None else f"is {quoted(text)}, not a number"
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where} {told}")
    value = int(text)
    if not low <= value <= limit:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{where} is {value}, outside {low} to {limit}")
    return value


def _text(element: etree._Element | None) -> str | None:
    text = "" if element is None else (element.text or "").strip()
    return text if is_name(text) else None
