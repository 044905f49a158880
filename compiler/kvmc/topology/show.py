"""A topology for a person: the host as nested text, with what is odd about it marked `!`."""

from __future__ import annotations

from collections.abc import Iterator

from kvmc.model.cpuset import CpuSet, union
from kvmc.model.values import size_text
from kvmc.topology.model import Facts, Memory, Node, PciDevice, Resctrl, Topology
from kvmc.topology.snapshot_write import dumps

_WIDTH = 100
_NVME = 0x010802
_KINDS = {0x02: "network", 0x03: "display", 0x12: "accelerator"}
"""PCI base classes of devices that guests are given; a switch or a bridge is none of them."""


_MEMORY = {
    Memory.DRAM: "DRAM",
    Memory.HBM: "HBM",
    Memory.NVM: "persistent memory",
    Memory.CXL: "CXL memory",
    Memory.GPU: "a GPU",
    Memory.SPECIAL: "specific-purpose memory",
}


def to_json(topology: Topology) -> str:
    """For tools: the snapshot's text."""
    return dumps(topology)


def draw(topology: Topology) -> str:
    """Nodes with their memory, L3s and cores with their threads, offline CPUs, and the devices that guests may want."""
    return "\n".join(line.rstrip() for line in _draw(topology)) + "\n"


def _draw(topology: Topology) -> Iterator[str]:
    yield _head(topology)
    yield f"online   {topology.online}"
    if topology.offline:
        yield f"offline  {topology.offline}"
    if topology.allowed is not None:
        yield f"allowed  {topology.allowed} (disallowed {topology.disallowed})"
    for kind, cpus in sorted((topology.core_kinds or {}).items()):
        yield f"{kind} cores: CPUs {cpus}"
    if topology.caches:
        yield "caches   " + ", ".join(
            f"L{cache.level} {cache.type} {size_text(cache.size_kib)}"
            + ("" if cache.cpus == topology.online else f" ({_short(cache.cpus)})")
            for cache in topology.caches
        )
    if topology.resctrl:
        yield "resctrl  " + ", ".join(map(_limit, topology.resctrl))
    if topology.facts is not None:
        yield from _platform(topology.facts)
    for index, package in enumerate(topology.packages or ()):
        yield f"package {index}: CPUs {_short(package)}, {_nodes(topology, package)}".rstrip(", ")
    for node in topology.nodes:
        yield ""
        yield from _node(node, topology)
    rest = topology.online - union(node.cpus for node in topology.nodes)
    if rest:
        yield ""
        yield "in no node"
        yield from _cores(rest, topology, "  ")
    unplaced = [
        device for device in _devices(topology) if topology.node(-1 if device.node is None else device.node) is None
    ]
    if unplaced:
        yield ""
        yield "devices of no node"
        yield from (f"  {_device(device)}" for device in unplaced)
    odd = [f"! {text}" for text in _odd(topology)] + [f"? {text}" for text in _missing(topology)]
    if odd:
        yield ""
        yield from odd


def _limit(limit: Resctrl) -> str:
    parts = [f"{limit.resource} {_count(limit.closids, 'group')}"]
    if limit.ways is not None:
        parts.append(f"of {_count(limit.ways, 'way')}")
    if limit.step_percent is not None:
        parts.append(f"in steps of {limit.step_percent} %")
    return " ".join(parts)


def _platform(facts: Facts) -> Iterator[str]:
    versions = (("kernel", facts.kernel), ("libvirt", facts.libvirt), ("QEMU", facts.qemu), ("tuned", facts.tuned))
    told = [f"{name} {version}" for name, version in versions if version is not None]
    counts = (
        (len(facts.kernel_config), "kernel option"),
        (len(facts.sysctls), "sysctl"),
        (len(facts.modules), "module"),
    )
    told += [_count(number, what) for number, what in counts if number]
    if told:
        yield "platform " + ", ".join(told)


def _head(topology: Topology) -> str:
    parts = [topology.arch, topology.cpu.model or topology.cpu.vendor or "CPU not told"]
    if topology.packages is not None:
        parts.append(_count(len(topology.packages), "package"))
    parts.append(_count(len(topology.nodes), "node"))
    if topology.l3 is not None:
        parts.append(_count(len(topology.l3), "L3"))
    if topology.cores is not None:
        parts.append(_count(len(topology.cores), "core"))
    parts.append(_count(len(topology.online), "CPU"))
    return ", ".join(parts)


def _node(node: Node, topology: Topology) -> Iterator[str]:
    parts = ["memory not told" if node.memory_kib is None else f"memory {_memory(node.memory_kib)}"]
    if node.memory is not None:
        parts[0] += f" of {_MEMORY[node.memory]}"
    if node.page_sizes_kib:
        parts.append("pages " + " ".join(size_text(size) for size in node.page_sizes_kib))
    if len(node.distances) > 1:
        parts.append("distances " + " ".join(f"{id}:{value}" for id, value in sorted(node.distances.items())))
    yield f"node {node.id}: {', '.join(parts)}"
    if node.cpus:
        yield from _cores(node.cpus, topology, "  ")
    else:
        yield "  no CPUs"
    yield from (f"  {_device(device)}" for device in _devices(topology) if device.node == node.id)


def _cores(cpus: CpuSet, topology: Topology, indent: str) -> Iterator[str]:
    """The cores among some CPUs, by L3."""
    rest = cpus
    for index, cache in enumerate(topology.l3 or ()):
        part = cache & cpus
        if part:
            note = "" if part == cache else f", shared with {_nodes(topology, cache - part)}".rstrip()
            yield f"{indent}L3 {index}{note}"
            yield from _threads(part, topology, indent + "  ")
            rest = rest - part
    if rest:
        if topology.l3:
            yield f"{indent}outside every L3"
            indent += "  "
        yield from _threads(rest, topology, indent)


def _threads(cpus: CpuSet, topology: Topology, indent: str) -> Iterator[str]:
    """`[0 56]` is a core of two threads, as many on a line as fit."""
    if topology.cores is None:
        yield f"{indent}CPUs {cpus} (cores not told)"
        return
    cores = [core & cpus for core in topology.cores if core & cpus]
    words = [f"[{' '.join(str(cpu) for cpu in core)}]" for core in cores]
    words += [f"{cpu}?" for cpu in cpus - union(cores)]
    line = indent
    for word in words:
        if len(line) + len(word) > _WIDTH and line.strip():
            yield line
            line = indent
        line += word + " "
    yield line


def _devices(topology: Topology) -> list[PciDevice]:
    """Devices that a guest may be given: SR-IOV physical functions, GPUs and accelerators, NVMe drives."""
    return [
        device
        for _, device in sorted((topology.pci or {}).items())
        if device.parent_pf is None and _interesting(device)
    ]


def _interesting(device: PciDevice) -> bool:
    class_id = device.class_id
    return device.sriov is not None or (class_id is not None and (class_id == _NVME or class_id >> 16 in _KINDS))


def _device(device: PciDevice) -> str:
    class_id = device.class_id
    kind = "device"
    if class_id is not None:
        kind = "NVMe" if class_id == _NVME else _KINDS.get(class_id >> 16, f"class {class_id:06x}")
    ids = (
        ""
        if device.vendor_id is None or device.device_id is None
        else f" {device.vendor_id:04x}:{device.device_id:04x}"
    )
    vfs = "" if device.sriov is None else f", SR-IOV up to {_count(device.sriov.total_vfs, 'VF')}"
    group = "" if device.iommu_group is None else f", IOMMU group {device.iommu_group}"
    near = "" if device.node is not None or device.local_cpus is None else f", near CPUs {_short(device.local_cpus)}"
    return f"{device.address} {kind}{ids}{vfs}{group}{near}"


def _odd(topology: Topology) -> Iterator[str]:
    if topology.offline:
        yield f"{_count(len(topology.offline), 'CPU')} offline"
    if topology.allowed is not None:
        yield f"{_count(len(topology.online - topology.allowed), 'online CPU')} not allowed to this system"
    ids = [node.id for node in topology.nodes]
    if ids != list(range(len(ids))):
        yield "node numbers have gaps"
    bare = [str(node.id) for node in topology.nodes if not node.cpus]
    if bare:
        yield f"{_count(len(bare), 'node')} without CPUs: {', '.join(bare)}"
    empty = [str(node.id) for node in topology.nodes if node.memory_kib == 0]
    if empty:
        yield f"{_count(len(empty), 'node')} without memory: {', '.join(empty)}"
    if topology.core_kinds is not None:
        yield "cores of two kinds: guests on both see uneven speed"
    for cache in topology.l3 or ():
        if sum(bool(node.cpus & cache) for node in topology.nodes) > 1:
            yield f"the L3 of CPUs {_short(cache)} spans {_nodes(topology, cache)}"
    for package in topology.packages or ():
        if any(node.cpus & package and not node.cpus.issubset(package) for node in topology.nodes):
            yield f"a node holds more than the package of CPUs {_short(package)}"
            break
    threads = sorted({len(core) for core in topology.cores or ()})
    if len(threads) > 1:
        yield f"cores have different numbers of threads: {', '.join(str(number) for number in threads)}"
    pairs = {(a.id, b): value for a in topology.nodes for b, value in a.distances.items()}
    if any(pairs.get((b, a), value) != value for (a, b), value in pairs.items()):
        yield "distances between nodes are not symmetric"


def _missing(topology: Topology) -> Iterator[str]:
    """What placement needs and this does not tell, and what would tell it."""
    if not topology.nodes:
        yield "nodes not told: `lscpu -J`, `numactl -H` or a scan tell them"
    elif any(node.memory_kib is None for node in topology.nodes):
        yield "memory of nodes not told: `numactl -H`, `virsh capabilities` or a scan tell it"
    if topology.cores is None:
        yield "cores not told: `lscpu -J -e`, `virsh capabilities` or a scan tell them"
    if topology.l3 is None:
        yield "L3 caches not told: `lscpu -J -e`, newer `virsh capabilities` or a scan tell them"
    if topology.pci is None:
        yield "PCI devices not told: a scan tells them"


def _nodes(topology: Topology, cpus: CpuSet) -> str:
    """`node 0`, `nodes 0, 2`: those that hold some of the CPUs."""
    ids = [str(node.id) for node in topology.nodes if node.cpus & cpus]
    return f"node{'' if len(ids) == 1 else 's'} {', '.join(ids)}" if ids else ""


def _short(cpus: CpuSet) -> str:
    """The list form, or its two ends and its size where CPUs alternate."""
    text = str(cpus)
    return text if len(text) <= 40 else f"{text.partition(',')[0]},…,{text.rpartition(',')[2]} ({len(cpus)} CPUs)"


def _memory(kib: int) -> str:
    return f"{kib / 1024**2:.1f} GiB"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
