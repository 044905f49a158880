"""What a guest is told of its CPUs: never sharing or nearness that its pins do not have.

What QEMU makes of a topology on x86 (target/i386/cpu.c, CPUID leaves 4, 0xB, 0x1F and 0x8000001D): vCPU numbers fill threads, then
cores, dies and sockets; L1 and L2 belong to a core; L3 belongs to a die. So one L3 a die is the only way to say where L3 caches
are, and a guest whose dies are not one L3 each is told of no L3 at all (`cache mode='disable'`).

AMD's leaves for threads (0x8000001E) and caches (0x8000001D) come with the feature `topoext`. QEMU leaves it out of the host's own
model unless it is named, and with it shows an L3 a die whatever the cache mode says. So an AMD guest has both, true dies and
threads, or neither: flat cores and no `topoext`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from kvmc.hostconfig.plan import CpuTopology
from kvmc.model.cpuset import EMPTY, CpuSet, union
from kvmc.resolver.placement import CellPlacement
from kvmc.topology import Topology

LOCAL_DISTANCE = 10
"""ACPI SLIT: a node to itself. Linux drops the whole table where another entry is not above it (slit_valid), or 255 is reached."""
MAX_DISTANCE = 254


@dataclass(frozen=True, slots=True)
class CpuShape:
    """A guest's topology; `cache`: libvirt's `<cache mode>`, None for QEMU's default of one L3 a die. `features`: what makes the
    CPU model show them, name and policy. `hidden`: what its pins share and the guest is not told, for people."""

    topology: CpuTopology
    cache: str | None
    features: tuple[tuple[str, str], ...] = ()
    hidden: tuple[str, ...] = ()


def cpu_shape(
    cells: Sequence[CellPlacement],
    host: Topology,
    *,
    pinned: bool,
    host_cpu: bool,
    amd: bool,
    dies_known: bool,
    arm: bool = False,
    floating: CpuSet = EMPTY,
) -> CpuShape:
    """The topology of a guest. The product of its parts is the number of vCPUs.

    pinned: each vCPU has a CPU of its own. host_cpu: the guest has the host's CPU model, whose caches can be passed through.
    amd: the guest's CPU is of AMD's kind. dies_known: the platform can declare dies. arm: QEMU's `virt`, which has neither dies nor
    caches to declare: the guest reads the caches of the CPU that it runs on from the CPU itself.
    amd: the guest's CPU is of AMD's kind. dies_known: the platform can declare dies. floating: the vCPUs of a mixed guest that
    have no CPU of their own: they share cores and caches with others as the scheduler likes, so nothing is told of any.
    """
    vcpus = sum(len(cell.vcpus) for cell in cells)
    even = _even(cells)
    sockets = len(cells) if even else 1
    if arm:
        threads = _threads(cells, host) if pinned else 1
        return CpuShape(CpuTopology(sockets, 1, vcpus // sockets // threads, threads), None)
    if not pinned:
        within = even and all(_within_one(union(cell.pins), host.l3) for cell in cells)
        flat = CpuTopology(sockets, 1, vcpus // sockets, 1)
        return CpuShape(flat, None) if within else CpuShape(flat, "disable", _amd_features(amd, "disable"))

    hidden: list[str] = []
    if floating:
        if _share_cores(cells, host, floating):
            hidden.append("some of its vCPUs float, so those that are siblings are shown as cores too")
        return CpuShape(
            CpuTopology(sockets, 1, vcpus // sockets, 1), "disable", _amd_features(amd, "disable"), tuple(hidden)
        )
    if not even:
        hidden.append("its cells differ in size or vCPU order, so they are not sockets")
    threads = _threads(cells, host)
    if threads == 1 and _share_cores(cells, host):
        hidden.append("some of its vCPUs are siblings and others are not, so all are shown as cores")
    dies = _dies(cells, host, threads)
    if dies is None and host.l3 is None:
        hidden.append("the topology does not tell which CPUs share an L3 cache, so none is shown")
    elif dies is None and even:
        hidden.append("its vCPUs are spread over L3 caches unevenly, so no L3 cache is shown")
    elif dies is not None and dies > 1 and not dies_known:
        hidden.append("its cells span several L3 caches, and the platform's libvirt is older than 6.1 and has no dies")
        dies = None
    if dies is None or not even:
        if amd and threads > 1:
            hidden.append("AMD's CPUID tells of siblings only together with L3 caches, so all are shown as cores")
            threads = 1
        shape = CpuTopology(sockets, 1, vcpus // sockets // threads, threads)
        return CpuShape(shape, "disable", _amd_features(amd, "disable"), tuple(hidden))
    cache = "passthrough" if host_cpu and _whole_caches(cells, host, threads) else None
    told = amd and (dies > 1 or threads > 1)
    shape = CpuTopology(sockets, dies, vcpus // sockets // dies // threads, threads)
    return CpuShape(shape, cache, _amd_features(told, "require"), tuple(hidden))


def _amd_features(wanted: bool, policy: str) -> tuple[tuple[str, str], ...]:
    return (("topoext", policy),) if wanted else ()


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
    """Threads a core: the size of the host's cores if, in the order of vCPU numbers, every core of the guest is one of them whole;
    else 1."""
    pins = [pin for _, pin in sorted(pair for cell in cells for pair in zip(cell.vcpus, cell.pins, strict=True))]
    cores = set(host.cores or ())
    size = next((len(core) for core in cores if pins[0].issubset(core)), 1)
    chunks = [union(pins[start : start + size]) for start in range(0, len(pins), size)]
    return size if all(chunk in cores and len(chunk) == size for chunk in chunks) else 1


def _share_cores(cells: Sequence[CellPlacement], host: Topology, floating: CpuSet = EMPTY) -> bool:
    pins = union(pin for cell in cells for vcpu, pin in zip(cell.vcpus, cell.pins, strict=True) if vcpu not in floating)
    return any(len(core & pins) > 1 for core in host.cores or ())


def _dies(cells: Sequence[CellPlacement], host: Topology, threads: int) -> int | None:
    """L3 caches a cell, where every cell is made of runs of vCPUs of one length, each run in an L3 of its own and of whole cores;
    else None."""
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
