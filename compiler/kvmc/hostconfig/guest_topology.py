"""What a guest is told of its CPUs: never sharing or nearness that its pins do not have.

What QEMU makes of a topology on x86 (target/i386/cpu.c, CPUID leaves 4, 0xB, 0x1F and 0x8000001D): vCPU numbers fill threads, then
cores, dies and sockets; L1 and L2 belong to a core; L3 belongs to a die. So one L3 a die is the only way to say where L3 caches
are, and a guest whose dies are not one L3 each is told of no L3 at all (`cache mode='disable'`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from kvmc.hostconfig.plan import CpuTopology
from kvmc.model.cpuset import CpuSet, union
from kvmc.resolver.placement import CellPlacement
from kvmc.topology import Topology

LOCAL_DISTANCE = 10
"""ACPI SLIT: a node to itself. Linux drops the whole table where another entry is not above it (slit_valid), or 255 is reached."""
MAX_DISTANCE = 254


@dataclass(frozen=True, slots=True)
class CpuShape:
    """A guest's topology; `cache`: libvirt's `<cache mode>`, None for QEMU's default of one L3 a die. `hidden`: what its pins share
    and the guest is not told, for people; empty where it is told all."""

    topology: CpuTopology
    cache: str | None
    hidden: tuple[str, ...] = ()


def cpu_shape(
    cells: Sequence[CellPlacement], host: Topology, *, pinned: bool, host_cpu: bool, dies_known: bool
) -> CpuShape:
    """The topology of a guest. The product of its parts is the number of vCPUs.

    pinned: each vCPU has a CPU of its own. host_cpu: the guest has the host's CPU model, whose caches can be passed through.
    dies_known: the platform can declare dies.
    """
    vcpus = sum(len(cell.vcpus) for cell in cells)
    even = _even(cells)
    sockets = len(cells) if even else 1
    if not pinned:
        within = even and all(_within_one(union(cell.pins), host.l3) for cell in cells)
        return CpuShape(CpuTopology(sockets, 1, vcpus // sockets, 1), None if within else "disable")

    hidden: list[str] = []
    if not even:
        hidden.append("its cells differ in size, so they are not sockets")
    threads = _threads(cells, host)
    if threads == 1 and _share_cores(cells, host):
        hidden.append("some of its vCPUs are siblings and others are not, so all are shown as cores")
    dies = _dies(cells, host, threads)
    if dies is None:
        if host.l3 is None:
            hidden.append("the topology does not tell which CPUs share an L3 cache, so none is shown")
        else:
            hidden.append("its vCPUs are spread over L3 caches unevenly, so no L3 cache is shown")
    elif dies > 1 and not dies_known:
        hidden.append("its cells span several L3 caches, and the platform's libvirt is older than 6.1 and has no dies")
        dies = None
    true_l3 = even and dies is not None
    shown = dies if true_l3 and dies is not None else 1
    cache = None if true_l3 else "disable"
    if true_l3 and shown == 1 and host_cpu and _whole_caches(cells, host, threads):
        cache = "passthrough"
    return CpuShape(CpuTopology(sockets, shown, vcpus // sockets // shown // threads, threads), cache, tuple(hidden))


def cell_distances(nodes: Sequence[int], host: Topology) -> tuple[tuple[int, ...], ...]:
    """For each guest cell its distances to all of them, in order. Empty rows for one cell, or where the host tells not all: then
    the guest has ACPI's default, 10 and 20."""
    rows: list[tuple[int, ...]] = []
    for source in nodes:
        node = host.node(source)
        told = node.distances if node is not None else {}
        if len(nodes) < 2 or any(target not in told for target in nodes):
            return ((),) * len(nodes)
        rows.append(
            tuple(
                LOCAL_DISTANCE if target == source else min(max(told[target], LOCAL_DISTANCE + 1), MAX_DISTANCE)
                for target in nodes
            )
        )
    return tuple(rows)


def highest_apic_id(topology: CpuTopology) -> int:
    """The largest APIC id that QEMU gives: each level takes a whole number of bits (include/hw/i386/topology.h)."""
    value = topology.sockets - 1
    for count in (topology.dies, topology.cores, topology.threads):
        value = (value << (count - 1).bit_length()) | (count - 1)
    return value


def _even(cells: Sequence[CellPlacement]) -> bool:
    """Whether the cells are runs of vCPUs of one size, in order: then each can be a socket."""
    size = len(cells[0].vcpus)
    return all(cell.vcpus == tuple(range(index * size, (index + 1) * size)) for index, cell in enumerate(cells))


def _within_one(cpus: CpuSet, groups: Sequence[CpuSet] | None) -> bool:
    return groups is not None and any(cpus.issubset(group) for group in groups)


def _threads(cells: Sequence[CellPlacement], host: Topology) -> int:
    """Threads a core: the size of the host's cores if every core of the guest is one of them whole, else 1."""
    cores = set(host.cores or ())
    size = next((len(core) for core in host.cores or () if cells[0].pins[0].issubset(core)), 1)
    for cell in cells:
        chunks = [union(cell.pins[start : start + size]) for start in range(0, len(cell.pins), size)]
        if any(chunk not in cores or len(chunk) != size for chunk in chunks):
            return 1
    return size


def _share_cores(cells: Sequence[CellPlacement], host: Topology) -> bool:
    pins = union(pin for cell in cells for pin in cell.pins)
    return any(len(core & pins) > 1 for core in host.cores or ())


def _dies(cells: Sequence[CellPlacement], host: Topology, threads: int) -> int | None:
    """L3 caches a cell, where every cell is made of runs of vCPUs of one length, each run in an L3 of its own; else None."""
    owner = {cpu: index for index, group in enumerate(host.l3 or ()) for cpu in group}
    counts: set[int] = set()
    lengths: set[int] = set()
    for cell in cells:
        caches = [owner.get(pin.first) for pin in cell.pins]
        runs = [(cache, len(list(run))) for cache, run in groupby(caches)]
        if None in caches or len({cache for cache, _ in runs}) != len(runs):
            return None
        counts.add(len(runs))
        lengths.update(length for _, length in runs)
    if len(counts) != 1 or len(lengths) != 1 or lengths.pop() % threads:
        return None
    return counts.pop()


def _whole_caches(cells: Sequence[CellPlacement], host: Topology, threads: int) -> bool:
    """Whether the host's cache leaves are true for the guest as they are: every cell is a whole L3, each of its cores a whole core,
    and no L2 is shared between cores. QEMU caps the sharing in leaf 4 at a socket's vCPUs, so one L3 a socket is needed too."""
    if host.l3 is None or host.cores is None:
        return False
    wide = any(len(cluster) > threads for cluster in host.clusters or ())
    pins = union(pin for cell in cells for pin in cell.pins)
    cores_whole = all(len(core) == threads for core in host.cores if core & pins)
    return not wide and cores_whole and all(union(cell.pins) in host.l3 for cell in cells)
