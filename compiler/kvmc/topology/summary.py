"""What placement depends on in a few lines, kept in locks, so that a changed fingerprint can be told by what changed."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc.model.values import size_text
from kvmc.topology.model import PciDevice, Topology

_GIVEN = (0x02, 0x03, 0x12)
"""PCI base classes of what is given to guests: network, display, accelerators; and NVMe (0x0108)."""
_SHOWN = 8


def summary(topology: Topology) -> dict[str, str]:
    """Lines by what they are of: CPUs, cores, packages, L3s, each node, and each PCI function that guests are given."""
    lines = {"cpus": str(topology.online)}
    if topology.allowed is not None:
        lines["allowed"] = str(topology.allowed)
    if topology.cores is not None:
        threads = sorted({len(core) for core in topology.cores})
        lines["cores"] = f"{len(topology.cores)} of {' or '.join(map(str, threads))} threads"
    for name, groups in (("packages", topology.packages), ("l3", topology.l3)):
        if groups is not None:
            lines[name] = " ".join(map(str, groups))
    for node in topology.nodes:
        parts = [f"CPUs {node.cpus}" if node.cpus else "no CPUs"]
        if node.memory_kib is not None:
            parts.append(size_text(node.memory_kib))
        if node.page_sizes_kib:
            parts.append(f"pages {' '.join(map(size_text, node.page_sizes_kib))}")
        if node.distances:
            parts.append(f"distances {' '.join(str(node.distances[id]) for id in sorted(node.distances))}")
        lines[f"node {node.id}"] = "; ".join(parts)
    for address, device in sorted((topology.pci or {}).items()):
        if device.parent_pf is None and _is_given(device):
            lines[f"pci {address}"] = _device(device)
    return lines


def _is_given(device: PciDevice) -> bool:
    return device.class_id is not None and (device.class_id >> 16 in _GIVEN or device.class_id >> 8 == 0x0108)


def _device(device: PciDevice) -> str:
    parts = ["no node" if device.node is None else f"node {device.node}"]
    if device.iommu_group is not None:
        parts.append(f"IOMMU group {device.iommu_group}")
    if device.sriov is not None:
        parts.append(f"{device.sriov.total_vfs} VFs")
    return ", ".join(parts)


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Each line that differs, in words; the lines that are gone last."""
    found = [
        f"{name}: now {text}, was {old[name]}" if name in old else f"{name}: new, {text}"
        for name, text in new.items()
        if old.get(name) != text
    ]
    found += [f"{name}: gone, was {text}" for name, text in old.items() if name not in new]
    if not found:
        return ("no size or place of a node, cache or device differs: CPUs are numbered or grouped otherwise",)
    return tuple(found[:_SHOWN]) + ((f"and {len(found) - _SHOWN} more",) if len(found) > _SHOWN else ())
