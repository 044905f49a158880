"""The blocks of the language."""

from __future__ import annotations

from kvmc.model.table import BlockRow

RAW_OF_HOSTS = ("cmdline", "sysctl", "modprobe", "tuned")
RAW_OF_GUESTS = ("xml",)

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
        "resctrl",
        "What guests may have for themselves of the L3 caches and of memory bandwidth (Intel RDT, AMD QoS), through the kernel's "
        "resctrl. The topology must tell its limits.",
        ("pool", "host"),
        (),
        single=True,
    ),
    BlockRow(
        "memory",
        "What nodes without CPUs offer whose memory is of this kind: `hbm`, `nvm`, `cxl`, `gpu` or `special`. What is no page "
        "there is normal memory for guests; `pages` and `reserve` of the pool are of nodes with CPUs alone.",
        ("pool", "host"),
        ("KIND",),
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
    BlockRow(
        "node",
        "A NUMA node of a guest whose nodes are not alike; its label is its number, from 0. Without such blocks `nodes` says how "
        "many there are, and all have the same.",
        ("class", "vm"),
        labels=("NUMBER",),
    ),
    BlockRow("disk", "A disk. The same label in a class and below merges; a new label adds a disk.", ("class", "vm")),
    BlockRow("nic", "A NIC: virtio on a network, or one function of a device pool.", ("class", "vm")),
    BlockRow("mdev", "A mediated device: a slice of a GPU that the vendor's driver made on the host.", ("class", "vm")),
    BlockRow("hostdev", "A PCI device given whole: one function of a device pool.", ("class", "vm")),
    BlockRow(
        "passed",
        "How the devices of the host that the guest owns lie, as far as they do not say it themselves.",
        ("class", "vm"),
        (),
        single=True,
    ),
    BlockRow(
        "near",
        "A device of the host that the guest is near and does not own: the card behind a bridge, the port that a switch polls.",
        ("class", "vm"),
    ),
    BlockRow(
        "place",
        "A relation between guests: `place apart NAME` keeps them on different hosts (or what else `across` says), "
        "`place together NAME` on one (or in what else `within` says). What counts is where their vCPUs run.",
        labels=("apart|together", "NAME"),
    ),
    BlockRow(
        "raw",
        "A setting that kvmc has no word for: a kernel parameter, a sysctl, an option of a module or of tuned on a host; an XML "
        "element in a guest.",
        ("pool", "host", "class", "vm"),
        ("|".join((*RAW_OF_HOSTS, *RAW_OF_GUESTS)), "NAME"),
        words={"pool": RAW_OF_HOSTS, "host": RAW_OF_HOSTS, "class": RAW_OF_GUESTS, "vm": RAW_OF_GUESTS},
    ),
)
