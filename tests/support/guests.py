"""Guests by hand: a host of any even shape, a site with one platform, and the whole road from a `Vm` to its plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kvmc.diagnostics import Bag, Span
from kvmc.hostconfig.guest import derive_guest
from kvmc.hostconfig.identity import identify
from kvmc.hostconfig.plan import GuestPlan, HostPlan
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.origins import Origin, Origins
from kvmc.model.site import (
    L3,
    Boot,
    DevicePool,
    Disk,
    Emulator,
    Host,
    Hostdev,
    Iothread,
    Isolation,
    Network,
    Nic,
    Pinning,
    Platform,
    Profile,
    Scheduler,
    Site,
    Storage,
    Threads,
    Vm,
)
from kvmc.model.values import PciAddress, Version, VersionRange
from kvmc.resolver.locks import HostLock
from kvmc.resolver.placement import CellPlacement, GuestPlacement, HostPools, Placement
from kvmc.topology import Cpu, Node, Topology

PARENT = PciAddress(0, 0x3B, 0, 0)
WHOLE = PciAddress(0, 0x5E, 0, 0)
GIB = 1024**2


def releases(text: str) -> VersionRange:
    low, _, high = text.partition("..")
    first, last = (Version(*map(int, part.split("."))) for part in (low, high or low))
    return VersionRange(first, last)


def platform(**changes: Any) -> Platform:
    """Debian 12 as installed, unless changed; versions as text."""
    versions = {"kernel": "6.1", "libvirt": "9.0", "qemu": "7.2", "tuned": "2.20"}
    versions |= {name: changes.pop(name) for name in list(changes) if name in versions}
    fields: dict[str, Any] = {
        "name": "deb12",
        "boot": Boot.GRUB,
        "realtime": False,
        "emulator": "/usr/bin/qemu-system-x86_64",
    }
    return Platform(**(fields | {name: releases(text) for name, text in versions.items()} | changes))


def disk(name: str, **changes: Any) -> Disk:
    fields: dict[str, Any] = {
        "storage": "fast",
        "bus": "virtio",
        "format": "raw",
        "cache": "none",
        "io": "native",
        "discard": "unmap",
        "queues": None,
        "iothread": Iothread.NONE,
        "boot": None,
    }
    return Disk(name=name, **(fields | changes))


def nic(name: str, **changes: Any) -> Nic:
    fields: dict[str, Any] = {"network": "core", "device": None, "mac": None, "queues": None}
    return Nic(name=name, **(fields | changes))


def vm(
    name: str = "db-1",
    *,
    disks: Sequence[Disk] = (),
    nics: Sequence[Nic] = (),
    hostdevs: Sequence[str] = (),
    **changes: Any,
) -> Vm:
    fields: dict[str, Any] = {
        "lineage": ("pg",),
        "uuid": None,
        "host": None,
        "pool": None,
        "type": "kvm",
        "vcpus": 4,
        "memory_kib": 4 * GIB,
        "pages_kib": None,
        "pinning": Pinning.DEDICATED,
        "threads": Threads.PREFER,
        "nodes": 1,
        "l3": L3.PREFER,
        "isolation": Isolation.NONE,
        "emulator": Emulator.HOUSEKEEPING,
        "scheduler": Scheduler.OTHER,
        "priority": 1,
        "machine": "pc-q35-7.2",
        "firmware": "bios",
        "cpu": "host-passthrough",
        "locked": False,
        "pmu": True,
        "disks": {one.name: one for one in disks},
        "nics": {one.name: one for one in nics},
        "hostdevs": {one: Hostdev(name=one, device="gpu") for one in hostdevs},
    }
    return Vm(name=name, **(fields | changes))


def site(vms: Sequence[Vm], on: Platform, **changes: Any) -> Site:
    host = Host(
        name="h",
        pool=None,
        platform=on.name,
        topology=("h.json",),
        rack=None,
        isolation=Isolation.NONE,
        profile=Profile.LATENCY,
        housekeeping_cores=1,
        housekeeping_threads=8,
        shared_cores=1,
        shared_overcommit=4,
        vswitch_cores=0,
        reserve_memory_kib=GIB,
        reserve_pages=(),
        pages=(),
        devices={
            "n3": DevicePool(name="n3", parent=PARENT, vfs=8, addresses=()),
            "gpu": DevicePool(name="gpu", parent=None, vfs=0, addresses=(WHOLE,)),
        },
    )
    fields: dict[str, Any] = {
        "name": "fra-edge",
        "identity": "fra.example.net",
        "targets": ("libvirt",),
        "platforms": {on.name: on},
        "hosts": {"h": host},
        "networks": {"core": Network(name="core", bridge="br-core")},
        "storages": {
            "fast": Storage(name="fast", type="block", source="/dev/vg0/{vm}-{disk}"),
            "files": Storage(name="files", type="file", source="/srv/{vm}/{disk}.img"),
        },
        "vms": {one.name: one for one in vms},
        "places": {},
    }
    return Site(**(fields | changes))


def topology(nodes: int = 2, l3s: int = 1, cores: int = 8, threads: int = 2, **changes: Any) -> Topology:
    """An even host. Siblings are numbered as on most x86 servers: the second threads follow all the first ones."""
    total = nodes * l3s * cores
    sets = tuple(CpuSet.of(core + total * thread for thread in range(threads)) for core in range(total))
    per_node = l3s * cores
    groups = tuple(union(sets[start : start + per_node]) for start in range(0, total, per_node))
    fields: dict[str, Any] = {
        "arch": "x86_64",
        "online": union(sets),
        "nodes": tuple(
            Node(index, cpus, 64 * GIB, {other: 10 if other == index else 21 for other in range(nodes)}, (2048, GIB))
            for index, cpus in enumerate(groups)
        ),
        "packages": groups,
        "cores": sets,
        "l3": tuple(union(sets[start : start + cores]) for start in range(0, total, cores)),
        "cpu": Cpu("GenuineIntel", "synthetic"),
    }
    return Topology(**(fields | changes))


def cell(node: int, first: int, cpus: Sequence[int], memory_kib: int = 4 * GIB) -> CellPlacement:
    """A cell of pinned vCPUs, numbered from `first`."""
    return CellPlacement(
        node, tuple(range(first, first + len(cpus))), tuple(CpuSet.of([cpu]) for cpu in cpus), memory_kib
    )


def siblings(host: Topology, cores: Sequence[int]) -> list[int]:
    """The CPUs of some cores of a host (by their place), siblings side by side."""
    return [cpu for core in cores for cpu in (host.cores or ())[core]]


def origins_of(made: Site, *paths: tuple[str, ...]) -> Origins:
    """Origins with a span of their own for each guest's header and each of `paths`."""
    known = [("vm", name) for name in made.vms] + list(paths)
    return Origins(
        {
            path: Origin(Span("site.kvmt", 10 * i, 10 * i + 5), Span("site.kvmt", 10 * i, 10 * i + 5), "vm x")
            for i, path in enumerate(known)
        }
    )


def place(cells: Mapping[str, Sequence[CellPlacement]], **changes: Any) -> Placement:
    """Guests on host `h` with their cells."""
    fields: dict[str, Any] = {"host": "h", "emulator": CpuSet.of([0]), "idle": CpuSet(), "devices": {}}
    empty = CpuSet()
    guests = {name: GuestPlacement(vm=name, cells=tuple(one), **(fields | changes)) for name, one in cells.items()}
    return Placement({"h": HostPools(empty, empty, empty, empty)}, guests)


def derive(
    guest: Vm,
    cells: Sequence[CellPlacement],
    host: Topology | None = None,
    *,
    on: Platform | None = None,
    paths: Sequence[tuple[str, ...]] = (),
    locks: Mapping[str, HostLock] | None = None,
    site_changes: Mapping[str, Any] | None = None,
    **placement: Any,
) -> tuple[GuestPlan, Bag]:
    """One guest's plan, its identity made on the way; both bags together."""
    on = on or platform()
    made = site([guest], on, **(site_changes or {}))
    places = place({guest.name: cells}, **placement)
    origins = origins_of(made, *paths)
    identities, bag = identify(made, places, locks or {}, origins)
    plan, more = derive_guest(
        guest, places.guests[guest.name], identities[guest.name], made.hosts["h"], on, host or topology(), made, origins
    )
    bag.extend(more)
    return plan, bag


def host_plan(guests: Sequence[GuestPlan], on: Platform | None = None) -> HostPlan:
    """A host that has these guests and nothing else."""
    empty = CpuSet()
    pools = HostPools(empty, empty, empty, empty)
    return HostPlan("h", "x86_64", "GenuineIntel", on or platform(), pools, empty, (), (), (), tuple(guests), {})
