"""hwloc's XML (`lstopo --of xml`), formats 1 to 3: https://hwloc.readthedocs.io, "Importing and exporting topologies from/to XML".

hwloc hides CPUs that are offline or disallowed, gives a node without CPUs the CPUs that are near it, and drops objects that add no
structure. What it can't tell for that reason is left out here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import MAX_CPU, CpuSet, union
from kvmc.topology.failure import ReadFailure, is_name, quoted
from kvmc.topology.groups import MAX_KIB, MAX_NODE, by_capacity, distinct
from kvmc.topology.hwloc_distances import read_distances
from kvmc.topology.hwloc_object import cpus_of, infos_of, os_index, type_of
from kvmc.topology.hwloc_pci import read_pci
from kvmc.topology.model import CacheKind, CoreKind, Cpu, Memory, Node, Topology

if TYPE_CHECKING:
    from lxml import etree

Found = dict[str, list["etree._Element"]]

_CACHE = re.compile(r"L([1-4])(i?)Cache")
_CACHE_TYPES = {"0": "unified", "1": "data", "2": "instruction"}
_MODULES = ("Module", "Tile", "ComputeUnit", "Compute Unit")
_MEMORY = {
    "DRAM": Memory.DRAM,
    "HBM": Memory.HBM,
    "MCDRAM": Memory.HBM,
    "NVM": Memory.NVM,
    "SPM": Memory.SPECIAL,
    "CXL": Memory.CXL,
    "CXL-DRAM": Memory.CXL,
    "CXL-NVM": Memory.CXL,
    "GPUMemory": Memory.GPU,
}
_KINDS = {"IntelCore": CoreKind.PERFORMANCE, "IntelAtom": CoreKind.EFFICIENCY}


def read_hwloc(root: etree._Element, shown: str, bag: Bag) -> Topology:
    """Raises ReadFailure. Warnings go to the bag."""
    version = root.get("version", "1.0")
    if re.fullmatch(r"[123]\.[0-9]{1,3}", version) is None:
        raise ReadFailure(codes.TOPOLOGY_KIND, f"hwloc XML of format {quoted(version)}; kvmc reads formats 1 to 3")
    found: Found = {}
    for item in root.iter("object"):
        found.setdefault(type_of(item), []).append(item)
    machines = found.get("Machine", [])
    if len(machines) != 1:
        raise ReadFailure(codes.TOPOLOGY_KIND, f"hwloc XML of {len(machines)} machines, where a host is one")
    machine = machines[0]
    online = _online(found.get("PU", []))
    _refuse_hidden(root, machine, online)
    nodes = _nodes(found.get("NUMANode", []), machine, online)
    sizes = _page_sizes(infos_of(root).get("PageSizes") or infos_of(machine).get("PageSizes") or "")
    distances = read_distances(root, found.get("NUMANode", []), nodes, version, shown, bag)
    if len(nodes) == 1 and not distances:
        # hwloc writes no matrix of one; ACPI and the kernel give a node the distance 10 to itself
        distances = {nodes[0].id: {nodes[0].id: 10}}
    allowed = machine.get("allowed_cpuset")
    usable = online if allowed is None else cpus_of(machine, "allowed_cpuset") & online

    def groups(*types: str) -> tuple[CpuSet, ...]:
        return distinct(cpus_of(item) & online for name in types for item in found.get(name, []))

    def whole(part: tuple[CpuSet, ...]) -> tuple[CpuSet, ...] | None:
        """hwloc drops a group that is the same as its parent or child, so a level tells only where it holds every CPU."""
        return part if union(part) == online else None

    clusters = [item for item in found.get("Group", []) if item.get("subtype") == "Cluster"]
    modules = [item for item in found.get("Group", []) if item.get("subtype") in _MODULES]
    packages = found.get("Package", []) + found.get("Socket", [])
    return Topology(
        arch=_name(infos_of(root).get("Architecture") or infos_of(machine).get("Architecture")) or "unknown",
        online=online,
        nodes=tuple(
            Node(
                node.id,
                node.cpus,
                node.memory_kib,
                distances.get(node.id, {}),
                node.page_sizes_kib or sizes,
                node.memory,
            )
            for node in nodes
        ),
        packages=groups("Package", "Socket") or None,
        cores=groups("Core") or None,
        l3=distinct(cpus_of(item) & online for item in _caches(found) if _level(item) == (3, False)),
        dies=whole(groups("Die")),
        clusters=whole(distinct(cpus_of(item) & online for item in clusters)),
        allowed=usable if usable and usable != online else None,
        pci=read_pci(found, nodes, online),
        cpu=Cpu(
            vendor=next((_name(infos_of(item).get("CPUVendor")) for item in packages), None),
            model=next((_name(infos_of(item).get("CPUModel")) for item in packages), None),
        ),
        modules=distinct(cpus_of(item) & online for item in modules) or None,
        core_kinds=_core_kinds(root, online),
        caches=_cache_kinds(found, online) or None,
    )


def _name(text: str | None) -> str | None:
    text = (text or "").strip()
    return text if is_name(text) else None


def _online(units: list[etree._Element]) -> CpuSet:
    """Format 1 may hold offline CPUs, which have no `online_cpuset`."""
    online = 0
    for unit in units:
        cpu = os_index(unit, MAX_CPU)
        if cpus_of(unit) != CpuSet(1 << cpu):
            message = (
                f"the `PU` with the number {cpu} at line {unit.sourceline} has the CPUs {quoted(str(cpus_of(unit)))}"
            )
            raise ReadFailure(codes.TOPOLOGY_VALUE, message)
        if unit.get("online_cpuset") is None or cpus_of(unit, "online_cpuset"):
            online |= 1 << cpu
    if not online:
        raise ReadFailure(codes.TOPOLOGY_INCOMPLETE, "the hwloc XML names no CPU (`PU`)")
    return CpuSet(online)


def _refuse_hidden(root: etree._Element, machine: etree._Element, online: CpuSet) -> None:
    """What a control group hides is no part of the file: nodes would look as if they had no CPUs."""
    group = infos_of(root).get("LinuxCgroup") or infos_of(machine).get("LinuxCgroup") or "/"
    hidden = cpus_of(machine, "complete_cpuset") - online if machine.get("complete_cpuset") is not None else CpuSet()
    whole, shown = machine.get("complete_nodeset"), machine.get("nodeset")
    lost = CpuSet()
    if whole is not None and shown is not None and not whole.startswith("0xf...f"):
        lost = cpus_of(machine, "complete_nodeset") - cpus_of(machine, "nodeset")
    # with `--disallowed` what the group forbids is in the file, and what is hidden is offline
    limited = (
        group != "/" and cpus_of(machine, "allowed_cpuset" if machine.get("allowed_cpuset") else "cpuset") == online
    )
    told = []
    if hidden and limited:
        told.append(f"CPUs {quoted(str(hidden))}")
    if lost:
        told.append(f"nodes {quoted(str(lost))}")
    if told:
        raise ReadFailure(
            codes.TOPOLOGY_INCOMPLETE,
            f"the hwloc XML hides {' and '.join(told)}, and was written inside the control group {quoted(group)}",
            notes=("it does not tell CPUs that are offline from CPUs that the group may not use",),
            help=("write it anew with `lstopo --disallowed --of xml FILE`, or outside of any limited group",),
        )


def _nodes(items: list[etree._Element], machine: etree._Element, online: CpuSet) -> list[Node]:
    """A CPU's own node is the one whose set is smallest, and of equal ones the ordinary memory, then the lowest number: hwloc gives
    a node without CPUs the set of those near it."""
    if not items:
        memory = machine.get("local_memory")
        return [Node(0, online, None if memory is None else _kib(machine), page_sizes_kib=_pages(machine))]
    known = {os_index(item, MAX_NODE): item for item in items}
    if len(known) != len(items):
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"{len(items)} NUMA nodes have {len(known)} numbers")
    told = any(item.get("local_memory") is not None for item in items)
    near = {id: cpus_of(item) & online for id, item in known.items()}
    kinds = {id: _MEMORY.get(item.get("subtype") or "") for id, item in known.items()}
    taken = CpuSet()
    own: dict[int, CpuSet] = {}
    for id in sorted(known, key=lambda id: (kinds[id] not in (None, Memory.DRAM), len(near[id]), id)):
        free = near[id] - taken
        # a set that is taken in part stays as it is: which CPUs are the node's is not told, and the checks refuse it
        own[id] = near[id] if free else CpuSet()
        taken = taken | near[id]
    return [
        Node(id, own[id], _kib(item) if told else None, page_sizes_kib=_pages(item), memory=kinds[id])
        for id, item in sorted(known.items())
    ]


def _kib(item: etree._Element) -> int:
    text = item.get("local_memory") or "0"
    if re.fullmatch(r"[0-9]{1,20}", text) is None or int(text) // 1024 > MAX_KIB:
        raise ReadFailure(codes.TOPOLOGY_VALUE, f"`local_memory` at line {item.sourceline} is {quoted(text)}")
    return int(text) // 1024


def _pages(item: etree._Element) -> tuple[int, ...]:
    return _page_sizes(",".join(page.get("size") or "" for page in item.findall("page_type")))


def _page_sizes(text: str) -> tuple[int, ...]:
    """Sizes in bytes; the smallest is the system's own page."""
    sizes = {int(part) // 1024 for part in text.split(",") if re.fullmatch(r"[1-9][0-9]{3,15}", part.strip())}
    return tuple(sorted(sizes))[1:]


def _caches(found: Found) -> list[etree._Element]:
    return [item for name, items in found.items() if name == "Cache" or _CACHE.fullmatch(name) for item in items]


def _level(item: etree._Element) -> tuple[int, bool]:
    """Level, and whether it holds instructions alone. Format 1 has one type `Cache`."""
    match = _CACHE.fullmatch(type_of(item))
    level = match[1] if match else item.get("depth") or ""
    return (int(level) if re.fullmatch("[1-4]", level) else 0, item.get("cache_type") == "2")


def _cache_kinds(found: Found, online: CpuSet) -> tuple[CacheKind, ...]:
    kinds: dict[tuple[int, str, int], CpuSet] = {}
    for item in _caches(found):
        level, size, kind = _level(item)[0], item.get("cache_size") or "", item.get("cache_type") or ""
        if level and re.fullmatch(r"[1-9][0-9]{0,12}", size) and kind in _CACHE_TYPES:
            key = (level, _CACHE_TYPES[kind], int(size) // 1024)
            kinds[key] = kinds.get(key, CpuSet()) | (cpus_of(item) & online)
    return tuple(CacheKind(*key, cpus) for key, cpus in sorted(kinds.items()) if cpus)


def _core_kinds(root: etree._Element, online: CpuSet) -> Mapping[CoreKind, CpuSet] | None:
    capacity: dict[int, int] = {}
    kinds: dict[CoreKind, CpuSet] = {}
    for item in root.findall("cpukind"):
        infos, cpus = infos_of(item), cpus_of(item) & online
        kind = _KINDS.get(infos.get("CoreType", ""))
        if kind is not None:
            kinds[kind] = kinds.get(kind, CpuSet()) | cpus
        if re.fullmatch(r"[0-9]{1,9}", infos.get("LinuxCapacity", "")):
            capacity.update(dict.fromkeys(cpus, int(infos["LinuxCapacity"])))
    return kinds if len(kinds) == len(CoreKind) and all(kinds.values()) else by_capacity(capacity)
