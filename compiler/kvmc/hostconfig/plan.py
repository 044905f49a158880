"""The value that targets render: everything a host and its guests need, nothing left to decide.

Targets are pure functions of a `HostPlan`. Sizes are in KiB unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kvmc.model.cpuset import EMPTY, CpuSet
from kvmc.model.site import Platform
from kvmc.model.values import PciAddress
from kvmc.resolver.placement import HostPools


class Carrier(StrEnum):
    """What takes a setting to the host. Each knob has exactly one; each carrier belongs to one target."""

    CMDLINE = "cmdline"
    """A kernel parameter on the boot line."""
    SYSCTL = "sysctl"
    """A line of sysctl.d."""
    TUNED = "tuned"
    """An option of the kvmc profile; the key is `plugin.option`."""
    MODPROBE = "modprobe"
    """A module option in modprobe.d; the key is `module.option`."""
    SYSTEMD = "systemd"
    """A unit or a drop-in: CPU affinity of the system, page reservation at run time, VF creation, irqbalance."""


class Effect(StrEnum):
    """When a change of a setting takes hold."""

    LIVE = "live"
    RESTART = "restart"
    REBOOT = "reboot"


@dataclass(frozen=True, slots=True)
class HostSetting:
    """One knob of a host. `key` is spelled as its carrier spells it. `origin`: the blocks that asked for it, as artifacts name
    them (`pool compute`); `why`: a few words for the reader of the artifact."""

    carrier: Carrier
    key: str
    value: str
    effect: Effect
    origin: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class NodePages:
    """Huge pages that a host keeps on one node: those offered to guests and those reserved for others, together."""

    node: int
    size_kib: int
    count: int


@dataclass(frozen=True, slots=True)
class SriovPlan:
    """VFs to make before libvirt starts."""

    parent: PciAddress
    vfs: int
    origin: str


@dataclass(frozen=True, slots=True)
class ResctrlPlan:
    """What the default group of resctrl keeps, so that libvirt finds the rest free. resources: `L3`, or `L3CODE` and `L3DATA`, none
    where only bandwidth is offered. whole, kept: masks in hexadecimal, of a whole cache and of the group. ids: the caches."""

    resources: tuple[str, ...]
    whole: str
    kept: str
    ids: tuple[int, ...]
    split: bool
    origin: str


@dataclass(frozen=True, slots=True)
class VswitchPlan:
    """What Open vSwitch with DPDK is told. lcore: where its main threads run. memory_mib: of each node by its id, from 0."""

    pmd: CpuSet
    lcore: int
    memory_mib: tuple[int, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class CacheTune:
    """A part of an L3 cache of the host for a guest's vCPUs alone. type: libvirt's word, `both`, or `code` and `data`."""

    id: int
    type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class CpuTopology:
    """What the guest sees; the product is its number of vCPUs."""

    sockets: int
    dies: int
    cores: int
    threads: int


@dataclass(frozen=True, slots=True)
class GuestCell:
    """A guest NUMA node. `distances` in the order of the guest's cells; empty for one cell."""

    id: int
    vcpus: tuple[int, ...]
    memory_kib: int
    host_node: int
    distances: tuple[int, ...]
    mode: str = "strict"
    """libvirt's numatune mode of its memory."""
    nodes: CpuSet = EMPTY
    """Host nodes that its memory comes from, where that is not `host_node` alone."""

    @property
    def memory_nodes(self) -> CpuSet:
        return self.nodes or CpuSet.of([self.host_node])


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """A disk. `source` is the path with its placeholders filled; `target` the guest's name for it (vda); `address` is a PCI
    address for virtio, None for a bus with a controller of its own (then `unit` counts on it)."""

    name: str
    type: str
    source: str
    bus: str
    format: str
    cache: str
    io: str
    discard: str
    queues: int | None
    iothread: int | None
    boot: int | None
    target: str
    address: PciAddress | None
    unit: int | None
    own_iothread: bool = False
    """It asks for an I/O thread that no other disk has."""
    iothreads: tuple[int, ...] = ()
    """The I/O threads that its queues are spread over; then `iothread` is None."""
    queue_size: int | None = None
    cmd_per_lun: int | None = None
    """Of its controller."""
    max_sectors: int | None = None
    """Of its controller."""


@dataclass(frozen=True, slots=True)
class NicPlan:
    """A NIC: on a network or on the vhost-user socket `socket` (a path, with QEMU's end in `mode`), or a PCI function of the host.
    Exactly one of `bridge`, `network` (libvirt's), `direct` (a card, for macvtap, whose mode is `mode`), `socket` and `device` is
    set."""

    name: str
    mac: str
    bridge: str | None
    device: PciAddress | None
    queues: int | None
    address: PciAddress
    socket: str | None = None
    mode: str = "server"
    rx_queue_size: int | None = None
    tx_queue_size: int | None = None
    network: str | None = None
    direct: str | None = None
    model: str = "virtio"


@dataclass(frozen=True, slots=True)
class MdevPlan:
    """A mediated device of the host."""

    name: str
    uuid: str
    address: PciAddress


@dataclass(frozen=True, slots=True)
class HostdevPlan:
    """A PCI function of the host, given whole. iommufd: QEMU maps the guest's memory for it through that."""

    name: str
    device: PciAddress
    address: PciAddress
    iommufd: bool = False


@dataclass(frozen=True, slots=True)
class ExpanderPlan:
    """A PCIe expander bus: libvirt's number for it, the guest node that it is on, and its number in the guest. It sits where the
    root port to bus `index` would."""

    index: int
    cell: int
    bus_number: int


@dataclass(frozen=True, slots=True)
class RawElement:
    """An XML element that the user wrote: one sound element as text. `at`: the path of its parent below `<domain>`, or the device
    that it belongs to (`disk root`). instead: the tag, and the attribute that tells it from its like, of what kvmc then leaves
    out."""

    name: str
    at: str
    text: str
    reason: str
    instead: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """A guest, complete. `pins` holds a mask for each vCPU in order. Addresses named `address` are the guest's own PCI addresses.

    iothreads: ids from 1, with the mask `emulator` but for `iothread_masks`. root_ports: the guest PCI addresses of its PCIe root
    ports in the order of their buses (bus n behind port n, from 1). cache: libvirt's `<cache mode>`, or None for QEMU's default.
    blocks: the blocks that the guest is made of, nearest first (`vm db-1`, `class pg`).
    """

    name: str
    uuid: str
    title: str
    type: str
    machine: str
    firmware: str
    emulator_path: str
    vcpus: int
    memory_kib: int
    pages_kib: int | None
    locked: bool
    dedicated: bool
    pins: tuple[CpuSet, ...]
    emulator: CpuSet
    iothreads: int
    scheduler: str
    priority: int
    isolated: bool
    cells: tuple[GuestCell, ...]
    topology: CpuTopology
    cpu: str
    cache: str | None
    pmu: bool
    disks: tuple[DiskPlan, ...]
    nics: tuple[NicPlan, ...]
    hostdevs: tuple[HostdevPlan, ...]
    root_ports: tuple[PciAddress, ...]
    scsi_address: PciAddress | None
    balloon_address: PciAddress | None
    rng_address: PciAddress
    blocks: tuple[str, ...]
    cpu_features: tuple[tuple[str, str], ...] = ()
    """CPU features that differ from the model's: name and libvirt's policy (`require` or `disable`)."""
    floating: CpuSet = EMPTY
    """vCPUs without a CPU of their own, in a guest where others have one; `dedicated` says nothing of them."""
    viommu: bool = False
    """A virtual IOMMU that remaps interrupts: without it a guest cannot route them to APIC ids above 254."""
    iothread_masks: tuple[CpuSet, ...] = ()
    """Of each I/O thread in order, where some differ from the emulator's."""
    arch: str = "x86_64"
    """The guest's, which is its host's: `x86_64` or `aarch64`."""
    migratable: bool = True
    """With the host's own CPU: without what blocks live migration."""
    maxphysaddr: bool = False
    """As many bits of physical address as the host has."""
    reason: str | None = None
    """Why it asks for what costs speed or safety."""
    shared_memory: bool = False
    """Its memory can be mapped by other processes of the host (vhost-user)."""
    clock: str = "utc"
    hyperv: bool = False
    tpm: bool = False
    usb_address: PciAddress | None = None
    """Of its USB controller, where it has one."""
    secure_boot: bool = False
    launch_security: str = "none"
    mdevs: tuple[MdevPlan, ...] = ()
    raws: tuple[RawElement, ...] = ()
    expanders: tuple[ExpanderPlan, ...] = ()
    """In the order of their buses; the entry of `root_ports` for such a bus is the expander's own address."""
    cachetune: tuple[CacheTune, ...] = ()
    memorytune: tuple[tuple[int, int], ...] = ()
    """The most of the bandwidth behind L3 caches of the host: number and percent of each."""
    irqs: CpuSet = EMPTY
    """Where the interrupts of its passed devices go, where it says so itself."""

    @property
    def passed(self) -> tuple[PciAddress, ...]:
        """The host's PCI functions that it has, NICs first."""
        return tuple(nic.device for nic in self.nics if nic.device) + tuple(one.device for one in self.hostdevs)

    def iothread_mask(self, id: int) -> CpuSet:
        """Where an I/O thread (from 1) may run."""
        return self.iothread_masks[id - 1] if self.iothread_masks else self.emulator


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host: all that goes under `generated/<host>/`.

    settings: in the order they are to be written. isolated: CPUs of the boot-time isolated set (empty without isolation).
    pages: by size, largest first, then node. retired: guests that were here and are to be undefined, name to uuid.
    """

    host: str
    arch: str
    vendor: str | None
    platform: Platform
    pools: HostPools
    isolated: CpuSet
    pages: tuple[NodePages, ...]
    settings: tuple[HostSetting, ...]
    sriov: tuple[SriovPlan, ...]
    guests: tuple[GuestPlan, ...]
    retired: Mapping[str, str]
    resctrl: ResctrlPlan | None = None
    vswitch: VswitchPlan | None = None

    def carried(self, carrier: Carrier) -> tuple[HostSetting, ...]:
        """The settings that one carrier takes, in order."""
        return tuple(setting for setting in self.settings if setting.carrier is carrier)
