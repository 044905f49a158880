"""One immutable description of a host: what placement and the host's settings depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress


@dataclass(frozen=True, slots=True)
class Cpu:
    """The CPU as the kernel names it. None or empty where the source does not tell."""

    vendor: str | None = None
    """`GenuineIntel`, `AuthenticAMD`, ... as in /proc/cpuinfo."""
    model: str | None = None
    features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Node:
    """A NUMA node. `cpus` are the online ones; empty for a node of memory alone."""

    id: int
    cpus: CpuSet
    memory_kib: int | None = None
    distances: Mapping[int, int] = field(default_factory=dict)
    """Distance to each node by its id (ACPI SLIT: 10 is the node itself); empty where the source does not tell."""
    page_sizes_kib: tuple[int, ...] = ()
    """Sizes of huge pages that the node offers, ascending; empty where the source does not tell."""


@dataclass(frozen=True, slots=True)
class Sriov:
    """What a physical function says of its virtual ones (PCIe SR-IOV capability; sysfs `sriov_*`).

    The VF number i (from 0) has the routing id of the parent plus `offset` plus i times `stride`; a routing id is bus * 256 +
    slot * 8 + function.
    """

    total_vfs: int
    offset: int
    stride: int


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A PCI function. `node` is None where the platform does not say (sysfs -1)."""

    address: PciAddress
    node: int | None = None
    local_cpus: CpuSet | None = None
    class_id: int | None = None
    """24 bits: base class, subclass, programming interface (0x020000 is Ethernet)."""
    vendor_id: int | None = None
    device_id: int | None = None
    iommu_group: int | None = None
    sriov: Sriov | None = None
    parent_pf: PciAddress | None = None
    """For a virtual function that exists: its physical function."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A host. Groups of CPUs are disjoint, hold online CPUs only, and are ordered by their first CPU; None: not told.

    cores: one set of sibling threads a core. l3: one set a L3 cache; a core outside every L3 is in none of them.
    allowed: the CPUs that this system may use (cgroup), where it is less than all.
    """

    arch: str
    online: CpuSet
    nodes: tuple[Node, ...]
    """Ascending by id."""
    packages: tuple[CpuSet, ...] | None
    cores: tuple[CpuSet, ...] | None
    l3: tuple[CpuSet, ...] | None
    dies: tuple[CpuSet, ...] | None = None
    clusters: tuple[CpuSet, ...] | None = None
    offline: CpuSet | None = None
    allowed: CpuSet | None = None
    pci: Mapping[PciAddress, PciDevice] | None = None
    cpu: Cpu = Cpu()

    @property
    def usable(self) -> CpuSet:
        """Online CPUs that this system may use."""
        return self.online if self.allowed is None else self.online & self.allowed

    def node(self, id: int) -> Node | None:
        return next((node for node in self.nodes if node.id == id), None)
