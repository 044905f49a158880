"""The one table of the language: its blocks and their settings.

It drives checking, defaults, suggestions and the reference page. A new setting is one row and a field of the model; the grammar
does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from kvmc.model.kinds import (
    Choice,
    Flag,
    Integer,
    Kind,
    ListOf,
    OneOrMore,
    OrNone,
    PageCounts,
    PageSize,
    Size,
    Versions,
)
from kvmc.model.site import L3, Boot, Emulator, Iothread, Isolation, Pinning, Profile, Scheduler, Threads
from kvmc.model.texts import (
    AbsolutePath,
    CpuModel,
    DiskSource,
    Interface,
    Mac,
    Machine,
    Name,
    Pci,
    Ref,
    RelativePath,
    Text,
    Uuid,
)
from kvmc.syntax.parser import parse
from kvmc.syntax.tree import Setting, Value


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A kind of block. within: the blocks that it may stand in; empty for the top level. labels: what its labels are.

    parents: the kind of block that may follow `:`. like: the block whose settings and blocks it has too. single: at most one in
    the block around it (in the source, for the top level).
    """

    name: str
    doc: str
    within: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("NAME",)
    parents: str | None = None
    like: str | None = None
    single: bool = False
    since: str = "0.1"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting. default: as the user would write it; None where there is none. field: the model's field that takes it.

    required: it must be set, there or in an ancestor. example: a value as the user would write it.
    """

    block: str
    name: str
    kind: Kind
    doc: str
    example: str
    default: str | None = None
    field: str = ""
    required: bool = False
    since: str = "0.1"

    @property
    def model_field(self) -> str:
        return self.field or self.name


BLOCKS: tuple[BlockRow, ...] = (
    BlockRow("site", "What all files together describe; exactly one.", single=True),
    BlockRow("platform", "A host OS build: the versions that decide which knobs exist."),
    BlockRow(
        "pool",
        "What hosts of one kind offer. A host has its pool's settings and overrides them one by one.",
        parents="pool",
    ),
    BlockRow("host", "A host: what its pool offers, and its topology file.", parents="pool", like="pool"),
    BlockRow("housekeeping", "CPUs for the host itself and for QEMU's own threads.", ("pool", "host"), (), single=True),
    BlockRow("shared", "CPUs that guests with `pinning = shared` float over.", ("pool", "host"), (), single=True),
    BlockRow("vswitch", "CPUs for a virtual switch's own threads.", ("pool", "host"), (), single=True),
    BlockRow(
        "reserve", "Memory kept for the host and for others than guests, per node.", ("pool", "host"), (), single=True
    ),
    BlockRow(
        "devices",
        "PCI devices that guests may own one each: VFs of `parent`, or those at `addresses`.",
        ("pool", "host"),
    ),
    BlockRow("network", "A network that NICs attach to."),
    BlockRow("storage", "Where disks live."),
    BlockRow("class", "Settings that guests share.", parents="class"),
    BlockRow("vm", "A guest.", parents="class", like="class"),
    BlockRow("disk", "A disk. The same label in a class and below merges; a new label adds a disk.", ("class", "vm")),
    BlockRow("nic", "A NIC: virtio on a network, or one function of a device pool.", ("class", "vm")),
    BlockRow("hostdev", "A PCI device given whole: one function of a device pool.", ("class", "vm")),
    BlockRow(
        "place",
        "A relation between guests: `place apart NAME` keeps them on different hosts.",
        labels=("apart", "NAME"),
    ),
)

_CORES = Integer(0, 1024)

ROWS: tuple[Row, ...] = (
    Row(
        "site",
        "identity",
        Text(),
        "Seeds the UUIDs and MAC addresses of guests; never changes.",
        '"fra.example.net"',
        required=True,
    ),
    Row(
        "site",
        "targets",
        ListOf(Name(), least=1),
        "The formats to write.",
        "[libvirt, cmdline, sysctl, tuned]",
        "[libvirt, cmdline, sysctl, tuned, modprobe, systemd]",
    ),
    Row("platform", "kernel", Versions(), "The host's Linux kernel.", '"6.12"', required=True),
    Row("platform", "libvirt", Versions(), "The host's libvirt.", '"11.3"', required=True),
    Row("platform", "qemu", Versions(), "The host's QEMU.", '"10.0"', required=True),
    Row("platform", "tuned", Versions(), "The host's tuned.", '"2.25"', required=True),
    Row("platform", "boot", Choice(Boot), "How the kernel command line is kept.", "bls", "grub"),
    Row("platform", "realtime", Flag(), "The kernel is built with PREEMPT_RT.", "true", "false"),
    Row(
        "platform",
        "emulator",
        AbsolutePath(),
        "The path of QEMU on the host.",
        '"/usr/libexec/qemu-kvm"',
        '"/usr/bin/qemu-system-x86_64"',
    ),
    Row(
        "pool",
        "platform",
        Ref("platform"),
        "The OS build of the hosts; required on a host, here or there.",
        "deb13",
        required=True,
    ),
    Row(
        "pool",
        "isolation",
        Choice(Isolation, ["any"]),
        "`boot`: dedicated CPUs are isolated by the kernel's command line.",
        "boot",
        "none",
    ),
    Row("pool", "profile", Choice(Profile), "What the hosts are tuned for.", "realtime", "throughput"),
    Row("pool", "pages", PageCounts(), "Huge pages for guests, in each node.", "96 * 1GiB", "none"),
    Row(
        "host",
        "topology",
        OneOrMore(RelativePath()),
        "The host's topology file, relative to the file that says so; of several, one gives what another lacks.",
        '"hosts/kvm-a.json"',
        required=True,
    ),
    Row("host", "rack", Name(), "The rack that the host stands in.", "r1"),
    Row("housekeeping", "cores", Integer(1, 1024), "Whole cores, in each node.", "2", "1", "housekeeping_cores"),
    Row(
        "housekeeping",
        "threads",
        Integer(1, 1024),
        "Emulator, I/O and vhost threads that one of these CPUs takes.",
        "8",
        "16",
        "housekeeping_threads",
    ),
    Row("shared", "cores", _CORES, "Whole cores, in each node.", "4", "0", "shared_cores"),
    Row(
        "shared",
        "overcommit",
        Integer(1, 256),
        "Shared vCPUs that one of these CPUs takes.",
        "2",
        "4",
        "shared_overcommit",
    ),
    Row("vswitch", "cores", _CORES, "Whole cores, in each node.", "2", "0", "vswitch_cores"),
    Row(
        "reserve",
        "memory",
        Size(),
        "Normal pages kept for the host, in each node.",
        "8GiB",
        "4GiB",
        "reserve_memory_kib",
    ),
    Row(
        "reserve",
        "pages",
        PageCounts(),
        "Huge pages kept for others than guests, in each node, beside those offered.",
        "[4 * 1GiB]",
        "none",
        "reserve_pages",
    ),
    Row("devices", "parent", Pci(), "The physical function whose VFs these are.", '"0000:3b:00.0"'),
    Row("devices", "vfs", Integer(1, 256), "How many VFs the parent is to have; required with `parent`.", "8"),
    Row("devices", "addresses", ListOf(Pci(), least=1), "Devices given whole.", '["0000:3b:00.0", "0000:af:00.0"]'),
    Row("network", "bridge", Interface(), "A bridge of the host.", "br-core", required=True),
    Row(
        "storage",
        "type",
        Choice(["block", "file"]),
        "What the disks are to libvirt: block devices or files.",
        "file",
        "block",
    ),
    Row("storage", "source", DiskSource(), "The path of a disk on the host.", '"/dev/vg0/{vm}-{disk}"', required=True),
    Row("class", "vcpus", Integer(1, 1024), "How many vCPUs; required on a guest, here or there.", "8", required=True),
    Row(
        "class",
        "memory",
        Size(),
        "The guest's memory; required on a guest, here or there.",
        "64GiB",
        field="memory_kib",
        required=True,
    ),
    Row(
        "class",
        "pages",
        OrNone(PageSize()),
        "The size of the huge pages that hold its memory.",
        "1GiB",
        "none",
        "pages_kib",
    ),
    Row(
        "class",
        "pinning",
        Choice(Pinning),
        "`dedicated`: a CPU for each vCPU. `shared`: vCPUs float over the node's shared CPUs.",
        "shared",
        "dedicated",
    ),
    Row(
        "class",
        "threads",
        Choice(Threads),
        "Whole sibling sets where they fit, always, or one thread a core with the rest idle.",
        "require",
        "prefer",
    ),
    Row("class", "nodes", Integer(1, 64), "Guest NUMA nodes, each on a host node of its own.", "2", "1"),
    Row("class", "l3", Choice(L3), "Whether each guest node stays within one L3 cache.", "require", "prefer"),
    Row(
        "class",
        "isolation",
        Choice(Isolation),
        "What it needs of its host: isolated CPUs, none isolated, or either.",
        "boot",
        "any",
    ),
    Row(
        "class",
        "emulator",
        Choice(Emulator),
        "Where QEMU's own threads run: on housekeeping CPUs, or on a whole core of its own.",
        "own",
        "housekeeping",
    ),
    Row("class", "scheduler", Choice(Scheduler), "The scheduling policy of the vCPU threads.", "fifo", "other"),
    Row("class", "priority", Integer(1, 99), "The priority with `scheduler = fifo`.", "2", "1"),
    Row("class", "type", Choice(["kvm", "qemu"]), "KVM, or emulation without it.", "qemu", "kvm"),
    Row(
        "class",
        "machine",
        Machine(),
        "The machine type, never an alias; required on a guest, here or there.",
        "pc-q35-9.2",
        required=True,
    ),
    Row("class", "firmware", Choice(["bios", "uefi"]), "What the guest boots with.", "bios", "uefi"),
    Row(
        "class",
        "cpu",
        CpuModel(),
        "`host-passthrough`, `host-model`, `maximum`, or the name of a CPU model.",
        "host-model",
        "host-passthrough",
    ),
    Row("class", "locked", Flag(), "Its memory is never swapped out.", "true", "false"),
    Row("class", "pmu", Flag(), "It has a performance monitoring unit.", "false", "true"),
    Row("class", "pool", Ref("pool"), "Only hosts of this pool may have it.", "compute"),
    Row("class", "optional", Flag(), "It may stay without a place where the others leave none.", "true", "false"),
    Row(
        "class",
        "weight",
        Integer(1, 1000),
        "Among optional guests those of more weight go first; of the same weight, as many vCPUs as fit.",
        "10",
        "1",
    ),
    Row(
        "vm",
        "uuid",
        Uuid(),
        "The UUID of a guest that exists already; else it is derived from the site's identity.",
        '"4dea22b3-1d52-48f3-9516-782e98ab3fa0"',
    ),
    Row("vm", "host", Ref("host"), "The only host that may have it.", "kvm-a"),
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
    Row("place", "across", Choice(["host", "rack"]), "What they must differ in.", "rack", "host"),
)


@cache
def blocks() -> dict[str, BlockRow]:
    """The blocks by their kind."""
    return {row.name: row for row in BLOCKS}


@cache
def settings(block: str) -> dict[str, Row]:
    """The settings of a block by their name, those of the block that it is like first."""
    like = blocks()[block].like
    own = {row.name: row for row in ROWS if row.block == block}
    return {**settings(like), **own} if like else own


@cache
def children(block: str) -> tuple[BlockRow, ...]:
    """The blocks that may stand in a block; in none, for the empty text."""
    return tuple(row for row in BLOCKS if (block in row.within if block else not row.within))


@cache
def defaults(block: str) -> dict[str, object]:
    """The typed default of each setting of a block; None where there is none."""
    written = _defaults()
    return {
        row.name: row.kind.read(written[row.block, row.name]) if row.default is not None else None
        for row in settings(block).values()
    }


@cache
def _defaults() -> dict[tuple[str, str], Value]:
    """The table's defaults as trees, all read in one go; their spans point nowhere."""
    rows = [row for row in ROWS if row.default is not None]
    file, bag = parse("", "".join(f"{row.name} = {row.default}\n" for row in rows))
    assert file is not None and not bag.has_errors
    return {
        (row.block, row.name): item.value
        for row, item in zip(rows, file.items, strict=True)
        if isinstance(item, Setting)
    }
