"""The settings of a guest's disks, NICs and passed devices, and of relations between guests."""

from __future__ import annotations

from kvmc.model.kinds import Choice, Flag, Integer, ListOf, PowerOfTwo
from kvmc.model.site import Domain, Iothread, Near, Strength
from kvmc.model.table import Row
from kvmc.model.texts import (
    Mac,
    Name,
    RawText,
    Ref,
    SocketPath,
    Text,
)

RAW_PLACES = (
    "domain",
    "devices",
    "features",
    "features/kvm",
    "features/hyperv",
    "cpu",
    "cputune",
    "memoryBacking",
    "clock",
    "os",
)
"""Elements of a domain that may have more in them than kvmc puts there."""

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
        "QEMU's main loop, an I/O thread shared by the guest's disks, or one of its own. Of SCSI disks: `shared` has it serve "
        "their controller, so all of them.",
        "own",
        "none",
    ),
    Row(
        "disk",
        "iothreads",
        Integer(1, 64),
        "I/O threads that its queues are spread over, with `iothread = own`; one where libvirt is older than 10.0.",
        "4",
        "1",
    ),
    Row("disk", "queue_size", PowerOfTwo(2, 1024), "Requests that each of its queues holds.", "1024"),
    Row("disk", "cmd_per_lun", Integer(1, 1024), "Commands at once for a disk of the SCSI controller.", "128"),
    Row(
        "disk",
        "max_sectors",
        Integer(1, 65535),
        "Sectors of 512 bytes that one request to the SCSI controller moves at most; the least that a disk on it says.",
        "2048",
    ),
    Row("disk", "boot", Integer(1, 999), "Its place in the boot order.", "1"),
    Row("nic", "network", Ref("network"), "The network that it is on; this, `device` or `socket`.", "core"),
    Row(
        "nic",
        "device",
        Ref("devices"),
        "The device pool that it owns a function of; this, `network` or `socket`.",
        "n3",
    ),
    Row("nic", "mac", Mac(), "Its MAC address; else it is derived from the site's identity.", '"52:54:00:12:34:56"'),
    Row("nic", "queues", Integer(1, 256), "Queues of a virtio NIC.", "4"),
    Row(
        "nic",
        "socket",
        SocketPath(),
        "The vhost-user socket of a switch in user space; this, `network` or `device`.",
        '"/run/openvswitch/{vm}-{nic}.sock"',
    ),
    Row("nic", "mode", Choice(["server", "client"]), "Which end of the socket QEMU is.", "client", "server"),
    Row("nic", "rx_queue_size", PowerOfTwo(256, 1024), "Buffers that each receive queue holds.", "1024"),
    Row("nic", "tx_queue_size", PowerOfTwo(256, 1024), "Buffers that each transmit queue holds.", "1024"),
    Row(
        "nic",
        "near",
        Choice(Near),
        "Whether the function is on a node of the guest's.",
        "prefer",
        "require",
    ),
    Row(
        "nic",
        "beside",
        Name(),
        "Another passed device of the guest, by its label: both are on one PCIe root complex.",
        "gpu",
    ),
    Row("hostdev", "device", Ref("devices"), "The device pool that it owns a function of.", "gpu", required=True),
    Row(
        "hostdev",
        "near",
        Choice(Near),
        "Whether the function is on a node of the guest's.",
        "prefer",
        "require",
    ),
    Row(
        "hostdev",
        "beside",
        Name(),
        "Another passed device of the guest, by its label: both are on one PCIe root complex.",
        "gpu",
    ),
    Row(
        "hostdev",
        "iommufd",
        Flag(),
        "Whether QEMU maps the guest's memory through iommufd in place of VFIO's own container.",
        "true",
        "false",
    ),
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
    Row("raw", "value", RawText(), "Its value; of a guest, one XML element.", '"1048576"'),
    Row(
        "raw",
        "reason",
        Text(),
        "Why it is there; needed for what harms or is not known, and written beside it.",
        '"measured on this kernel"',
    ),
    Row("raw", "at", Choice(RAW_PLACES), "Of a guest: the element that it stands in.", "devices"),
)
