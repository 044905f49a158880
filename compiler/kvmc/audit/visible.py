"""What a guest is to see of its CPUs: all that its pins share, where libvirt and QEMU can say it, and nothing that they do not.

QEMU on x86 (target/i386/cpu.c): vCPU numbers fill threads, then cores, dies and sockets; an L3 belongs to a die. So where the dies
cannot be one L3 each, no L3 is shown. On AMD the leaves of threads and of caches come together, with `topoext`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.audit.context import Context, cells_of, nodes_for
from kvmc.audit.domain import Domain
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Pinning, Platform, Vm

_AMD = ("AuthenticAMD", "HygonGenuine")
_WIDEST_APIC_ID = 254
"""Above it lies xAPIC's broadcast id, and interrupts reach a CPU by remapping alone."""


@dataclass(frozen=True, slots=True)
class View:
    """`cache`: libvirt's mode, None for QEMU's own. `topoext`: its policy, None where the model's own stays."""

    sockets: int
    dies: int
    cores: int
    threads: int
    cache: str | None
    topoext: str | None

    @property
    def wide(self) -> bool:
        """Whether some vCPU has an APIC id that interrupts reach by remapping alone."""
        id = self.sockets - 1
        for count in (self.dies, self.cores, self.threads):
            id = (id << (count - 1).bit_length()) + count - 1
        return id > _WIDEST_APIC_ID


def expected(context: Context, vm: Vm, domain: Domain, platform: Platform) -> View | None:
    """None where the files do not tell the pins."""
    host = context.topology
    # Nodes of memory alone, which come last, say nothing of CPUs.
    cells = [cell.value.vcpus for cell in cells_of(domain)]
    while cells and not cells[-1]:
        cells.pop()
    if not cells or not all(cells) or any(vcpu not in domain.pins for cell in cells for vcpu in cell):
        return None
    pins = [[domain.pins[vcpu].value for vcpu in cell] for cell in cells]
    width = len(cells[0])
    blocks = [CpuSet.of(range(index * width, (index + 1) * width)) for index in range(len(cells))]
    even = cells == blocks
    sockets = len(cells) if even else 1
    vendor = host.cpu.vendor
    amd = vm.type == "kvm" and (
        vendor in _AMD if vendor is not None else "svm" in host.cpu.features or vm.cpu.startswith("EPYC")
    )

    if vm.machine.startswith("virt-"):  # QEMU's virt declares neither dies nor caches: the guest reads the CPU's own
        line = [pin for _, pin in sorted((vcpu, domain.pins[vcpu].value) for cell in cells for vcpu in cell)]
        single = vm.pinning is Pinning.DEDICATED and all(len(pin) == 1 for pin in line)
        threads = _threads(context, line) if single else 1
        return View(sockets, 1, vm.vcpus // sockets // threads, threads, None, None)

    def flat() -> View:
        return View(sockets, 1, vm.vcpus // sockets, 1, "disable", "disable" if amd else None)

    def within_one(cpus: CpuSet) -> bool:
        return any(cpus.issubset(cache) for cache in host.l3 or ())

    if vm.pinning is Pinning.SHARED:
        near = even and all(within_one(union(cell)) for cell in pins)
        return View(sockets, 1, vm.vcpus // sockets, 1, None, None) if near else flat()
    if vm.pinning is Pinning.MIXED:
        return flat()
    line = [pin for _, pin in sorted((vcpu, domain.pins[vcpu].value) for cell in cells for vcpu in cell)]
    if any(len(pin) != 1 for pin in line):
        return None
    threads = _threads(context, line)
    dies = _dies(context, pins, threads)
    if dies is not None and dies > 1 and not platform.libvirt.since(6, 1):
        dies = None
    if dies is None or not even:
        threads = 1 if amd else threads
        return View(sockets, 1, vm.vcpus // sockets // threads, threads, "disable", "disable" if amd else None)
    own = vm.type == "kvm" and vm.cpu == "host-passthrough"
    cache = "passthrough" if own and _same_caches(context, pins, threads) else None
    topoext = "require" if amd and max(dies, threads) > 1 else None
    return View(sockets, dies, vm.vcpus // sockets // dies // threads, threads, cache, topoext)


def _threads(context: Context, line: list[CpuSet]) -> int:
    """The host's threads a core, where the vCPUs in order fill whole cores; else 1."""
    size = len(context.core(line[0].first))
    if context.topology.cores is None or len(line) % size:
        return 1
    groups = [line[start : start + size] for start in range(0, len(line), size)]
    return size if all(union(group) == context.core(group[0].first) for group in groups) else 1


def _dies(context: Context, pins: list[list[CpuSet]], threads: int) -> int | None:
    """How many L3 caches each cell has, each with as many vCPUs as every other, one after the other."""
    shapes: set[tuple[int, int]] = set()
    for cell in pins:
        caches = [next((cache for cache in context.topology.l3 or () if pin.issubset(cache)), None) for pin in cell]
        if None in caches:
            return None
        count = len(set(caches))
        length = len(cell) // count
        runs = [caches[start : start + length] for start in range(0, len(cell), length)]
        if len(runs) != count or any(len(set(run)) != 1 for run in runs) or length % threads:
            return None
        shapes.add((count, length))
    return shapes.pop()[0] if len(shapes) == 1 else None


def _same_caches(context: Context, pins: list[list[CpuSet]], threads: int) -> bool:
    """Whether the host's own cache leaves are true of the guest: each cell is all of an L3, its cores are whole, no L2 is wider."""
    host = context.topology
    if host.l3 is None or host.cores is None or any(len(cluster) > threads for cluster in host.clusters or ()):
        return False
    return all(union(cell) in host.l3 for cell in pins) and all(
        len(context.core(pin.first)) == threads for cell in pins for pin in cell
    )


def distances(context: Context, domain: Domain) -> list[list[int]] | None:
    """The distance of each cell to each, as the host's nodes have it; None where it has one cell or the host does not tell."""
    wheres = [nodes_for(domain, cell.value.id) for cell in domain.cells]
    ids = [where.value.first for where in wheres if where is not None and where.value]
    nodes = [context.topology.node(id) for id in ids]
    if len(ids) < 2 or len(ids) != len(domain.cells):
        return None
    if any(node is None or any(id not in node.distances for id in ids) for node in nodes):
        return None
    return [
        [10 if node.id == id else min(max(node.distances[id], 11), 254) for id in ids]
        for node in nodes
        if node is not None
    ]
