"""What a picture of a fleet shows: hosts with their CPUs and who owns each, guests with their intent, what a plan moves.

Sizes are in KiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """What a thread is for."""

    GUEST = "guest"
    """A vCPU of one guest, alone."""
    IDLE = "idle sibling"
    """Kept empty beside a vCPU, for `threads = isolate`."""
    EMULATOR = "emulator"
    """QEMU's own threads of one guest, alone."""
    HOUSEKEEPING = "housekeeping"
    SHARED = "shared"
    VSWITCH = "vswitch"
    SPARE = "spare"
    """Dedicated, and no guest's."""
    UNUSED = "not used"
    """Offline, or not allowed to this system."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One CPU. guest: whose it is, for the uses that are a guest's."""

    cpu: int
    use: Use
    guest: str | None = None


@dataclass(frozen=True, slots=True)
class CacheView:
    """The cores of a node that share one L3, each its threads. l3: its number on the host, None where the topology tells none."""

    l3: int | None
    cores: tuple[tuple[Thread, ...], ...]
    shares: str = ""
    """What guests have of what the host offers of the cache and of the bandwidth behind it, in words."""


@dataclass(frozen=True, slots=True)
class PagesView:
    """Huge pages of one size that a node offers to guests, and those that they take."""

    size_kib: int
    offered: int
    used: int


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A PCI function that a host offers. guests: who has it, with the label of the NIC or device."""

    address: str
    pool: str
    guest: str | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """A NUMA node. normal: normal pages for guests' memory and for their overhead, in KiB. shared: vCPUs on its shared CPUs, and
    the most that they take. Nodes that are memory alone have no caches here."""

    id: int
    kind: str
    memory_kib: int
    caches: tuple[CacheView, ...]
    pages: tuple[PagesView, ...]
    normal_kib: int
    normal_used_kib: int
    shared_vcpus: int
    shared_most: int
    devices: tuple[DeviceView, ...]


@dataclass(frozen=True, slots=True)
class HostView:
    """A host. model: the CPU's name, or its vendor. guests: those on it, in the site's order. loose: devices of no node.
    stranded: what no guest can use any more, with the reason. mixed: guests some of whose vCPUs float over the shared CPUs."""

    name: str
    pool: str | None
    rack: str | None
    model: str
    nodes: tuple[NodeView, ...]
    loose: tuple[DeviceView, ...]
    guests: tuple[str, ...]
    stranded: tuple[str, ...]
    mixed: frozenset[str] = frozenset()

    def threads(self) -> tuple[Thread, ...]:
        return tuple(thread for node in self.nodes for cache in node.caches for core in cache.cores for thread in core)

    def count(self, *uses: Use) -> int:
        """CPUs that are for one of the uses."""
        return sum(thread.use in uses for thread in self.threads())


@dataclass(frozen=True, slots=True)
class GuestView:
    """A guest where it is. source: the file and line of its block. intent: what it asks for, setting and value. change: `new`,
    `moved`, `gone` or empty; before: the host that it comes from; cost: what the change takes."""

    name: str
    host: str
    source: str
    classes: tuple[str, ...]
    intent: tuple[tuple[str, str], ...]
    nodes: str
    cpus: str
    emulator: str
    memory: str
    pages: str
    devices: str
    change: str = ""
    before: str = ""
    cost: str = ""


@dataclass(frozen=True, slots=True)
class FleetView:
    """A site. hosts: as planned, in the site's order. before: those that look otherwise in the locks, as they are there.
    guests: by host and then in the site's order, those that are gone last. reboots: hosts whose settings take a boot."""

    site: str
    hosts: tuple[HostView, ...]
    before: tuple[HostView, ...]
    guests: tuple[GuestView, ...]
    reboots: tuple[str, ...]
