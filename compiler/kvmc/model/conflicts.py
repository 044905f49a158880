"""Settings that contradict each other, as data: each rule is two settings, the values that do not go together, and why."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import schema as codes
from kvmc.model.nodes import UNKNOWN, Node
from kvmc.model.settings import defaults
from kvmc.model.site import MemoryKind


@dataclass(frozen=True, slots=True)
class Rule:
    """`first` with one of its values and `second` with one of its values. No values: it is set, to other than its default."""

    first: str
    values: tuple[str | int, ...]
    second: str
    against: tuple[str | int, ...]
    why: str
    help: str


_SHARED = ("pinning", ("shared",))
_PIN = "set `pinning = dedicated`"

GUEST = (
    Rule(
        "threads",
        ("isolate", "require"),
        *_SHARED,
        "shared vCPUs own no core whose threads could be kept together or empty",
        _PIN,
    ),
    Rule(
        "memory_kind",
        tuple(MemoryKind),
        "numatune",
        ("preferred", "interleave"),
        "memory of a kind comes from one node of that kind alone",
        "drop one of them",
    ),
    Rule(
        "cores", ("performance", "efficiency"), *_SHARED, "shared vCPUs float over whatever cores the host shares", _PIN
    ),
    Rule(
        "dedicated",
        (),
        "pinning",
        ("dedicated", "shared"),
        "it names the vCPUs of a mixed guest that have CPUs of their own",
        "set `pinning = mixed`, or drop `dedicated`",
    ),
    Rule("l3", ("require",), *_SHARED, "shared vCPUs float over all shared CPUs of their node", _PIN),
    Rule("isolation", ("boot",), *_SHARED, "isolated CPUs are not load-balanced, so nothing may float over them", _PIN),
    Rule(
        "emulator", ("own",), *_SHARED, "only a guest with CPUs of its own has a core to give to QEMU's threads", _PIN
    ),
    Rule("scheduler", ("fifo",), *_SHARED, "a FIFO vCPU starves whatever else runs on a shared CPU", _PIN),
    Rule(
        "scheduler",
        ("fifo",),
        "isolation",
        ("any", "none"),
        "a FIFO vCPU starves the kernel threads of a CPU that is not isolated",
        "set `isolation = boot`",
    ),
    Rule(
        "cpu",
        ("host-passthrough", "host-model"),
        "type",
        ("qemu",),
        "emulation cannot give a guest the host's CPU",
        "set `cpu = maximum`",
    ),
    Rule(
        "migratable",
        (False,),
        "cpu",
        ("host-model", "baseline"),
        "this CPU is made to migrate",
        "set `cpu = host-passthrough`",
    ),
    Rule("secure_boot", (True,), "firmware", ("bios",), "a BIOS checks no signatures", "set `firmware = uefi`"),
    Rule("cachetune", (), "type", ("qemu",), "libvirt gives parts of a cache to KVM guests alone", "set `type = kvm`"),
    Rule("memorytune", (), "type", ("qemu",), "libvirt limits the bandwidth of KVM guests alone", "set `type = kvm`"),
    Rule("hyperv", (True,), "type", ("qemu",), "KVM alone has these interfaces", "set `type = kvm`"),
)

HOST = (
    Rule(
        "profile",
        ("realtime",),
        "isolation",
        ("none",),
        "a realtime guest waits for whatever the kernel puts on its CPUs",
        "set `isolation = boot`, or `profile = latency`",
    ),
)

VSWITCH = (
    Rule(
        "type",
        ("ovs-dpdk",),
        "cores",
        (0,),
        "its PMD threads poll on cores that are theirs alone",
        "set `cores = 1` or more",
    ),
)

DISK = (
    Rule(
        "io",
        ("native",),
        "cache",
        ("writeback", "writethrough"),
        "native I/O bypasses the host's page cache",
        "set `io = threads` or `io = io_uring`, or `cache = none`",
    ),
    Rule(
        "iothread",
        ("shared", "own"),
        "bus",
        ("sata",),
        "no I/O thread serves an emulated SATA controller",
        "set `bus = virtio` or `bus = scsi`",
    ),
    Rule(
        "iothread",
        ("own",),
        "bus",
        ("scsi",),
        "one thread serves the SCSI controller with all its disks",
        "set `iothread = shared`, or `bus = virtio`",
    ),
    Rule(
        "queues",
        (),
        "bus",
        ("sata",),
        "an emulated SATA controller has one queue",
        "set `bus = virtio`, or drop `queues`",
    ),
    Rule(
        "queue_size", (), "bus", ("sata", "scsi"), "the rings of a virtio disk alone have a size", "set `bus = virtio`"
    ),
    Rule("cmd_per_lun", (), "bus", ("sata", "virtio"), "it is a setting of the SCSI controller", "set `bus = scsi`"),
    Rule("max_sectors", (), "bus", ("sata", "virtio"), "it is a setting of the SCSI controller", "set `bus = scsi`"),
    Rule(
        "iothreads",
        (),
        "iothread",
        ("none", "shared"),
        "queues are spread over threads of the disk's own",
        "set `iothread = own`",
    ),
)

_VIRTIO = "queues are those of a virtio NIC, a device brings its own"

NETWORK = (
    Rule("mode", (), "bridge", (), "it is macvtap's", "drop `mode`"),
    Rule("mode", (), "network", (), "it is macvtap's", "drop `mode`"),
)

_EMULATED = ("e1000e", "e1000", "rtl8139")
_ONE_QUEUE = "an emulated NIC has one queue and rings of its own"

NIC = (
    Rule("model", (), "device", (), "a device of the host is what it is", "drop `model`"),
    Rule("model", (), "socket", (), "vhost-user is virtio", "drop `model`"),
    Rule("queues", (), "model", _EMULATED, _ONE_QUEUE, "drop `queues`"),
    Rule("rx_queue_size", (), "model", _EMULATED, _ONE_QUEUE, "drop `rx_queue_size`"),
    Rule("tx_queue_size", (), "model", _EMULATED, _ONE_QUEUE, "drop `tx_queue_size`"),
    Rule("queues", (), "device", (), _VIRTIO, "drop `queues`"),
    Rule("rx_queue_size", (), "device", (), _VIRTIO, "drop `rx_queue_size`"),
    Rule("tx_queue_size", (), "device", (), _VIRTIO, "drop `tx_queue_size`"),
    Rule("mode", (), "network", (), "it is an end of a vhost-user socket", "drop `mode`"),
    Rule("mode", (), "device", (), "it is an end of a vhost-user socket", "drop `mode`"),
    Rule("vswitch", (), "network", (), "a bridge of the kernel has no cores of its own", "drop `vswitch`"),
    Rule("vswitch", (), "device", (), "no switch is behind a device of the host", "drop `vswitch`"),
    Rule("near", (), "network", (), "a virtio NIC is no device of the host", "drop `near`"),
    Rule("beside", (), "network", (), "a virtio NIC is no device of the host", "drop `beside`"),
    Rule("within", (), "network", (), "a virtio NIC is no device of the host", "drop `within`"),
)


def check_rules(rules: tuple[Rule, ...], node: Node, owner: Node, bag: Bag) -> None:
    """Add an error for each rule that the block breaks; `owner` is the guest. A setting is blamed once."""
    blamed: set[str] = set()
    for rule in rules:
        if (
            rule.first not in blamed
            and _holds(node, rule.first, rule.values)
            and _holds(node, rule.second, rule.against)
        ):
            blamed.add(rule.first)
            what = f"{_written(node, rule.first, rule.values)} contradicts {_written(node, rule.second, rule.against)}"
            contradict(node, owner, (rule.first, rule.second), what, bag, why=rule.why, help=rule.help)


def contradict(
    node: Node, owner: Node, names: tuple[str, ...], message: str, bag: Bag, *, why: str = "", help: str = ""
) -> None:
    """Settings of one block do not go together: told at one of them, the guest's own before inherited ones, with all the others."""
    given = [node.values[name] for name in names if name in node.values]
    main = next((one for one in given if one.block == owner.top), given[0])
    secondary = [
        Label(one.span, f"set by {one.block}" if one.block != owner.top else "") for one in given if one is not main
    ]
    if main.block != owner.top:
        secondary.append(Label(owner.header, "used here"))
    notes = [f"`{name} = {written(node.get(name))}` is the default" for name in names if name not in node.values]
    bag.error(
        codes.CONFLICT,
        message,
        Label(main.span),
        secondary=secondary,
        notes=[*notes, why] if why else notes,
        help=[help] if help else (),
    )


def _holds(node: Node, name: str, values: tuple[str | int, ...]) -> bool:
    if not values:  # what the default is may be said
        given = node.values.get(name)
        return given is not None and given.value is not UNKNOWN and given.value != defaults(node.row.name)[name]
    return node.get(name) in values


def _written(node: Node, name: str, values: tuple[str | int, ...]) -> str:
    return f"`{name} = {written(node.get(name))}`" if values else f"`{name}`"


def written(value: object) -> str:
    """A value as the language has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
