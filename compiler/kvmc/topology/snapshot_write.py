"""The canonical text of a snapshot: JSON of fixed order and fixed line breaks.

CPU sets are in the kernel's list form; what the topology does not tell is left out. One line a node, a cache, a limit, a PCI
function and a kernel option; the lists of cores, features and names are wrapped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from kvmc.topology.model import CacheKind, Facts, Node, PciDevice, Resctrl, Topology

FORMAT = 1
RESCTRL_KEYS = ("ways", "min_ways", "way_kib", "step_percent", "min_percent")
FACT_VERSIONS = ("kernel", "libvirt", "qemu", "tuned")
_WIDTH = 116


def dumps(topology: Topology) -> str:
    """The canonical text; `snapshot.loads` gives the same topology back."""
    return "{\n" + ",\n".join(_members(topology)) + "\n}\n"


def _members(topology: Topology) -> Iterator[str]:
    yield f'  "kvmc_topology": {FORMAT}'
    yield f'  "arch": {_json(topology.arch)}'
    cpu = topology.cpu
    names = [
        f'    "{key}": {_json(value)}'
        for key, value in (("vendor", cpu.vendor), ("model", cpu.model))
        if value is not None
    ]
    if cpu.features:
        names.append(f'    "features": {_wrapped(sorted(cpu.features), "    ")}')
    if names:
        yield '  "cpu": {\n' + ",\n".join(names) + "\n  }"
    for key, cpus in (("online", topology.online), ("offline", topology.offline), ("allowed", topology.allowed)):
        if cpus is not None:
            yield f'  "{key}": {_json(str(cpus))}'
    yield f'  "nodes": {_lines((_node(node, topology) for node in topology.nodes), "[", "]")}'
    for key, groups in (
        ("packages", topology.packages),
        ("dies", topology.dies),
        ("clusters", topology.clusters),
        ("modules", topology.modules),
        ("l3", topology.l3),
        ("cores", topology.cores),
    ):
        if groups is not None:
            yield f'  "{key}": {_wrapped([str(group) for group in groups], "  ")}'
    if topology.core_kinds is not None:
        kinds = {str(kind): str(cpus) for kind, cpus in sorted(topology.core_kinds.items())}
        yield f'  "core_kinds": {_json(kinds)}'
    if topology.caches is not None:
        yield f'  "caches": {_lines(map(_cache, topology.caches), "[", "]")}'
    if topology.l3_ids is not None:
        yield f'  "l3_ids": {_json(list(topology.l3_ids))}'
    if topology.resctrl is not None:
        yield f'  "resctrl": {_lines(map(_resctrl, topology.resctrl), "[", "]")}'
    if topology.pci is not None:
        devices = (f"{_json(str(address))}: {_device(device)}" for address, device in sorted(topology.pci.items()))
        yield f'  "pci": {_lines(devices, "{", "}")}'
    if topology.facts is not None:
        members = ",\n".join(_facts(topology.facts))
        yield f'  "platform": {{\n{members}\n  }}' if members else '  "platform": {}'


def _cache(cache: CacheKind) -> str:
    return _json({"level": cache.level, "type": cache.type, "size_kib": cache.size_kib, "cpus": str(cache.cpus)})


def _resctrl(limit: Resctrl) -> str:
    told: dict[str, object] = {"resource": limit.resource, "closids": limit.closids}
    for key in RESCTRL_KEYS:
        value = getattr(limit, key)
        if value is not None:
            told[key] = value
    return _json(told)


def _facts(facts: Facts) -> Iterator[str]:
    for key in FACT_VERSIONS:
        value = getattr(facts, key)
        if value is not None:
            yield f'    "{key}": {_json(value)}'
    if facts.kernel_config:
        options = (f"  {_json(name)}: {_json(value)}" for name, value in sorted(facts.kernel_config.items()))
        yield f'    "kernel_config": {_lines(options, "{", "  }")}'
    if facts.sysctls:
        yield f'    "sysctls": {_wrapped(list(facts.sysctls), "    ")}'
    if facts.modules:
        modules = (
            f"  {_json(module)}: {_wrapped(list(names), '      ')}" for module, names in sorted(facts.modules.items())
        )
        yield f'    "modules": {_lines(modules, "{", "  }")}'
    if facts.debugfs:
        folders = (
            f"  {_json(folder)}: {_wrapped(list(names), '      ')}" for folder, names in sorted(facts.debugfs.items())
        )
        yield f'    "debugfs": {_lines(folders, "{", "  }")}'
    if facts.domcapabilities:
        lines = (f"  {_json(line)}" for line in facts.domcapabilities)
        yield f'    "domcapabilities": {_lines(lines, "[", "  ]")}'


def _node(node: Node, topology: Topology) -> str:
    told: dict[str, object] = {"id": node.id, "cpus": str(node.cpus)}
    if node.memory_kib is not None:
        told["memory_kib"] = node.memory_kib
    if node.memory is not None:
        told["memory"] = str(node.memory)
    if node.page_sizes_kib:
        told["page_sizes_kib"] = list(node.page_sizes_kib)
    if node.distances:
        row = sorted(node.distances.items())
        complete = [id for id, _ in row] == [other.id for other in topology.nodes]
        told["distances"] = [value for _, value in row] if complete else {str(id): value for id, value in row}
    return _json(told)


def _device(device: PciDevice) -> str:
    told: dict[str, object] = {"numa_node": -1 if device.node is None else device.node}
    if device.local_cpus is not None:
        told["local_cpus"] = str(device.local_cpus)
    for key, number, digits in (
        ("class", device.class_id, 6),
        ("vendor", device.vendor_id, 4),
        ("device", device.device_id, 4),
    ):
        if number is not None:
            told[key] = f"0x{number:0{digits}x}"
    if device.iommu_group is not None:
        told["iommu_group"] = device.iommu_group
    if device.sriov is not None:
        sriov = device.sriov
        told["sriov"] = {"total_vfs": sriov.total_vfs, "offset": sriov.offset, "stride": sriov.stride}
    if device.parent_pf is not None:
        told["physfn"] = str(device.parent_pf)
    if device.root is not None:
        told["root"] = device.root
    return _json(told)


def _lines(items: Iterable[str], start: str, end: str) -> str:
    lines = [f"    {item}" for item in items]
    return f"{start}\n" + ",\n".join(lines) + f"\n  {end}" if lines else f"{start}{end}"


def _wrapped(items: list[str], indent: str) -> str:
    """A list of strings, as many on a line as fit."""
    if not items:
        return "[]"
    lines: list[str] = []
    line = ""
    for index, item in enumerate(items):
        word = _json(item) + ("," if index < len(items) - 1 else "")
        if line and len(line) + 1 + len(word) > _WIDTH - len(indent) - 2:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return "[\n" + "\n".join(f"{indent}  {line}" for line in lines) + f"\n{indent}]"


def _json(value: str | list[int] | Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=True)
