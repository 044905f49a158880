"""Guests' plans, to the field, and what is told of them, to the word and the place; `--update` writes the goldens anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hostconfig.shown import EVERYWHERE, INHERITED, golden, lines, told
from kvmc.diagnostics import Bag
from kvmc.hostconfig.fleet import Baseline
from kvmc.hostconfig.guest import derive_guest
from kvmc.hostconfig.guest_gates import Gate, check_machine
from kvmc.hostconfig.identity import identify
from kvmc.hostconfig.plan import GuestPlan
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import (
    Disk,
    Emulator,
    Iothread,
    IrqAffinity,
    Isolation,
    Mdev,
    MemoryMode,
    Network,
    Pinning,
    Raw,
    Scheduler,
    Storage,
    Vm,
)
from kvmc.model.values import PciAddress
from kvmc.resolver.placement import CellPlacement
from kvmc.topology import Cpu, PciDevice, Topology
from support.guests import GIB, PARENT, WHOLE, cell, disk, nic, place, platform, siblings, site, topology, vm

HOST = topology()
PLAIN = [cell(0, 0, siblings(HOST, [1, 2]))]
VF = PciAddress(0, 0x3B, 2, 0)
FIRST, SECOND, NOWHERE_PCI = (PciAddress(0, bus, 0, 0) for bus in (0x10, 0x20, 0x30))
BESIDE = replace(
    HOST,
    pci={
        FIRST: PciDevice(FIRST, node=0),
        SECOND: PciDevice(SECOND, node=1),
        NOWHERE_PCI: PciDevice(NOWHERE_PCI),
    },
)
STORAGES = {
    "fast": Storage(name="fast", type="block", source="/dev/vg0/{vm}-{disk}"),
    "a": Storage(name="a", type="block", source="/dev/a/{vm}", controller=(FIRST,)),
    "b": Storage(name="b", type="file", source="/b/{disk}", controller=(PARENT, SECOND)),
    "ab": Storage(name="ab", type="file", source="/ab", controller=(FIRST, SECOND)),
    "unknown": Storage(name="unknown", type="file", source="/u", controller=(NOWHERE_PCI,)),
    "absent": Storage(name="absent", type="file", source="/n", controller=(PARENT, WHOLE)),
}


def made(
    guest: Vm,
    cells: list[CellPlacement] = PLAIN,
    host: Topology = HOST,
    *,
    on: Mapping[str, Any] = {},
    origins: Origins = EVERYWHERE,
    baseline: Baseline | None = None,
    housekeeping: str = "0,8,16,24",
    networks: Mapping[str, Network] | None = None,
    irq_affinity: IrqAffinity = IrqAffinity.NONE,
    **placement: Any,
) -> tuple[GuestPlan, Bag]:
    of = site([guest], platform(**on), storages=STORAGES, **({"networks": networks} if networks else {}))
    host_of = of.hosts["h"].model_copy(update={"irq_affinity": irq_affinity})
    placed = place({guest.name: cells}, **placement)
    identities, bag = identify(of, placed, {}, origins)
    plan, more = derive_guest(
        guest, placed.guests[guest.name], identities[guest.name], host_of, of.platforms["deb12"], host, of, origins,
        baseline, CpuSet.parse(housekeeping),
    )  # fmt: skip
    bag.extend(more)
    return plan, bag


def _threads(name: str, storage: str, kind: Iothread = Iothread.OWN, **changes: Any) -> Disk:
    return disk(name, storage=storage, iothread=kind, **changes)


def _disks(*disks: Disk, **changes: Any) -> Callable[[], tuple[GuestPlan, Bag]]:
    placed: dict[str, Any] = {"host": BESIDE, "emulator": CpuSet.parse("0,8")} | changes
    return lambda: made(vm(disks=disks), **placed)


EVERYTHING = vm(
    vcpus=4,
    cpu="maximum",
    firmware="uefi",
    maxphysaddr="passthrough",
    tpm=True,
    hyperv=True,
    secure_boot=True,
    launch_security="sev-snp",
    disks=[
        disk("a", io="io_uring", queues=5),
        disk("b", queues=2, queue_size=256, iothread=Iothread.OWN, iothreads=2),
    ],
    nics=[nic("n", queues=5, rx_queue_size=512, tx_queue_size=256)],
)
OLD = {"libvirt": "1.0", "qemu": "1.0", "kernel": "3.0"}
AMD = replace(HOST, cpu=Cpu("AuthenticAMD"))
RAWS = {
    "xml agent": Raw(name="xml agent", value="<vsock/>", reason="asked for", at="devices"),
    "xml bare": Raw(name="xml bare", value=None, reason=None, at=None),
}
MIXED = [
    CellPlacement(0, (0, 1, 2, 3), (CpuSet.of([2]), CpuSet.parse("1,9"), CpuSet.of([10]), CpuSet.parse("1,9")), GIB)
]
TWO_CELLS = [cell(1, 0, siblings(HOST, [9]), 2 * GIB), cell(0, 2, siblings(HOST, [1]), 2 * GIB)]
SMALL = topology(cores=4)
WIDE = topology(nodes=1, cores=256, threads=1)


def _passed(**changes: Any) -> tuple[GuestPlan, Bag]:
    nics = [
        nic("oam", queues=2, rx_queue_size=512, tx_queue_size=1024),
        nic("n3", network=None, device="n3", mac="52:54:00:00:00:AA"),
        nic("whole", network=None, device="gpu", **changes),
        nic("known", network=None, device="gpu", mac="52:54:00:00:00:01"),
        nic("user", network=None, socket="/run/{vm}-{nic}-{disk}", mode="client"),
    ]
    devices = {("nic", "n3"): VF, ("nic", "whole"): WHOLE, ("nic", "known"): SECOND, ("hostdev", "x"): FIRST}
    host = replace(HOST, pci={SECOND: PciDevice(SECOND, parent_pf=PARENT), WHOLE: PciDevice(WHOLE)})
    return made(vm(nics=nics, hostdevs=["x"]), PLAIN, host, devices=devices)


def _interrupts(of_host: IrqAffinity) -> tuple[GuestPlan, Bag]:
    guest = vm(hostdevs=["x"], irq_affinity=IrqAffinity.VCPUS)
    return made(guest, TWO_CELLS, devices={("hostdev", "x"): FIRST}, irq_affinity=of_host)


NETWORKS = {
    "core": Network(name="core", bridge="br-core"),
    "virt": Network(name="virt", bridge=None, network="default"),
    "direct": Network(name="direct", bridge=None, direct="eno1", mode="private"),
}
INSTEAD = {
    one.name: one
    for one in (
        Raw(name="xml a", value="<timer name='hpet' present='yes'/>", reason="r", at="clock"),
        Raw(name="xml b", value="<title>x</title>", reason=None, at="domain"),
        Raw(name="xml c", value="<broken", reason=None, at="devices"),
        Raw(name="xml d", value="<vsock/>", reason=None, at="devices"),
    )
}
CASES: Mapping[str, Callable[[], tuple[GuestPlan, Bag]]] = {
    "plain": lambda: made(vm()),
    "everything on an old platform": lambda: made(EVERYTHING, on=OLD),
    "by inheritance": lambda: made(EVERYTHING, on=OLD, origins=INHERITED),
    "everything on an old QEMU": lambda: made(EVERYTHING, on={"libvirt": "12.0", "qemu": "1.0", "kernel": "7.0"}),
    "everything on an old kernel": lambda: made(EVERYTHING, on={"libvirt": "12.0", "qemu": "11.0", "kernel": "6.10"}),
    "everything on a new platform": lambda: made(
        EVERYTHING, on={"libvirt": "12.0", "qemu": "11.0", "kernel": "7.0"}, emulator=CpuSet.parse("0,16")
    ),
    "tdx one release too early": lambda: made(
        vm(launch_security="tdx", machine="pc-q35-6.0"), on={"libvirt": "11.9", "qemu": "10.0", "kernel": "6.15"}
    ),
    "tdx on an old QEMU": lambda: made(
        vm(launch_security="tdx"), on={"libvirt": "11.10", "qemu": "10.0", "kernel": "6.16"}
    ),
    "tdx on an old kernel": lambda: made(
        vm(launch_security="tdx"), on={"libvirt": "11.10", "qemu": "10.1", "kernel": "6.15"}
    ),
    "tdx since": lambda: made(
        vm(launch_security="tdx", reason="sealed"), on={"libvirt": "11.10", "qemu": "10.1", "kernel": "6.16"}
    ),
    "emulated": lambda: made(vm(type="qemu", cpu="qemu64", pmu=False, locked=True), PLAIN, AMD),
    "shared": lambda: made(
        vm(pinning=Pinning.SHARED, cpu="host-model", migratable=False),
        [CellPlacement(0, (0, 1, 2, 3), (CpuSet.parse("1-2,17-18"),) * 4, GIB)],
    ),
    "some float": lambda: made(vm(pinning=Pinning.MIXED, dedicated=CpuSet.parse("0,2")), MIXED),
    "some float on AMD": lambda: made(vm(pinning=Pinning.MIXED, dedicated=CpuSet.parse("0,2")), MIXED, AMD),
    "fifo": lambda: made(vm(scheduler=Scheduler.FIFO, priority=7, isolation=Isolation.BOOT)),
    "isolation is not asked": lambda: made(vm(isolation=Isolation.ANY, priority=9, pages_kib=2048)),
    "AMD": lambda: made(vm(), PLAIN, AMD),
    "Hygon": lambda: made(vm(cpu="host-model"), PLAIN, replace(HOST, cpu=Cpu("HygonGenuine"))),
    "an unknown CPU and Intel's model": lambda: made(vm(cpu="Skylake-Server"), PLAIN, replace(HOST, cpu=Cpu(None))),
    "an unknown CPU and AMD's model": lambda: made(vm(cpu="EPYC-Rome"), PLAIN, replace(HOST, cpu=Cpu(None))),
    "two cells": lambda: made(vm(memory_kib=4 * GIB, nodes=2), TWO_CELLS, emulator=CpuSet.parse("0,8")),
    "interleaved": lambda: made(
        vm(numatune=MemoryMode.INTERLEAVE), [replace(PLAIN[0], memory=((0, 2 * GIB), (1, 2 * GIB)))]
    ),
    "preferred": lambda: made(vm(numatune=MemoryMode.PREFERRED), [replace(PLAIN[0], memory=((0, GIB), (1, GIB)))]),
    "strict elsewhere": lambda: made(vm(), [replace(PLAIN[0], memory=((1, 4 * GIB),))]),
    "a baseline": lambda: made(
        vm(cpu="baseline", require=("aes", "vaes"), disable=("avx2",)), PLAIN, AMD,
        baseline=Baseline("EPYC", (("aes", "disable"), ("sha-ni", "require"), ("topoext", "disable"))),
    ),
    "features without a baseline": lambda: made(vm(disable=("avx2",), require=("vaes",), clock="localtime")),
    "a whole L3 cache": lambda: made(vm(vcpus=8), [cell(0, 0, siblings(SMALL, range(4)))], SMALL),
    "a whole L3 cache and a named model": lambda: made(
        vm(vcpus=8, cpu="EPYC"), [cell(0, 0, siblings(SMALL, range(4)))], SMALL
    ),
    "255 vCPUs": lambda: made(vm(vcpus=255), [cell(0, 0, list(range(255)))], WIDE),
    "256 vCPUs": lambda: made(vm(vcpus=256), [cell(0, 0, list(range(256)))], WIDE),
    "256 vCPUs of Arm": lambda: made(
        vm(vcpus=256, machine="virt-7.2"), [cell(0, 0, list(range(256)))], replace(WIDE, arch="aarch64")
    ),
    "interrupts beside its vCPUs": lambda: _interrupts(IrqAffinity.NODE),
    "interrupts beside its vCPUs, of a host that places none": lambda: _interrupts(IrqAffinity.NONE),
    "networks of each kind": lambda: made(
        vm(nics=[nic("b"), nic("v", network="virt", model="e1000e"), nic("d", network="direct", mode="client")]),
        networks=NETWORKS,
    ),
    "a USB controller and memory for others": lambda: made(vm(usb="xhci", shared_memory=True)),
    "raw elements instead": lambda: made(vm(raws=INSTEAD)),
    "mediated and raw": lambda: made(
        vm(mdevs={"m": Mdev(name="m", uuid="c9abcdeb-0000-4000-8000-000000000000")}, raws=RAWS, lineage=("pg", "base"))
    ),
    "passed": _passed,
    "passed with a MAC": lambda: _passed(mac="52:54:00:00:00:02"),
    "disks of each bus": _disks(
        disk("v", boot=1, queues=2, discard="ignore", format="qcow2"),
        disk("s", bus="scsi", queues=3, cmd_per_lun=64, iothread=Iothread.OWN),
        disk("t", bus="scsi", io="threads", cache="writeback"),
        disk("u", bus="sata", queues=2, iothread=Iothread.SHARED),
        disk("w", queue_size=1024, io="io_uring"),
        disk("x", cache="directsync"),
        on={"libvirt": "7.8"},
    ),
    "I/O threads beside their controllers": _disks(
        _threads("one", "a"), _threads("two", "b"), _threads("both", "ab"), _threads("any", "fast")
    ),
    "an emulator of its own": lambda: made(
        vm(disks=[_threads("one", "a"), _threads("two", "b"), _threads("any", "fast")], emulator=Emulator.OWN),
        PLAIN, BESIDE, emulator=CpuSet.parse("7,9,23"),
    ),
    "a shared I/O thread of two controllers": _disks(
        _threads("one", "a", Iothread.SHARED), _threads("two", "b", Iothread.SHARED)
    ),
    "a shared I/O thread of a disk that may be anywhere": _disks(
        _threads("one", "a", Iothread.SHARED), _threads("any", "fast", Iothread.SHARED),
        _threads("two", "b", Iothread.SHARED), _threads("own", "b"),
    ),
    "controllers without a node": _disks(_threads("one", "unknown"), _threads("two", "fast")),
    "controllers that are not there": _disks(_threads("one", "absent"), _threads("two", "b")),
    "no PCI devices are known": _disks(_threads("one", "b"), host=HOST),
    "queues over several I/O threads": _disks(
        _threads("one", "a", iothreads=2, queues=2), _threads("two", "b", Iothread.SHARED),
        _threads("three", "fast", iothreads=3, queues=4), on={"libvirt": "10.0", "qemu": "9.0"},
    ),
    "queues over several I/O threads, QEMU too old": _disks(
        _threads("one", "a", iothreads=2), on={"libvirt": "10.0", "qemu": "8.2"}
    ),
    "queues over several I/O threads, libvirt too old": _disks(
        _threads("one", "a", iothreads=2), _threads("two", "b"), on={"libvirt": "9.10", "qemu": "9.0"}
    ),
    "more queues than vCPUs": lambda: made(
        vm(vcpus=1, disks=[disk("d", queues=2)], nics=[nic("n", queues=2)]), [cell(0, 0, [1])]
    ),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_guests(title: str, pytestconfig: pytest.Config) -> None:
    plan, bag = CASES[title]()
    base = None if title == "plain" else made(vm())[0]
    golden("guests", title, f"{lines(plan, base)}\n\n{told(bag)}", update=pytestconfig.getoption("--update"))


MACHINES = [
    ("pc-q35-7.2", 288, "7.2", "x86_64"),
    ("pc-q35-8.0", 289, "8.0..9.0", "x86_64"),
    ("pc-q35-8.1", 1024, "8.1", "x86_64"),
    ("pc-q35-8.1", 1025, "8.1", "x86_64"),
    ("pc-q35-9.0", 4096, "9.0", "x86_64"),
    ("pc-q35-9.0.1", 4097, "10.0", "x86_64"),
    ("pc-q35-10.1", 2, "10.0..10.1", "x86_64"),
    ("virt-9.0", 512, "9.0", "aarch64"),
    ("virt-9.0", 513, "8.2", "aarch64"),
    ("virt-7.2", 2, "7.2", "x86_64"),
    ("pc-q35-7.2", 2, "7.2", "aarch64"),
    ("pc-q35-rhel9.4.0", 5000, "8.2", "x86_64"),
    ("virt-rhel9.4.0", 2, "8.2", "aarch64"),
]


@pytest.mark.parametrize(("machine", "vcpus", "qemu", "arch"), MACHINES)
def test_machines(machine: str, vcpus: int, qemu: str, arch: str, pytestconfig: pytest.Config) -> None:
    guest = vm(machine=machine, vcpus=vcpus)
    on = platform(qemu=qemu)
    gate = Gate(guest, site([guest], on).hosts["h"], on, EVERYWHERE)
    check_machine(gate, arch)
    title = f"{machine} with {vcpus} on QEMU {qemu}, {arch}"
    golden("machines", title, told(gate.bag), update=pytestconfig.getoption("--update"))
