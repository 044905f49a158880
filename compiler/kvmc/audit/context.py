"""What every check starts from: the files' values, the guests' kinds, and which places have been blamed already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kvmc.audit.domain import Cell, Domain, MemNode
from kvmc.audit.hostfiles import HostFiles, Role
from kvmc.audit.source import At
from kvmc.diagnostics import Bag, Severity, Span
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Pinning, Site, Vm
from kvmc.model.values import PciAddress
from kvmc.topology import PciDevice, Topology


@dataclass(frozen=True, slots=True)
class Floating:
    """A thread that may run on any CPU of a mask. `who` names it within its guest (`the emulator`). helper: it is no vCPU."""

    domain: Domain
    who: str
    mask: At[CpuSet]
    helper: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """One host under audit. `bag` holds all findings so far."""

    files: HostFiles
    site: Site | None
    bag: Bag

    @property
    def topology(self) -> Topology:
        return self.files.topology

    def blamed(self) -> set[Span]:
        """Places with an error: what else would be said of them has the same cause."""
        errors = [item for item in self.bag if item.severity is Severity.ERROR]
        return {label.span for item in errors for label in (item.primary, *item.secondary) if label is not None}

    def vm(self, domain: Domain) -> Vm | None:
        return self.site.vms.get(domain.name) if self.site else None

    def dedicated(self, domain: Domain) -> bool:
        """Whether the guest owns CPUs: as the site says, else when some vCPU has one CPU and not all the same."""
        vm = self.vm(domain)
        if vm is not None:
            return vm.pinning is not Pinning.SHARED
        masks = [at.value for at in domain.pins.values()]
        alike = len(masks) > 1 and len(set(masks)) == 1
        return any(len(mask) == 1 for mask in masks) and not alike

    def loose(self, domain: Domain) -> CpuSet:
        """The vCPUs of a mixed guest that are to float, as the site says."""
        vm = self.vm(domain)
        return vm.floating if vm is not None and vm.pinning is Pinning.MIXED else CpuSet()

    def owned(self) -> Iterator[tuple[Domain, int, At[CpuSet]]]:
        """Each vCPU that owns a CPU, with its pin."""
        for domain in self.files.domains:
            if self.dedicated(domain):
                loose = self.loose(domain)
                for vcpu, pin in sorted(domain.pins.items()):
                    if len(pin.value) == 1 and vcpu < domain.count and vcpu not in loose:
                        yield domain, vcpu, pin

    def floating(self) -> Iterator[Floating]:
        """Each thread with a mask of its own that owns no CPU; those of one mask once."""
        for domain in self.files.domains:
            dedicated, loose = self.dedicated(domain), self.loose(domain)
            if not domain.pins and domain.mask is not None:
                yield Floating(domain, "its vCPUs", domain.mask)
            for vcpu, pin in sorted(domain.pins.items()):
                if vcpu < domain.count and (not dedicated or len(pin.value) > 1 or vcpu in loose):
                    yield Floating(domain, f"vCPU {vcpu}", pin)
            if domain.emulator is not None:
                yield Floating(domain, "the emulator", domain.emulator, helper=True)
            for id, pin in sorted(domain.iothread_pins.items()):
                yield Floating(domain, f"I/O thread {id}", pin, helper=True)

    @property
    def firm(self) -> CpuSet:
        """Isolated CPUs, of which no set of the boot line says otherwise."""
        nohz = self.files.cpus(Role.NOHZ_FULL)
        return self.files.isolated & nohz if nohz else self.files.isolated

    @property
    def pool(self) -> CpuSet:
        """CPUs for guests alone, at their widest; empty where the files can't tell."""
        isolated, nohz = self.files.isolated, self.files.cpus(Role.NOHZ_FULL)
        if isolated:
            return isolated | nohz if nohz else isolated
        return self.files.cpus(Role.TUNED_ISOLATED) or self.files.cpus(Role.BANNED)

    @property
    def narrow(self) -> CpuSet:
        """CPUs for guests alone, at their narrowest."""
        return self.firm if self.files.isolated else self.pool

    @property
    def services(self) -> CpuSet:
        """CPUs of the system's services; empty where no file tells, or what tells is wrong."""
        blamed = self.blamed()
        return CpuSet() if any(one.span in blamed for one in self.files.of(Role.SERVICES)) else self.files.housekeeping

    def core(self, cpu: int) -> CpuSet:
        """The threads of the CPU's core; the CPU alone where the topology does not tell."""
        return next((core for core in self.topology.cores or () if cpu in core), CpuSet.of([cpu]))

    def nodes_of(self, cpus: CpuSet) -> CpuSet:
        """The nodes that the CPUs are on."""
        return CpuSet.of(node.id for node in self.topology.nodes if node.cpus & cpus)

    def cpus_of(self, nodes: Iterable[int]) -> CpuSet:
        found = (self.topology.node(id) for id in nodes)
        return union(node.cpus for node in found if node is not None)

    def device(self, address: PciAddress) -> PciDevice | None:
        """The function, also a VF that does not exist yet: then with its parent's node. None where there is none."""
        pci = self.topology.pci or {}
        if address in pci:
            return pci[address]
        for parent in pci.values():
            index = vf_index(parent, address)
            if index is not None:
                return PciDevice(address, node=parent.node, parent_pf=parent.address)
        return None


def vf_index(parent: PciDevice, address: PciAddress) -> int | None:
    """Which VF of the parent the address is, from 0; None where it is none (PCIe SR-IOV: routing ids)."""
    sriov = parent.sriov
    if sriov is None or address.domain != parent.address.domain:
        return None
    distance = _routing(address) - _routing(parent.address) - sriov.offset
    stride = sriov.stride or 1
    index, rest = divmod(distance, stride)
    return index if rest == 0 and 0 <= index < sriov.total_vfs else None


def _routing(address: PciAddress) -> int:
    return address.bus * 256 + address.slot * 8 + address.function


def cells_of(domain: Domain) -> tuple[At[Cell], ...]:
    """The guest's cells; one with everything where it has none."""
    if domain.cells or domain.memory is None:
        return domain.cells
    return (At(Cell(0, CpuSet.of(range(domain.count)), domain.memory.value), domain.memory.span),)


def nodes_for(domain: Domain, cell: int) -> At[CpuSet] | None:
    """The host nodes of a cell's memory; None where no file says."""
    own = bound(domain, cell)
    return At(own.value.nodes, own.span) if own else None


def bound(domain: Domain, cell: int) -> At[MemNode] | None:
    """What says where a cell's memory comes from."""
    own = next((at for at in domain.numa if at.value.cell == cell), None)
    return own or next((at for at in domain.numa if at.value.cell is None), None)
