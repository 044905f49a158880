"""The validated site: what the user asked for, with classes and pools resolved, nothing left to look up but by name.

Sizes are in KiB. Mappings and tuples are in source order. No spans here (two equal sites are equal): where each value was set
stands beside it, in `Origins`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, InstanceOf

from kvmc.model.cpuset import EMPTY, CpuSet
from kvmc.model.values import PageCount, PciAddress, VersionRange
from kvmc.topology.model import Facts


class Boot(StrEnum):
    """How a host's kernel command line is kept."""

    GRUB = "grub"
    BLS = "bls"
    BOOTC = "bootc"


class Isolation(StrEnum):
    """Of a pool: what its dedicated CPUs are kept free of. Of a guest: what it needs of its host."""

    NONE = "none"
    BOOT = "boot"
    ANY = "any"


class Profile(StrEnum):
    """What a pool's hosts are tuned for: a table of knobs each (knowledge/profiles.py)."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    REALTIME = "realtime"


class Pinning(StrEnum):
    """`dedicated`: a CPU of its own for each vCPU. `shared`: all vCPUs float over the node's shared CPUs. `mixed`: some of them
    have a CPU of their own, the others float (Nova's hw:cpu_policy)."""

    DEDICATED = "dedicated"
    SHARED = "shared"
    MIXED = "mixed"


class Threads(StrEnum):
    """Nova's hw:cpu_thread_policy: whole sibling sets where they fit, always, or one thread a core with the rest idle."""

    PREFER = "prefer"
    REQUIRE = "require"
    ISOLATE = "isolate"


class Cores(StrEnum):
    """Of a hybrid CPU: the kind of the cores that a guest has. With `any` they may be of both."""

    ANY = "any"
    PERFORMANCE = "performance"
    EFFICIENCY = "efficiency"


class MemoryMode(StrEnum):
    """libvirt's numatune modes. `strict`: a node's memory comes from its host node alone. `preferred`: from there as far as there
    is some. `interleave`: from all nodes of the host in turn."""

    STRICT = "strict"
    PREFERRED = "preferred"
    INTERLEAVE = "interleave"


class MemoryKind(StrEnum):
    """What memory beside the usual is made of: the words of topologies."""

    HBM = "hbm"
    NVM = "nvm"
    CXL = "cxl"
    GPU = "gpu"
    SPECIAL = "special"


class L3(StrEnum):
    """Whether a guest's cell stays within one L3 cache."""

    REQUIRE = "require"
    PREFER = "prefer"
    ANY = "any"


class Emulator(StrEnum):
    """Where QEMU's own threads and I/O threads run: on the housekeeping CPUs of the guest's nodes, or on a whole core a node
    that is the guest's alone."""

    HOUSEKEEPING = "housekeeping"
    OWN = "own"


class Iothread(StrEnum):
    """Which I/O thread serves a disk: QEMU's main loop, one that the guest's disks share, or one of its own."""

    NONE = "none"
    SHARED = "shared"
    OWN = "own"


class Scheduler(StrEnum):
    """The policy of vCPU threads (libvirt's vcpusched)."""

    OTHER = "other"
    FIFO = "fifo"


class Domain(StrEnum):
    """What guests are kept apart by or together in, each a part of the one before it."""

    RACK = "rack"
    HOST = "host"
    PACKAGE = "package"
    NODE = "node"
    L3 = "l3"

    @property
    def text(self) -> str:
        return "L3 cache" if self is Domain.L3 else self.value


class Strength(StrEnum):
    """Whether a wish must be met: Nova's (anti-)affinity and its soft- forms."""

    REQUIRE = "require"
    PREFER = "prefer"


class Near(StrEnum):
    """Whether a passed device is on a node of its guest."""

    REQUIRE = "require"
    PREFER = "prefer"
    ANY = "any"


class IrqAffinity(StrEnum):
    """Of a pool: whether interrupts are put on the housekeeping CPUs of their device's node. Of a guest: whose node counts for the
    interrupts of its passed devices, the device's or that of its vCPUs."""

    NONE = "none"
    NODE = "node"
    DEVICE = "device"
    VCPUS = "vcpus"


class Locality(StrEnum):
    """How near near is: on a node of the guest's, or in a package that one of its nodes is in."""

    NODE = "node"
    PACKAGE = "package"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)


class Platform(_Model):
    """A host OS build: the versions that decide which knobs exist."""

    name: str
    kernel: VersionRange
    libvirt: VersionRange
    qemu: VersionRange
    tuned: VersionRange
    boot: Boot
    realtime: bool
    """The kernel is built with PREEMPT_RT."""
    emulator: str
    """Path of the QEMU binary on the host."""
    facts: str | None = None
    """Path of a snapshot that a scan of such a host made, below the folder of the site file."""
    known: InstanceOf[Facts] | None = None
    """What that snapshot tells of the software; wins over the versions. Not of the source: the driver reads it."""


class DevicePool(_Model):
    """PCI devices that guests may own one each: the VFs of its parents, or whole devices at `addresses`; never both."""

    name: str
    parent: PciAddress | None
    """The first of its parents."""
    vfs: int
    """Of each parent."""
    addresses: tuple[PciAddress, ...]
    others: tuple[PciAddress, ...] = ()
    """The parents behind the first."""

    @property
    def parents(self) -> tuple[PciAddress, ...]:
        """The physical functions whose virtual ones these are; none for whole devices."""
        return (self.parent, *self.others) if self.parent is not None else ()


class KindMemory(_Model):
    """What nodes without CPUs offer whose memory is of a kind, which is its name."""

    name: str
    pages: tuple[PageCount, ...]


class Raw(_Model):
    """A setting that kvmc has no word for. `name`: its carrier and its key, `sysctl vm.swappiness`; of a guest `xml` and a
    label."""

    name: str
    value: str | None
    """None: a word without a value."""
    reason: str | None
    at: str | None
    """Of a guest: the element that it stands in, as a path below `<domain>`."""

    @property
    def carrier(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def key(self) -> str:
        return self.name.partition(" ")[2]


class Host(_Model):
    """A host with its pool's settings resolved. All `*_cores` are whole cores in each node that has CPUs."""

    name: str
    pool: str | None
    platform: str
    topology: tuple[str, ...]
    """Paths of the topology's inputs, relative to the folder of the site file: one, or several that are combined."""
    rack: str | None
    isolation: Isolation
    profile: Profile
    housekeeping_cores: int
    housekeeping_threads: int
    """Budget: emulator, I/O and vhost threads a housekeeping CPU."""
    shared_cores: int
    shared_overcommit: int
    """Shared vCPUs a shared CPU, at most."""
    vswitch_cores: int
    reserve_memory_kib: int
    """Normal pages kept for the host, a node."""
    reserve_pages: tuple[PageCount, ...]
    """Huge pages kept for others, a node, beside those offered."""
    pages: tuple[PageCount, ...]
    """Huge pages offered to guests, in each node that has CPUs and memory."""
    devices: Mapping[str, DevicePool]
    memories: Mapping[str, KindMemory] = {}
    drained: bool = False
    """It gets no new guests."""
    host_failures: int = 0
    """1: the guests of any one host of the pool must have a place without it."""
    shared_overcommits: tuple[int, ...] = ()
    """The same of each node with CPUs in their order, where they differ; then `shared_overcommit` is the most of them."""
    vswitch_type: str = "none"
    """`ovs-dpdk`, or `none`: kvmc writes nothing for the switch."""
    vswitch_pages: tuple[PageCount, ...] = ()
    """Huge pages kept for the switch, a node; they are in `reserve_pages` too."""
    resctrl_l3_kib: int | None = None
    """KiB of each L3 cache: what guests may have for themselves, together."""
    resctrl_bandwidth: int = 0
    """Percent of the memory bandwidth behind each L3 cache that guests' limits may add up to."""
    base_slice_ns: int | None = None
    migration_cost_ns: int | None = None
    """The scheduler's; None: the kernel's own."""
    irq_affinity: IrqAffinity = IrqAffinity.NONE
    """`none` or `node`."""
    gicv4: bool = False
    """Of Arm hosts."""
    boot_cpu: bool = True
    """The core of the CPU that it boots on is housekeeping."""
    boot_cpu_reason: str | None = None
    """Why it is not."""
    raws: Mapping[str, Raw] = {}


class Network(_Model):
    """A network that NICs attach to. Exactly one of `bridge`, `network` and `direct` is set."""

    name: str
    bridge: str | None
    network: str | None = None
    """A network of libvirt's."""
    direct: str | None = None
    """A card of the host whose macvtap devices its NICs are, in `mode`."""
    mode: str = "bridge"


class Storage(_Model):
    """Where disks live: a path with the placeholders {vm} and {disk}."""

    name: str
    type: str
    """libvirt's disk type: `block` or `file`."""
    source: str
    controller: tuple[PciAddress, ...] | None = None
    """The PCI devices behind it; a host has one of them at least."""


class Disk(_Model):
    """A disk of a guest. Words are libvirt's own."""

    name: str
    storage: str
    bus: str
    format: str
    cache: str
    io: str
    discard: str
    queues: int | None
    iothread: Iothread
    boot: int | None
    iothreads: int = 1
    """I/O threads that its queues are spread over, with `iothread = own`."""
    queue_size: int | None = None
    cmd_per_lun: int | None = None
    max_sectors: int | None = None
    """Of 512 bytes."""


class Nic(_Model):
    """A NIC: virtio on a network or on a vhost-user socket, or one function of a device pool. Exactly one of these is set."""

    name: str
    network: str | None
    device: str | None
    mac: str | None
    queues: int | None
    socket: str | None = None
    """The vhost-user socket, in place of a network or a device; with the placeholders {vm} and {nic}."""
    vswitch: Near = Near.PREFER
    """With a socket: whether its guest is on nodes that have cores of the switch."""
    mode: str = "server"
    """Which end of the socket QEMU is: `server` or `client`."""
    rx_queue_size: int | None = None
    tx_queue_size: int | None = None
    near: Near = Near.REQUIRE
    beside: str | None = None
    """Another passed device of the guest, on whose root complex it is."""
    within: Locality = Locality.NODE
    """What `near` means."""
    model: str = "virtio"
    """On a network: libvirt's model."""


class Hostdev(_Model):
    """A PCI device given whole: one function of a device pool."""

    name: str
    device: str
    near: Near = Near.REQUIRE
    beside: str | None = None
    """Another passed device of the guest, on whose root complex it is."""
    iommufd: bool = False
    within: Locality = Locality.NODE
    """What `near` means."""


class NearDevice(_Model):
    """A device of the host that the guest is near and does not own. Exactly one of `device` and `address` is set."""

    name: str
    device: str | None
    """A device pool: one of its functions is near."""
    address: tuple[PciAddress, ...] | None
    """PCI devices: one of them is near, of those that the host has."""
    within: Locality = Locality.NODE
    strength: Strength = Strength.REQUIRE


class Passed(_Model):
    """What a guest says of all devices of the host that it owns; `near` and `within` are then those of each that says nothing."""

    near: Near = Near.REQUIRE
    within: Locality = Locality.NODE
    beside: Near = Near.ANY
    """Whether all of them are on one root complex."""
    expander: bool = False
    """A guest of several nodes sees each on the guest node that is on the device's node."""


class Mdev(_Model):
    """A mediated device of the guest's host."""

    name: str
    uuid: str


class GuestNode(_Model):
    """A NUMA node of a guest whose nodes are not alike. vcpus: how many; they are numbered through the nodes in order."""

    name: str
    vcpus: int
    memory_kib: int
    memory_kind: MemoryKind | None = None
    """Of a node without vCPUs: what its memory is made of."""


class Vm(_Model):
    """A guest with its classes resolved."""

    name: str
    lineage: tuple[str, ...]
    """Its classes, nearest first."""
    uuid: str | None
    host: str | None
    pool: str | None
    type: str
    """libvirt's domain type: `kvm`, or `qemu` for emulation."""
    vcpus: int
    memory_kib: int
    pages_kib: int | None
    """Size of its huge pages; None for normal pages."""
    pinning: Pinning
    dedicated: CpuSet = EMPTY
    """With `pinning = mixed`: its vCPUs that have a CPU of their own, by their numbers in the guest."""
    threads: Threads
    nodes: int
    cells: Mapping[str, GuestNode] = {}
    """Its nodes one by one, `0` first, where they are not alike; empty where `nodes` says how many there are."""
    cores: Cores = Cores.ANY
    numatune: MemoryMode = MemoryMode.STRICT
    memory_kind: MemoryKind | None = None
    """Its memory comes from the nearest node of this kind; None for the node of its vCPUs."""
    l3: L3
    isolation: Isolation
    emulator: Emulator
    scheduler: Scheduler
    priority: int
    optional: bool = False
    """It may stay without a place: a warning, where the others leave none."""
    weight: int = 1
    """Among optional guests, those of more weight go first."""
    machine: str
    firmware: str
    """`bios` or `uefi`."""
    cpu: str
    """libvirt's mode (`host-passthrough`, `host-model`, `maximum`), `baseline`, or the name of a CPU model."""
    locked: bool
    pmu: bool
    disks: Mapping[str, Disk]
    nics: Mapping[str, Nic]
    hostdevs: Mapping[str, Hostdev]
    require: tuple[str, ...] = ()
    """CPU features by libvirt's names, on top of its model."""
    disable: tuple[str, ...] = ()
    migratable: bool = True
    """With `host-passthrough`: without what blocks live migration."""
    reason: str | None = None
    """Why it asks for what costs speed or safety."""
    maxphysaddr: str = "none"
    """libvirt's mode: `passthrough`, or `none` for QEMU's own choice."""
    clock: str = "utc"
    hyperv: bool = False
    tpm: bool = False
    usb: str = "none"
    """Its USB controller: `xhci` or `none`."""
    shared_memory: bool = False
    """Its memory can be mapped by others, whatever its NICs are."""
    secure_boot: bool = False
    irq_affinity: IrqAffinity = IrqAffinity.DEVICE
    """`device` or `vcpus`."""
    launch_security: str = "none"
    """`sev`, `sev-es` (libvirt's type `sev` with a policy), `sev-snp`, `tdx`, or `none`."""
    cachetune: int | None = None
    """KiB of each L3 cache that its vCPUs run on: what is its alone, at least."""
    memorytune: int | None = None
    """The most of the memory bandwidth behind each of those that its vCPUs take, in percent."""
    mdevs: Mapping[str, Mdev] = {}
    raws: Mapping[str, Raw] = {}
    nears: Mapping[str, NearDevice] = {}
    passed: Passed = Passed()

    @property
    def beside(self) -> Near:
        """Whether all its passed devices are on one root complex."""
        return self.passed.beside

    @property
    def expander(self) -> bool:
        """Whether its passed devices are shown on its nodes, where it has several."""
        return self.passed.expander and self.nodes > 1

    @property
    def floating(self) -> CpuSet:
        """Its vCPUs without a CPU of their own."""
        if self.pinning is Pinning.DEDICATED:
            return CpuSet()
        return CpuSet.of(range(self.vcpus)) - self.dedicated


class Place(_Model):
    """`place apart NAME`: no two of `vms` in one domain (`across`); `place together NAME`: all in one (`within`)."""

    name: str
    relation: str
    """`apart` or `together`."""
    vms: tuple[str, ...]
    across: Domain = Domain.HOST
    within: Domain = Domain.HOST
    strength: Strength = Strength.REQUIRE

    @property
    def domain(self) -> Domain:
        """What the guests are apart by, or together in."""
        return self.across if self.relation == "apart" else self.within

    @property
    def title(self) -> str:
        """As the source names it."""
        return f"place {self.relation} {self.name}"


class Site(_Model):
    """Everything the user said."""

    name: str
    identity: str
    targets: tuple[str, ...]
    platforms: Mapping[str, Platform]
    hosts: Mapping[str, Host]
    networks: Mapping[str, Network]
    storages: Mapping[str, Storage]
    vms: Mapping[str, Vm]
    places: Mapping[str, Place]
