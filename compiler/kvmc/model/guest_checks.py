"""What a guest's CPU features, devices and protection exclude among each other, with its classes resolved."""

from __future__ import annotations

from collections.abc import Iterator

from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import schema as codes
from kvmc.diagnostics.text import counted
from kvmc.model.conflicts import contradict, written
from kvmc.model.nodes import Node

_OWN_CPU = ("host-passthrough", "maximum")
"""Modes that take the host's CPU as it is, so that QEMU can take its width of physical addresses too."""
_VHOST_QUEUE = 256
"""The most places of a transmit ring that the kernel's vhost takes (QEMU, hw/net/virtio-net.c)."""


def check_features(vm: Node, bag: Bag) -> None:
    """Features that are asked for and hidden, that block the migration asked for, and that cost speed where they are hidden."""
    required, hidden = (_names(vm, name) for name in ("require", "disable"))
    for feature in required:
        if feature in hidden:
            contradict(
                vm, vm, ("require", "disable"), f"`{feature}` is required and hidden", bag, help="keep one of them"
            )
    if not required and not hidden:
        return
    from kvmc.knowledge.cpu_features import COSTLY, NO_MIGRATION

    blocking = [feature for feature in required if feature in NO_MIGRATION]
    if blocking:
        migratable = vm.get("cpu") == "host-passthrough" and vm.get("migratable") is True
        if migratable or vm.get("cpu") == "baseline":
            name = "migratable" if migratable else "cpu"
            contradict(
                vm,
                vm,
                ("require", name),
                f"`{blocking[0]}` cannot migrate, and the guest is to be able to",
                bag,
                why="QEMU refuses to migrate a guest that has it",
                help="set `cpu = host-passthrough` and `migratable = false`, or do without it",
            )
    costly = [feature for feature in hidden if feature in COSTLY]
    if costly and vm.get("reason") is None:
        given = vm.values["disable"]
        secondary = [Label(vm.header, "used here")] if given.block != vm.top else []
        bag.error(
            codes.NO_REASON,
            f"vm `{vm.name}` hides {', '.join(f'`{one}`' for one in costly)} and gives no `reason`",
            Label(given.span),
            secondary=secondary,
            notes=["checksums, TLS, compression and search use them: without them the guest is slower, not steadier"],
            help=['drop them, or say why, as in `reason = "the vendor\'s agent crashes with it"`'],
        )


def check_machine(vm: Node, bag: Bag) -> None:
    """What its machine has, against what that needs."""
    if vm.get("maxphysaddr") == "passthrough" and vm.get("cpu") not in _OWN_CPU:
        contradict(
            vm,
            vm,
            ("maxphysaddr", "cpu"),
            f"`maxphysaddr = passthrough` contradicts `cpu = {vm.get('cpu')}`",
            bag,
            why="a model that other hosts have too has the bits of physical address of that model",
            help="set `cpu = host-passthrough`",
        )
    if vm.labelled("mdev") and vm.get("host") is None:
        first = next(iter(vm.labelled("mdev").values()))
        secondary = [Label(vm.header, "used here")] if first.top != vm.top else []
        bag.error(
            codes.MDEV_ANYWHERE,
            f"vm `{vm.name}` has {counted(len(vm.labelled('mdev')), 'mediated device')} and may go to any host",
            Label(first.header),
            secondary=secondary,
            notes=["a mediated device is on the one host whose driver made it"],
            help=["name the host that has it, with `host`"],
        )
    if vm.get("launch_security") not in (None, "none"):
        _protected(vm, bag)


def _protected(vm: Node, bag: Bag) -> None:
    """What memory that the host cannot read excludes."""
    kind = vm.get("launch_security")
    pinned = kind in ("sev", "sev-es")
    excluded = [
        (
            "locked",
            pinned and vm.get("locked") is False,
            "the kernel pins all of its memory, which needs the limit of locked memory lifted",
            "set `locked = true`",
        ),
        ("firmware", vm.get("firmware") == "bios", "only UEFI is measured at launch", "set `firmware = uefi`"),
        ("type", vm.get("type") == "qemu", "emulation has no memory that the host cannot read", "set `type = kvm`"),
        (
            "pages",
            isinstance(vm.get("pages"), int) and not pinned,
            "private memory comes from guest_memfd, which has no huge pages of the pool: they would lie idle",
            "set `pages = none`",
        ),
        ("secure_boot", vm.get("secure_boot") is True, "its firmware keeps no variables", "drop `secure_boot`"),
        ("cpu", vm.get("cpu") == "baseline", "it cannot migrate", "set `cpu = host-passthrough`"),
        (
            "maxphysaddr",
            vm.get("maxphysaddr") == "passthrough",
            "its address bits are the platform's",
            "drop `maxphysaddr`",
        ),
    ]
    for name, wrong, why, help in excluded:
        if wrong:
            what = f"`launch_security = {kind}` contradicts `{name}`"
            contradict(vm, vm, ("launch_security", name), what, bag, why=why, help=help)
            return
    for node in _passed(vm):
        bag.error(
            codes.CONFLICT,
            f"`launch_security = {kind}` contradicts {node.row.name} `{node.name}`, a device of the host",
            Label(node.header),
            secondary=[vm.place("launch_security"), *([Label(vm.header, "used here")] if node.top != vm.top else [])],
            notes=["a device that is passed through cannot reach memory that is the guest's alone"],
            help=["take the device away, or `launch_security`"],
        )
        return


def _passed(vm: Node) -> Iterator[Node]:
    for (kind, _label), node in vm.children.items():
        if kind in ("hostdev", "mdev") or (kind == "nic" and node.get("device") is not None):
            yield node


def check_architecture(vm: Node, bag: Bag) -> None:
    """What the guest's machine has not: Arm's `virt` none of the PC's parts, and a PC no feature of Arm's."""
    machine = vm.get("machine")
    if not isinstance(machine, str):
        return
    arm = machine.startswith("virt-")
    required, hidden = (_names(vm, name) for name in ("require", "disable"))
    if required or hidden:
        from kvmc.knowledge.cpu_features import ARM, X86

        for setting, features in (("require", required), ("disable", hidden)):
            foreign = [one for one in features if one not in (ARM if arm else X86)]
            if foreign:
                text = f"CPU feature `{foreign[0]}` on machine `{machine}`, whose CPUs never have it"
                why = (
                    f"it is {'x86' if arm else 'Arm'}'s"
                    if len(foreign) == 1
                    else f"{len(foreign)} of them are another's"
                )
                contradict(vm, vm, (setting, "machine"), text, bag, why=why, help=f"drop it from `{setting}`")
    passed = vm.children.get(("passed", ""))
    if passed is not None and passed.get("expander") is True and not machine.startswith("pc-q35-"):
        contradict(
            passed,
            vm,
            ("expander",),
            f"`expander = true` on machine `{machine}`, which has no PCIe expander bus",
            bag,
            why="libvirt has it on q35 alone",
            help="drop `expander`",
        )
    if not arm:
        return
    host_cpu = "on Arm KVM gives a guest the host's own CPU alone"
    excluded = [
        ("firmware", vm.get("firmware") == "bios", "Arm's `virt` has no BIOS", "set `firmware = uefi`"),
        (
            "cpu",
            vm.get("type") == "kvm" and vm.get("cpu") not in _OWN_CPU,
            host_cpu,
            "set `cpu = host-passthrough`",
        ),
        ("maxphysaddr", vm.get("maxphysaddr") == "passthrough", "it is x86's", "drop `maxphysaddr`"),
        ("migratable", vm.get("migratable") is False, "it is x86's", "drop `migratable`"),
        ("hyperv", vm.get("hyperv") is True, "KVM has these interfaces on x86 alone", "drop `hyperv`"),
        (
            "secure_boot",
            vm.get("secure_boot") is True,
            "its firmware has no memory of its own for keys",
            "drop `secure_boot`",
        ),
        ("launch_security", vm.get("launch_security") != "none", "it is AMD's or Intel's", "drop `launch_security`"),
    ]
    for name, wrong, why, help in excluded:
        if wrong:
            what = f"`{name} = {written(vm.get(name))}` on machine `{machine}`, which is Arm's"
            contradict(vm, vm, (name, "machine"), what, bag, why=why, help=help)
    for disk in vm.labelled("disk").values():
        if disk.get("bus") == "sata":
            help = "set `bus = virtio` or `bus = scsi`"
            what = f"`bus = sata` on machine `{machine}`, which has no SATA controller"
            contradict(disk, vm, ("bus",), what, bag, why="it is the PC's", help=help)


def check_nic(nic: Node, vm: Node, bag: Bag) -> None:
    """Rings that vhost in the kernel does not take."""
    size = nic.get("tx_queue_size")
    if isinstance(size, int) and size > _VHOST_QUEUE and nic.get("network") is not None:
        contradict(
            nic,
            vm,
            ("tx_queue_size", "network"),
            f"`tx_queue_size = {size}` on a network of the kernel's vhost, which takes {_VHOST_QUEUE}",
            bag,
            why="QEMU takes more with vhost-user alone",
            help=f"set `tx_queue_size = {_VHOST_QUEUE}`",
        )


def _names(vm: Node, setting: str) -> tuple[str, ...]:
    value = vm.get(setting)
    return tuple(map(str, value)) if isinstance(value, tuple) else ()
