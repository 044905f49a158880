"""How two topologies differ by meaning, for a person: not which bytes, but which CPUs, nodes, devices and facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from kvmc.model.cpuset import CpuSet, union
from kvmc.model.values import size_text
from kvmc.topology.model import CacheKind, CoreKind, Facts, Node, PciDevice, Resctrl, Topology

K = TypeVar("K")
T = TypeVar("T")

_NOT_TOLD = "not told"
_NAMED = 8
"""Names of one difference before the rest is only counted."""


def differences(old: Topology, new: Topology) -> tuple[str, ...]:
    """One line a difference, `what: old -> new`; empty where they mean the same."""
    return tuple(_all(old, new))


def _all(old: Topology, new: Topology) -> Iterator[str]:
    yield from _value("architecture", old.arch, new.arch)
    yield from _value("CPU vendor", old.cpu.vendor, new.cpu.vendor)
    yield from _value("CPU model", old.cpu.model, new.cpu.model)
    yield from _names("CPU features", old.cpu.features, new.cpu.features)
    yield from _value("online CPUs", old.online, new.online)
    yield from _value("offline CPUs", old.offline, new.offline)
    yield from _value("allowed CPUs", old.allowed, new.allowed)
    for what, mine, other in (
        ("packages", old.packages, new.packages),
        ("dies", old.dies, new.dies),
        ("clusters", old.clusters, new.clusters),
        ("modules", old.modules, new.modules),
        ("L3 caches", old.l3, new.l3),
        ("cores", old.cores, new.cores),
    ):
        yield from _groups(what, mine, other)
    before, after = old.core_kinds or {}, new.core_kinds or {}
    for kind in CoreKind:
        yield from _value(f"{kind} CPUs", before.get(kind), after.get(kind))
    yield from _tables("node", {node.id: node for node in old.nodes}, {node.id: node for node in new.nodes}, _node)
    yield from _tables("cache", _caches(old), _caches(new), lambda a, b: _value("CPUs", a.cpus, b.cpus))
    yield from _value("numbers of L3 caches", old.l3_ids, new.l3_ids)
    yield from _tables(
        "resctrl",
        {one.resource: one for one in old.resctrl or ()},
        {one.resource: one for one in new.resctrl or ()},
        _resctrl,
    )
    if old.pci is None or new.pci is None:
        yield from _value("PCI devices", _count(old.pci), _count(new.pci))
    else:
        yield from _tables("PCI", old.pci, new.pci, _device)
    if old.facts is not None and new.facts is not None:
        yield from _facts(old.facts, new.facts)
    else:
        yield from _value("platform facts", old.facts and "told", new.facts and "told")


def _value(what: str, old: object, new: object) -> Iterator[str]:
    if old != new:
        yield f"{what}: {_shown(old)} -> {_shown(new)}"


def _shown(value: object) -> str:
    if value is None:
        return _NOT_TOLD
    text = (str(value) or "none") if isinstance(value, CpuSet) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _count(found: Mapping[K, T] | None) -> str | None:
    return None if found is None else str(len(found))


def _names(what: str, old: frozenset[str], new: frozenset[str]) -> Iterator[str]:
    words = [f"-{name}" for name in sorted(old - new)] + [f"+{name}" for name in sorted(new - old)]
    if words:
        more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
        yield f"{what}: {' '.join(words[:_NAMED])}{more}"


def _groups(what: str, old: tuple[CpuSet, ...] | None, new: tuple[CpuSet, ...] | None) -> Iterator[str]:
    if old is None or new is None:
        yield from _value(what, None if old is None else len(old), None if new is None else len(new))
    elif old != new:
        gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        counts = f"{len(old)} -> {len(new)}" if len(old) != len(new) else f"{len(old)}, as before"
        moved = "; ".join(f"{sign} {_shown(cpus)}" for sign, cpus in (("-", union(gone)), ("+", union(come))) if cpus)
        yield f"{what}: {counts}; other groups of CPUs: {moved}"


def _tables(
    what: str, old: Mapping[K, T], new: Mapping[K, T], compare: Callable[[T, T], Iterator[str]]
) -> Iterator[str]:
    said: dict[str, list[str]] = {}
    for key in old:
        if key not in new:
            said.setdefault("only in the first", []).append(str(key))
    for key in new:
        if key not in old:
            said.setdefault("only in the second", []).append(str(key))
    for key in old:
        if key in new and old[key] != new[key]:
            for line in compare(old[key], new[key]):
                said.setdefault(line, []).append(str(key))
    for line, names in said.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"{what} {', '.join(names[:_NAMED])}{more}: {line}"


def _node(old: Node, new: Node) -> Iterator[str]:
    yield from _value("CPUs", old.cpus, new.cpus)
    yield from _value("memory", _size(old.memory_kib), _size(new.memory_kib))
    yield from _value("kind of memory", old.memory, new.memory)
    yield from _value("distances", _row(old.distances), _row(new.distances))
    yield from _value(
        "page sizes", " ".join(map(size_text, old.page_sizes_kib)), " ".join(map(size_text, new.page_sizes_kib))
    )


def _size(kib: int | None) -> str | None:
    return None if kib is None else f"{kib} KiB"


def _row(distances: Mapping[int, int]) -> str | None:
    return " ".join(f"{id}:{value}" for id, value in sorted(distances.items())) or None


def _caches(topology: Topology) -> dict[str, CacheKind]:
    return {f"L{one.level} {one.type} {size_text(one.size_kib)}": one for one in topology.caches or ()}


def _resctrl(old: Resctrl, new: Resctrl) -> Iterator[str]:
    for name in ("closids", "ways", "min_ways", "way_kib", "step_percent", "min_percent"):
        yield from _value(name, getattr(old, name), getattr(new, name))


def _device(old: PciDevice, new: PciDevice) -> Iterator[str]:
    yield from _value("id", _ids(old), _ids(new))
    for what, name in (
        ("node", "node"),
        ("local CPUs", "local_cpus"),
        ("class", "class_id"),
        ("IOMMU group", "iommu_group"),
        ("physical function", "parent_pf"),
        ("root complex", "root"),
    ):
        yield from _value(what, getattr(old, name), getattr(new, name))
    yield from _value("SR-IOV", old.sriov and old.sriov.total_vfs, new.sriov and new.sriov.total_vfs)


def _ids(device: PciDevice) -> str | None:
    return (
        None
        if device.vendor_id is None or device.device_id is None
        else f"{device.vendor_id:04x}:{device.device_id:04x}"
    )


def _facts(old: Facts, new: Facts) -> Iterator[str]:
    for name in ("kernel", "libvirt", "qemu", "tuned"):
        yield from _value(name, getattr(old, name), getattr(new, name))
    for option in sorted(old.kernel_config.keys() | new.kernel_config.keys()):
        yield from _value(f"CONFIG_{option}", old.kernel_config.get(option), new.kernel_config.get(option))
    yield from _names("sysctls", frozenset(old.sysctls), frozenset(new.sysctls))
    for module in sorted(old.modules.keys() | new.modules.keys()):
        mine, other = frozenset(old.modules.get(module, ())), frozenset(new.modules.get(module, ()))
        yield from _names(f"parameters of {module}", mine, other)
    yield from _names("domain capabilities", frozenset(old.domcapabilities), frozenset(new.domcapabilities))
