"""One immutable description of a host: what placement and the host's settings depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress


@dataclass(frozen=True, slots=True)
class Cpu:
    """The CPU as the kernel names it. None or empty where the source does not tell."""

    vendor: str | None = None
    """`GenuineIntel`, `AuthenticAMD`, ... as in /proc/cpuinfo."""
    model: str | None = None
    features: frozenset[str] = frozenset()


class Memory(StrEnum):
    """What a node's memory is made of, where a source tells."""

    DRAM = "dram"
    HBM = "hbm"
    NVM = "nvm"
    """Persistent memory used as memory."""
    CXL = "cxl"
    GPU = "gpu"
    SPECIAL = "special"
    """Set aside by the firmware (EFI specific-purpose memory): HBM or CXL, which the source does not tell apart."""


class CoreKind(StrEnum):
    """Of a hybrid CPU's cores."""

    PERFORMANCE = "performance"
    EFFICIENCY = "efficiency"


@dataclass(frozen=True, slots=True)
class CacheKind:
    """Each CPU in `cpus` has a cache of this level, type and size. How CPUs share a L3 is told by `Topology.l3`."""

    level: int
    type: str
    """`data`, `instruction` or `unified`."""
    size_kib: int
    cpus: CpuSet


@dataclass(frozen=True, slots=True)
class Resctrl:
    """The limits of one resource of resctrl (`L3`, `L3CODE`, `L2`, `MB`, ...). None where the source does not tell.

    ways, min_ways: bits of a full cache mask and the fewest of a mask. way_kib: the cache behind one bit. step_percent,
    min_percent: of memory bandwidth.
    """

    resource: str
    closids: int
    """Groups that can exist at once, the default group among them."""
    ways: int | None = None
    min_ways: int | None = None
    way_kib: int | None = None
    step_percent: int | None = None
    min_percent: int | None = None


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
    memory: Memory | None = None

    @property
    def kind(self) -> str:
        """`normal`, `CPU-less`, `memory-less`, or `empty` where it has neither."""
        if self.memory_kib == 0:
            return "memory-less" if self.cpus else "empty"
        return "normal" if self.cpus else "CPU-less"


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
    root: str | None = None
    """Its root complex, by domain and bus: `0000:3a`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the host's software is, beyond its hardware. None or empty where not told.

    Versions are whole, as the programs print them (`6.1.0-18-amd64`, `9.0.0`). kernel_config: options that matter to a KVM host,
    by name without `CONFIG_`. sysctls: names that exist, dots between the parts, `*` for an interface. modules: parameters that
    each module has, by module. domcapabilities: libvirt's XML, line by line. debugfs: names of files by folder, where root looked.
    """

    kernel: str | None = None
    libvirt: str | None = None
    qemu: str | None = None
    tuned: str | None = None
    kernel_config: Mapping[str, str] = field(default_factory=dict)
    sysctls: tuple[str, ...] = ()
    modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    domcapabilities: tuple[str, ...] = ()
    debugfs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topology:
    """A host. Groups of CPUs are disjoint, hold online CPUs only, and are ordered by their first CPU; None: not told.

    cores: one set of sibling threads a core. l3: one set a L3 cache; a core outside every L3 is in none of them. modules: parts of
    a die whose cores share more than that (hwloc's module, tile or compute unit). core_kinds: of a hybrid CPU. allowed: the CPUs
    that this system may use (cgroup), where it is less than all. facts: only in a snapshot that a scan made.
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
    modules: tuple[CpuSet, ...] | None = None
    core_kinds: Mapping[CoreKind, CpuSet] | None = None
    caches: tuple[CacheKind, ...] | None = None
    """By level, type and size, ascending."""
    resctrl: tuple[Resctrl, ...] | None = None
    """By resource."""
    facts: Facts | None = None
    l3_ids: tuple[int, ...] | None = None
    """The kernel's number of each L3 cache (`cache/index3/id`), in the order of `l3`; told with the limits of resctrl."""

    @property
    def disallowed(self) -> CpuSet:
        """Online CPUs that this system may not use."""
        return CpuSet() if self.allowed is None else self.online - self.allowed

    @property
    def usable(self) -> CpuSet:
        """Online CPUs that this system may use."""
        return self.online if self.allowed is None else self.online & self.allowed

    def node(self, id: int) -> Node | None:
        return next((node for node in self.nodes if node.id == id), None)
