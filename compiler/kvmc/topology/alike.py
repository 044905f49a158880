"""Whether hosts have the same shape: what a guest placed on either would find. Numbers of CPUs and devices may differ."""

from __future__ import annotations

from collections import Counter

from kvmc.model.values import size_text
from kvmc.topology.model import Node, PciDevice, Topology

_MANAGEMENT = (0x1A03, 0x102B)
"""Vendors of management controllers' graphics: ASPEED and Matrox."""
_GIB = 1024**2
_MEMORY_STEP = 20
"""Memory is alike within a twentieth: firmware and kernels keep different parts of it."""


def unlike(first: Topology, other: Topology) -> tuple[str, ...]:
    """What differs, `what: first and other`; empty where the hosts are alike. What one does not tell is not compared."""
    found: list[str] = []
    mine, theirs = _shape(first), _shape(other)
    for what, value in mine.items():
        if value is not None and theirs[what] is not None and value != theirs[what]:
            found.append(f"{what}: {value} and {theirs[what]}")
    found += _memory(first, other)
    return tuple(found)


def _shape(topology: Topology) -> dict[str, str | None]:
    nodes = [node for node in topology.nodes if node.cpus]
    bare = [node for node in topology.nodes if not node.cpus]
    sizes = {size for node in topology.nodes for size in node.page_sizes_kib}
    return {
        "architecture": None if topology.arch == "unknown" else topology.arch,
        "CPU": topology.cpu.model,
        "packages": None if topology.packages is None else str(len(topology.packages)),
        "cores": _counts([len(core) for core in topology.cores], "threads") if topology.cores is not None else None,
        "nodes with CPUs": _counts([len(node.cpus) for node in nodes], "CPUs"),
        "nodes without CPUs": str(len(bare)),
        "L3 caches": _counts([len(cache) for cache in topology.l3], "CPUs") if topology.l3 is not None else None,
        "page sizes": " ".join(map(size_text, sorted(sizes))) or None,
        "SR-IOV devices and accelerators": _devices(topology),
    }


def _counts(sizes: list[int], what: str) -> str:
    """`4 of 16 CPUs`, the most frequent size first."""
    found = sorted(Counter(sizes).items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{number} of {size} {what}" for size, number in found) or "none"


def _devices(topology: Topology) -> str | None:
    if topology.pci is None:
        return None
    found = Counter(
        f"{device.vendor_id or 0:04x}:{device.device_id or 0:04x} on "
        + ("no node" if device.node is None else f"node {_place(topology, device.node)}")
        for device in topology.pci.values()
        if device.parent_pf is None and (device.sriov is not None or _accelerates(device))
    )
    return ", ".join(f"{number} {name}" for name, number in sorted(found.items())) or "none"


def _accelerates(device: PciDevice) -> bool:
    """A GPU or accelerator, and not the graphics of the board's management controller."""
    return (device.class_id or 0) >> 16 in (0x03, 0x12) and device.vendor_id not in _MANAGEMENT


def _place(topology: Topology, id: int) -> int:
    """Its place among the nodes: their numbers may have gaps on one host."""
    return next((index for index, node in enumerate(topology.nodes) if node.id == id), id)


def _memory(first: Topology, other: Topology) -> list[str]:
    if len(first.nodes) != len(other.nodes):
        return []
    for mine, theirs in zip(first.nodes, other.nodes, strict=True):
        known = (mine.memory_kib, theirs.memory_kib)
        if known[0] is None or known[1] is None:
            continue
        if abs(known[0] - known[1]) * _MEMORY_STEP > max(known[0], known[1]):
            return [f"memory of {_name(mine, theirs)}: {known[0] / _GIB:.1f} GiB and {known[1] / _GIB:.1f} GiB"]
    return []


def _name(mine: Node, theirs: Node) -> str:
    return f"node {mine.id}" if mine.id == theirs.id else f"nodes {mine.id} and {theirs.id}"
