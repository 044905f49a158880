"""fio's job files. None writes to a device: what is read is the disk itself, what is written is a file of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kvmc.hostconfig.plan import DiskPlan, GuestPlan, HostPlan
from kvmc.model.values import PciAddress
from kvmc_targets.texts import comment

SATA = PciAddress.parse("0000:00:1f.2")
"""The SATA controller that q35 has built in."""

_PLAIN = re.compile(r"/[A-Za-z0-9/._+-]+")
"""Paths that a job file can hold: fio expands variables and splits at colons, and ends a line's value at nothing else."""


def device(disk: DiskPlan, guest: GuestPlan) -> str:
    """The disk within the guest, by its address: names like vda are given in the order in which drivers find them."""
    if disk.address is not None:
        return f"/dev/disk/by-path/pci-{disk.address}"
    if disk.bus == "sata":
        return f"/dev/disk/by-path/pci-{SATA}-ata-{(disk.unit or 0) + 1}"
    return f"/dev/disk/by-path/pci-{guest.scsi_address}-scsi-0:0:0:{disk.unit or 0}"


def reads(heads: Iterable[str], file: str, queues: int) -> str:
    """Random reads, as many jobs as the disk has queues, then one sequential stream."""
    where = file.replace(":", "\\:")
    return _text(
        heads,
        ("global", ("ioengine=libaio", "direct=1", "time_based=1", "runtime=${KVMC_SECONDS}")),
        (
            "random-read",
            (f"filename={where}", "rw=randread", "bs=4k", "iodepth=32", f"numjobs={queues}", "group_reporting=1"),
        ),
        ("sequential-read", ("stonewall", f"filename={where}", "rw=read", "bs=1M", "iodepth=8")),
    )


def storage(heads: Iterable[str], files: Iterable[str]) -> str:
    """Random reads from one disk after the other."""
    common = (
        "ioengine=libaio",
        "direct=1",
        "time_based=1",
        "runtime=${KVMC_SECONDS}",
        "rw=randread",
        "bs=4k",
        "iodepth=32",
    )
    jobs = ((f"storage-{index}", ("stonewall", f"filename={file}")) for index, file in enumerate(files))
    return _text(heads, ("global", common), *jobs)


def commits(heads: Iterable[str]) -> str:
    """Small writes to one file, each made durable before the next: what a log does."""
    lines = (
        "ioengine=psync",
        "time_based=1",
        "runtime=${KVMC_SECONDS}",
        "directory=${KVMC_DIRECTORY}",
        "filename=kvmc-measure",
    )
    return _text(heads, ("commit", (*lines, "unlink=1", "size=256m", "rw=write", "bs=8k", "fsync=1")))


def sources(plan: HostPlan) -> dict[str, str]:
    """One disk for each folder or volume group that disks of guests come from: folder to path, in the order of guests."""
    found: dict[str, str] = {}
    for guest in plan.guests:
        for disk in guest.disks:
            if disk.type in ("block", "file") and _PLAIN.fullmatch(disk.source):
                found.setdefault(disk.source.rpartition("/")[0] or "/", disk.source)
    return found


def _text(heads: Iterable[str], *sections: tuple[str, Iterable[str]]) -> str:
    lines = [*map(comment, heads)]
    for name, settings in sections:
        lines += [f"[{name}]", *settings]
    return "\n".join(lines) + "\n"
