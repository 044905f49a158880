"""A wide set of guests, each by another way through the target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kvmc.hostconfig.plan import GuestPlan
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import GuestNode, Iothread, MemoryKind, MemoryMode, Pinning, Scheduler
from kvmc.model.values import PciAddress
from kvmc.resolver.placement import CellPlacement
from kvmc.topology import Cpu
from support.guests import GIB, WHOLE, cell, derive, disk, nic, platform, siblings, topology, vm

VF = PciAddress(0, 0x3B, 2, 0)
SHARED = CellPlacement(0, (0, 1, 2, 3), (CpuSet.parse("1-3"),) * 4, 4 * GIB)


def _cells(count: int) -> GuestPlan:
    host = topology(nodes=4)
    cells = [cell(node, 4 * node, siblings(host, [8 * node + 1, 8 * node + 2]), 2 * GIB) for node in range(count)]
    guest = vm("cells", vcpus=4 * count, memory_kib=2 * GIB * count, pages_kib=2048, locked=True)
    return derive(guest, cells, host, emulator=CpuSet.of(8 * node for node in range(count)))[0]


def _disks(bus: str, count: int, **changes: Any) -> GuestPlan:
    return derive(
        vm("disks", disks=[disk(f"d{n}", bus=bus, **changes) for n in range(count)]), [cell(0, 0, [1, 2, 3, 4])]
    )[0]


def _plain(**changes: Any) -> GuestPlan:
    return derive(vm("plain", **changes), [cell(0, 0, siblings(topology(), [1, 2]))])[0]


def _passed() -> GuestPlan:
    nics = [nic("oam", queues=4), nic("n3", network=None, device="n3"), nic("whole", network=None, device="gpu")]
    disks = [disk("root", boot=1, iothread=Iothread.SHARED), disk("log", iothread=Iothread.OWN, queues=4, boot=2)]
    disks += [disk("swap", iothread=Iothread.SHARED), disk("a", bus="scsi"), disk("b", bus="sata")]
    guest = vm("passed", nics=nics, disks=disks, hostdevs=["gpu"], firmware="uefi", scheduler=Scheduler.FIFO, pmu=False)
    devices = {("nic", "n3"): VF, ("nic", "whole"): WHOLE, ("hostdev", "gpu"): PciAddress(0, 0x5F, 0, 0)}
    return derive(guest, [cell(0, 0, siblings(topology(), [1, 2]))], devices=devices)[0]


def _ccx() -> GuestPlan:
    host = topology(nodes=1, l3s=4, cores=4, cpu=Cpu("AuthenticAMD"))
    return derive(vm("ccx", vcpus=16), [cell(0, 0, siblings(host, [0, 1, 4, 5, 8, 9, 12, 13]))], host)[0]


def _whole_l3() -> GuestPlan:
    host = topology(cores=4)
    return derive(vm("whole-l3", vcpus=8), [cell(1, 0, siblings(host, [4, 5, 6, 7]))], host)[0]


def _uneven() -> GuestPlan:
    host = topology(nodes=1, l3s=2, cores=4)
    return derive(vm("uneven", vcpus=6), [cell(0, 0, siblings(host, [0, 1, 4]))], host)[0]


def _wide() -> GuestPlan:
    host = topology(nodes=1, cores=256, threads=1)
    return derive(vm("wide", vcpus=256), [cell(0, 0, list(range(256)))], host)[0]


def _uneven_cells() -> GuestPlan:
    cells = [cell(1, 0, [9, 25, 10], 3 * GIB), cell(0, 3, [1], GIB)]
    parts = {str(n): GuestNode(name=str(n), vcpus=v, memory_kib=v * GIB) for n, v in enumerate((3, 1))}
    return derive(vm("uneven-cells", nodes=2, cells=parts, pages_kib=GIB), cells, emulator=CpuSet.parse("0,8"))[0]


def _memory(mode: MemoryMode, *parts: tuple[int, int], kind: MemoryKind | None = None) -> GuestPlan:
    cells = [replace(cell(0, 0, [1, 17, 2, 18]), memory=parts)]
    return derive(vm(f"memory-{kind or mode}", numatune=mode, memory_kind=kind), cells)[0]


def _mixed() -> GuestPlan:
    floats = CpuSet.parse("1,9")
    cells = [CellPlacement(0, (0, 1, 2, 3), (CpuSet.of([2]), floats, CpuSet.of([10]), floats), 4 * GIB)]
    guest = vm("mixed", pinning=Pinning.MIXED, dedicated=CpuSet.parse("0,2"), scheduler=Scheduler.FIFO)
    return derive(guest, cells)[0]


CASES: dict[str, GuestPlan] = {
    "plain": _plain(),
    "passed devices": _passed(),
    "no cores shared": derive(vm("shared", pinning=Pinning.SHARED, cpu="host-model"), [SHARED])[0],
    "some vCPUs float": _mixed(),
    "uneven cells": _uneven_cells(),
    "preferred memory": _memory(MemoryMode.PREFERRED, (0, 3 * GIB), (1, GIB)),
    "memory of a kind": _memory(MemoryMode.STRICT, (1, 4 * GIB), kind=MemoryKind.HBM),
    "interleaved memory": _memory(MemoryMode.INTERLEAVE, (0, 2 * GIB), (1, 2 * GIB)),
    "emulated": derive(vm("tcg", type="qemu", cpu="qemu64", vcpus=1), [cell(0, 0, [1])])[0],
    "emulated uefi": derive(vm("tcg-uefi", type="qemu", cpu="maximum", firmware="uefi", vcpus=1), [cell(0, 0, [1])])[0],
    "named model": _plain(cpu="Skylake-Server-IBRS"),
    "1 GiB pages": _plain(pages_kib=GIB),
    "2 MiB pages": _plain(pages_kib=2048, firmware="uefi"),
    "locked": _plain(locked=True),
    "fifo": _plain(scheduler=Scheduler.FIFO, priority=99),
    "L3 caches as dies": _ccx(),
    "a whole L3": _whole_l3(),
    "uneven L3s": _uneven(),
    "256 vCPUs": _wide(),
    **{f"{count} cells": _cells(count) for count in (1, 2, 3, 4)},
    "60 virtio disks": _disks("virtio", 60),
    "60 scsi disks": _disks("scsi", 60, io="io_uring"),
    "scsi queues": _disks("scsi", 2, queues=4),
    "6 sata disks": _disks("sata", 6, io="threads", cache="writeback"),
    "disk files": _disks("virtio", 2, storage="files", format="qcow2", io="threads", cache="default", discard="ignore"),
    "names that are not ASCII": derive(
        vm("größe-<&>\"'"), [cell(0, 0, [1, 2, 3, 4])], on=platform(emulator="/opt/<&>'\"/qemu")
    )[0],
}
