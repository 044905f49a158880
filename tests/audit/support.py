"""The small host's topology, what its site asks for, and what the audit says of a tree."""

from __future__ import annotations

from audit.small_tree import HOST
from kvmc.audit.check import audit_host, audit_site
from kvmc.diagnostics import Diagnostic
from kvmc.model.cpuset import CpuSet
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
    Threads,
    Vm,
)
from kvmc.model.values import PageCount, PciAddress, Version, VersionRange
from kvmc.topology import Node, PciDevice, Sriov, Topology

GIB = 1024**2
NIC = PciAddress.parse("0000:3b:00.0")
GPU = PciAddress.parse("0000:af:00.0")
CARD = PciAddress.parse("0000:3c:00.0")


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def topology() -> Topology:
    return Topology(
        arch="x86_64",
        online=cpus("0-23"),
        nodes=(
            Node(0, cpus("0-5,12-17"), 32 * GIB, {0: 10, 1: 21}, (2048, GIB)),
            Node(1, cpus("6-11,18-23"), 32 * GIB, {0: 21, 1: 10}, (2048, GIB)),
        ),
        packages=(cpus("0-5,12-17"), cpus("6-11,18-23")),
        cores=tuple(CpuSet.of([core, core + 12]) for core in range(12)),
        l3=(cpus("0-2,12-14"), cpus("3-5,15-17"), cpus("6-8,18-20"), cpus("9-11,21-23")),
        pci={
            NIC: PciDevice(NIC, node=0, class_id=0x020000, sriov=Sriov(8, 16, 1)),
            CARD: PciDevice(CARD, node=0, class_id=0x020000),
            GPU: PciDevice(GPU, node=1, class_id=0x030200),
        },
    )


def _vm(name: str, **changes: object) -> Vm:
    values: dict[str, object] = {
        "name": name,
        "lineage": (),
        "uuid": None,
        "host": None,
        "pool": None,
        "type": "kvm",
        "vcpus": 2,
        "memory_kib": 2 * GIB,
        "pages_kib": GIB,
        "pinning": Pinning.DEDICATED,
        "threads": Threads.REQUIRE,
        "nodes": 1,
        "l3": L3.ANY,
        "isolation": Isolation.BOOT,
        "emulator": Emulator.HOUSEKEEPING,
        "scheduler": Scheduler.OTHER,
        "priority": 1,
        "machine": "pc-q35-7.2",
        "firmware": "bios",
        "cpu": "host-passthrough",
        "locked": False,
        "pmu": True,
        "disks": {"root": disk()},
        "nics": {},
        "hostdevs": {},
    }
    return Vm.model_validate(values | changes)


def disk(**changes: object) -> Disk:
    values: dict[str, object] = {
        "name": "root",
        "storage": "fast",
        "bus": "virtio",
        "format": "raw",
        "cache": "none",
        "io": "native",
        "discard": "unmap",
        "queues": None,
        "iothread": Iothread.NONE,
        "boot": 1,
    }
    return Disk.model_validate(values | changes)


def _nic(name: str, network: str | None, device: str | None) -> Nic:
    return Nic(name=name, network=network, device=device, mac=None, queues=None)


def site() -> Site:
    """What the tree was asked to be."""
    release = VersionRange(Version(6, 1), Version(6, 1))
    platform = Platform(
        name="deb",
        kernel=release,
        libvirt=release,
        qemu=release,
        tuned=release,
        boot=Boot.GRUB,
        realtime=True,
        emulator="/q",
    )
    host = Host(
        name=HOST,
        pool="compute",
        platform="deb",
        topology=("hosts/kvm-a.json",),
        rack="r1",
        isolation=Isolation.BOOT,
        profile=Profile.REALTIME,
        housekeeping_cores=1,
        housekeeping_threads=8,
        shared_cores=1,
        shared_overcommit=4,
        vswitch_cores=0,
        reserve_memory_kib=4 * GIB,
        reserve_pages=(PageCount(2, GIB),),
        pages=(PageCount(14, GIB),),
        devices={
            "n3": DevicePool(name="n3", parent=NIC, vfs=4, addresses=()),
            "gpu": DevicePool(name="gpu", parent=None, vfs=0, addresses=(GPU,)),
        },
    )
    vms = [
        _vm(
            "rt-1",
            vcpus=4,
            memory_kib=8 * GIB,
            l3=L3.REQUIRE,
            scheduler=Scheduler.FIFO,
            locked=True,
            pmu=False,
            disks={"root": disk(iothread=Iothread.OWN)},
            nics={"oam": _nic("oam", "core", None), "n3": _nic("n3", None, "n3")},
        ),
        _vm("wide-1", vcpus=4, memory_kib=8 * GIB, nodes=2),
        _vm("du-1", threads=Threads.ISOLATE, hostdevs={"gpu": Hostdev(name="gpu", device="gpu")}),
        _vm(
            "web-1",
            pages_kib=None,
            pinning=Pinning.SHARED,
            threads=Threads.PREFER,
            isolation=Isolation.ANY,
            nics={"oam": _nic("oam", "core", None)},
        ),
    ]
    return Site(
        name="s",
        identity="s.example.net",
        targets=("libvirt",),
        platforms={"deb": platform},
        hosts={HOST: host},
        networks={"core": Network(name="core", bridge="br0")},
        storages={"fast": Storage(name="fast", type="block", source="/dev/vg0/{vm}-{disk}")},
        vms={vm.name: vm for vm in vms},
        places={"apart": Place(name="apart", relation="apart", vms=("rt-1", "other"), across=Domain.HOST)},
    )


def findings(files: dict[str, str], *, with_site: bool = True) -> list[Diagnostic]:
    """The audit of one host, by itself or against the site with what only the whole site can tell."""
    if with_site:
        return list(audit_site({HOST: files}, {HOST: topology()}, site()))
    return list(audit_host(HOST, files, topology(), None))


def places(diagnostic: Diagnostic) -> list[str]:
    """The files that a finding points into, below the host's folder."""
    labels = [diagnostic.primary, *diagnostic.secondary]
    return [label.span.file.removeprefix(f"{HOST}/") for label in labels if label is not None]


def shown(diagnostics: list[Diagnostic], files: dict[str, str]) -> str:
    """For a failed assertion."""
    lines = []
    for item in diagnostics:
        words = [
            files.get(label.span.file.removeprefix(f"{HOST}/"), "")[label.span.start : label.span.end]
            for label in (item.primary, *item.secondary)
            if label is not None
        ]
        lines.append(f"{item.code.id} {item.message} {places(item)} {words}")
    return "\n".join(lines)
