"""The settings of a guest's disks, NICs and passed devices, and of relations between guests."""

from __future__ import annotations

from kvmc.model.kinds import Choice, Integer, ListOf
from kvmc.model.site import Domain, Iothread, Strength
from kvmc.model.table import Row
from kvmc.model.texts import (
    Mac,
    Ref,
)

DEVICE_ROWS: tuple[Row, ...] = (
    Row("disk", "storage", Ref("storage"), "Where it lives.", "fast", required=True),
    Row("disk", "bus", Choice(["virtio", "scsi", "sata"]), "How the guest sees it.", "scsi", "virtio"),
    Row("disk", "format", Choice(["raw", "qcow2"]), "The format of the image.", "qcow2", "raw"),
    Row(
        "disk",
        "cache",
        Choice(["none", "writeback", "writethrough", "directsync"]),
        "The host's page cache.",
        "writeback",
        "none",
    ),
    Row("disk", "io", Choice(["native", "threads", "io_uring"]), "How QEMU does the I/O.", "io_uring", "native"),
    Row("disk", "discard", Choice(["unmap", "ignore"]), "What a discard of the guest does.", "ignore", "unmap"),
    Row("disk", "queues", Integer(1, 1024), "Queues of a virtio or SCSI disk.", "4"),
    Row(
        "disk",
        "iothread",
        Choice(Iothread),
        "QEMU's main loop, an I/O thread shared by the guest's disks, or one of its own.",
        "own",
        "none",
    ),
    Row("disk", "boot", Integer(1, 999), "Its place in the boot order.", "1"),
    Row("nic", "network", Ref("network"), "The network that it is on; this or `device`.", "core"),
    Row("nic", "device", Ref("devices"), "The device pool that it owns a function of; this or `network`.", "n3"),
    Row("nic", "mac", Mac(), "Its MAC address; else it is derived from the site's identity.", '"52:54:00:12:34:56"'),
    Row("nic", "queues", Integer(1, 256), "Queues of a virtio NIC.", "4"),
    Row("hostdev", "device", Ref("devices"), "The device pool that it owns a function of.", "gpu", required=True),
    Row("place", "vms", ListOf(Ref("vm"), least=2), "The guests.", "[db-1, db-2]", required=True),
    Row("place", "across", Choice(Domain), "Of `place apart`: what they differ in.", "rack", "host"),
    Row("place", "within", Choice(Domain), "Of `place together`: what they are in together.", "node", "host"),
    Row(
        "place",
        "strength",
        Choice(Strength),
        "Whether it must hold, or is met where the guests have a place with it and broken before one has none.",
        "prefer",
        "require",
    ),
)
