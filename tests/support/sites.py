"""Sites by hand, for tests of stages that take a `Site`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kvmc.diagnostics import Span
from kvmc.model.origins import Origin, Origins
from kvmc.model.site import (
    L3,
    Boot,
    DevicePool,
    Disk,
    Domain,
    Emulator,
    Host,
    Hostdev,
    Iothread,
    Isolation,
    Network,
    Nic,
    Pinning,
    Place,
    Platform,
    Profile,
    Scheduler,
    Site,
    Storage,
    Strength,
    Threads,
    Vm,
)
from kvmc.model.values import KIB_PER_UNIT, PageCount, PciAddress, Version, VersionRange

GIB = KIB_PER_UNIT["GiB"]


def _version(major: int, minor: int) -> VersionRange:
    return VersionRange(Version(major, minor), Version(major, minor))


def a_platform(name: str = "deb12", **more: Any) -> Platform:
    values: dict[str, Any] = {
        "name": name,
        "kernel": _version(6, 1),
        "libvirt": _version(9, 0),
        "qemu": _version(7, 2),
        "tuned": _version(2, 20),
        "boot": Boot.GRUB,
        "realtime": False,
        "emulator": "/usr/bin/qemu-system-x86_64",
    }
    return Platform(**(values | more))


def a_host(name: str, *, pages: int = 96, page_kib: int = GIB, devices: Iterable[DevicePool] = (), **more: Any) -> Host:
    """A host with one housekeeping core a node and `pages` huge pages offered on each."""
    values: dict[str, Any] = {
        "name": name,
        "pool": "compute",
        "platform": "deb12",
        "topology": (f"hosts/{name}.json",),
        "rack": None,
        "isolation": Isolation.NONE,
        "profile": Profile.THROUGHPUT,
        "housekeeping_cores": 1,
        "housekeeping_threads": 64,
        "shared_cores": 0,
        "shared_overcommit": 4,
        "vswitch_cores": 0,
        "reserve_memory_kib": 4 * GIB,
        "reserve_pages": (),
        "pages": (PageCount(pages, page_kib),) if pages else (),
        "devices": {pool.name: pool for pool in devices},
    }
    return Host(**(values | more))


def vfs(name: str, parent: str, number: int) -> DevicePool:
    return DevicePool(name=name, parent=PciAddress.parse(parent), vfs=number, addresses=())


def whole(name: str, *addresses: str) -> DevicePool:
    return DevicePool(name=name, parent=None, vfs=0, addresses=tuple(PciAddress.parse(one) for one in addresses))


def a_nic(name: str, *, network: str | None = None, device: str | None = None, queues: int | None = None) -> Nic:
    return Nic(name=name, network=network, device=device, mac=None, queues=queues)


def a_disk(name: str, iothread: Iothread = Iothread.NONE) -> Disk:
    return Disk(
        name=name, storage="fast", bus="virtio", format="raw", cache="none", io="native", discard="ignore", queues=None,
        iothread=iothread, boot=None,
    )  # fmt: skip


def a_vm(
    name: str,
    vcpus: int = 4,
    gib: int = 4,
    *,
    disks: Iterable[Disk] = (),
    nics: Iterable[Nic] = (),
    hostdevs: Iterable[Hostdev] = (),
    **more: Any,
) -> Vm:
    """A dedicated guest on pages of 1 GiB."""
    values: dict[str, Any] = {
        "name": name,
        "lineage": (),
        "uuid": None,
        "host": None,
        "pool": None,
        "type": "kvm",
        "vcpus": vcpus,
        "memory_kib": gib * GIB,
        "pages_kib": GIB,
        "pinning": Pinning.DEDICATED,
        "threads": Threads.PREFER,
        "nodes": 1,
        "l3": L3.PREFER,
        "isolation": Isolation.ANY,
        "emulator": Emulator.HOUSEKEEPING,
        "scheduler": Scheduler.OTHER,
        "priority": 1,
        "machine": "pc-q35-7.2",
        "firmware": "bios",
        "cpu": "host-passthrough",
        "locked": False,
        "pmu": True,
        "disks": {disk.name: disk for disk in disks},
        "nics": {nic.name: nic for nic in nics},
        "hostdevs": {one.name: one for one in hostdevs},
    }
    return Vm(**(values | more))


def apart(name: str, *vms: str, across: Domain = Domain.HOST, strength: Strength = Strength.REQUIRE) -> Place:
    return Place(name=name, relation="apart", vms=vms, across=across, strength=strength)


def together(name: str, *vms: str, within: Domain = Domain.HOST, strength: Strength = Strength.REQUIRE) -> Place:
    return Place(name=name, relation="together", vms=vms, within=within, strength=strength)


def a_site(
    hosts: Iterable[Host], vms: Iterable[Vm], places: Iterable[Place] = (), platforms: Iterable[Platform] | None = None
) -> Site:
    return Site(
        name="test",
        identity="test.example.net",
        targets=("libvirt",),
        platforms={one.name: one for one in (platforms if platforms is not None else (a_platform(),))},
        hosts={one.name: one for one in hosts},
        networks={"core": Network(name="core", bridge="br-core")},
        storages={"fast": Storage(name="fast", type="block", source="/dev/vg/{vm}-{disk}")},
        vms={one.name: one for one in vms},
        places={one.name: one for one in places},
    )


def origins_of(site: Site) -> Origins:
    """An origin for each block of the site and for each setting that messages point at, every one at another place."""
    table: dict[tuple[str, ...], Origin] = {}

    def add(path: tuple[str, ...], block: str) -> None:
        start = len(table) * 10
        table[path] = Origin(Span("site.kvmt", start, start + 5), Span("site.kvmt", start, start + 5), block)

    settings: Mapping[str, tuple[tuple[str, ...], ...]] = {
        "host": (
            ("topology",), ("pages",), ("reserve", "memory"), ("reserve", "pages"), ("housekeeping", "cores"),
            ("housekeeping", "threads"), ("shared", "cores"), ("vswitch", "cores"),
        ),
        "vm": (
            ("vcpus",), ("memory",), ("nodes",), ("threads",), ("l3",), ("isolation",), ("emulator",), ("scheduler",),
            ("host",), ("pool",),
        ),
        "place": (("across",), ("within",)),
    }  # fmt: skip
    for kind, names in (("host", site.hosts), ("vm", site.vms), ("place", site.places)):
        for name in names:
            add((kind, name), f"{kind} {name}")
            for setting in settings[kind]:
                add((kind, name, *setting), f"{kind} {name}")
    for host in site.hosts.values():
        for pool in host.devices:
            add(("host", host.name, "devices", pool), f"host {host.name}")
            for name in ("parent", "vfs", "addresses"):
                add(("host", host.name, "devices", pool, name), f"host {host.name}")
    return Origins(table)
