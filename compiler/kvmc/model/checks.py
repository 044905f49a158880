"""Checks that need a block with its ancestors: what is missing, what does not go together, what two of them claim."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc import std
from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import schema as codes
from kvmc.model import conflicts, guest_checks
from kvmc.model.nodes import Given, Node, Tables
from kvmc.model.settings import blocks, settings
from kvmc.model.shape_checks import check_shape
from kvmc.model.site import MemoryKind, Profile
from kvmc.model.table import Row
from kvmc.model.values import PciAddress

_TWINS = {"vcpus": "memory", "memory": "vcpus"}
"""Settings that give a guest its size together: a class that sets one is where the other is missing."""


def check_merged(merged: Tables, bag: Bag) -> None:
    """All that is used: hosts and guests and what they are made of. A class or a pool may be incomplete."""
    for kind in ("site", "platform", "network", "storage", "place"):
        for node in merged[kind].values():
            _required(node, node, bag)
    for kind in ("host", "vm"):
        _required_of_heirs(kind, merged, bag)
    for network in merged["network"].values():
        _one_of(network, ("bridge", "network", "direct"), network, bag)
        conflicts.check_rules(conflicts.NETWORK, network, network, bag)
    for host in merged["host"].values():
        _host(host, merged, bag)
    claims = _Claims(bag)
    for vm in merged["vm"].values():
        _guest(vm, merged, bag)
        claims.guest(vm, merged)
    if merged["place"]:
        from kvmc.model.relations import check_places

        check_places(merged, bag)


def _required(node: Node, owner: Node, bag: Bag) -> None:
    """Settings that a block must have, there or in an ancestor."""
    if not (owner.complete and node.complete):
        return
    for row in settings(node.row.name).values():
        if row.required and row.name not in node.values and not (row.name == "vcpus" and "memory_kind" in node.values):
            what = f"{node.row.name} `{node.name}`" + (
                f" of {owner.row.name} `{owner.name}`" if owner is not node else ""
            )
            _missing(what, row, [node], owner, bag)


def _required_of_heirs(kind: str, merged: Tables, bag: Bag) -> None:
    """The same for hosts or guests: those of one parent, or of one ancestor of all of them, lack a setting together."""
    lacking: dict[str, list[Node]] = {}
    for node in merged[kind].values():
        for row in settings(kind).values():
            if row.required and row.name not in node.values and node.complete:
                lacking.setdefault(row.name, []).append(node)
    if not lacking:
        return
    base = blocks()[kind].parents or ""
    lines = {name: _line_of(node, merged[base]) for name, node in merged[kind].items()}
    heirs: dict[str, set[str]] = {}
    for name, line in lines.items():
        for older in line:
            heirs.setdefault(older, set()).add(name)
    found: dict[tuple[str, str], tuple[Row, Node | None, list[Node]]] = {}
    for node in merged[kind].values():
        for name, nodes in lacking.items():
            if any(one is node for one in nodes):
                without = {one.name for one in nodes}
                line = lines[node.name] if name in settings(base) else []
                root = next((one for one in line if len(heirs[one]) > 1 and heirs[one] <= without), None)
                key = root or (node.parent.text if node.parent else f"{node.name}:")
                ancestor = merged[base][root] if root is not None else None
                found.setdefault((key, name), (settings(kind)[name], ancestor, []))[2].append(node)
    for row, ancestor, nodes in found.values():
        _missing(f"{kind} `{nodes[0].name}`", row, nodes, nodes[0], bag, ancestor)


def _line_of(node: Node, known: Mapping[str, Node]) -> list[str]:
    """The ancestors' names, the first of them first; those of the standard library are for all sites, and none to blame."""
    line: list[str] = []
    while node.parent is not None and node.parent.text in known and node.parent.text not in line:
        node = known[node.parent.text]
        if not node.header.file.startswith(std.PREFIX):
            line.insert(0, node.name)
    return line


def _missing(what: str, row: Row, nodes: list[Node], owner: Node, bag: Bag, ancestor: Node | None = None) -> None:
    """nodes: all that lack it. ancestor: of all of them, and of no other guest or host."""
    name, parents = f"`{row.name}`", owner.row.parents
    place = f", here or in a {parents}" if parents and row.name in settings(parents) else ""
    primary = Label(nodes[0].header, f"{name} is missing")
    secondary = [Label(one.header, "here too") for one in nodes[1:4]]
    of = (
        f"{parents} `{ancestor.name}`" if ancestor else f"{parents} `{nodes[0].parent.text}`" if nodes[0].parent else ""
    )
    notes = [f"{len(nodes) - 1} more of {of} have none"] if len(nodes) > 1 else []
    twin = nodes[0].values.get(_TWINS.get(row.name, ""))
    if twin is not None and twin.block != nodes[0].top and not twin.span.file.startswith(std.PREFIX):
        primary, ancestor = Label(twin.span, f"{twin.block} sets this, and no {name}"), None
        secondary.insert(0, Label(nodes[0].header, "has none"))
    elif ancestor is not None:
        primary = Label(ancestor.header, f"{name} is missing here, or in each {nodes[0].row.name} of it")
        secondary.insert(0, Label(nodes[0].header, "has none"))
    elif before := _before(nodes[0], row):
        primary = Label(before.span, f"{name} is missing below this")
        secondary.insert(0, Label(nodes[0].header, "has none"))
    help = f"set it{place}, as in `{row.name} = {row.example}`"
    bag.error(codes.MISSING, f"{what} has no {name}", primary, secondary=secondary, notes=notes, help=[help])


def _before(node: Node, row: Row) -> Given | None:
    """The setting that stands in the block itself and is the last before `row` in the table: the missing line belongs below it."""
    found = None
    for name in settings(node.row.name):
        if name == row.name:
            break
        value = node.values.get(name)
        if value is not None and value.block == node.top and value.span.file == node.header.file:
            found = value
    return found


def _one_of(node: Node, names: tuple[str, ...], owner: Node, bag: Bag) -> None:
    """Exactly one of some settings."""
    given = [name for name in names if name in node.values]
    of = f" of {owner.row.name} `{owner.name}`" if owner is not node else ""
    what = f"{node.row.name} `{node.name}`{of}"
    if not given and owner.complete and node.complete:
        head = f"`{names[0]}`" if len(names) == 2 else f"{', '.join(f'`{name}`' for name in names[:-1])}"
        text = f"{what} has neither {head} nor `{names[-1]}`"
        bag.error(codes.ONE_OF, text, Label(node.header), help=["set one of them"])
    elif len(given) > 1:
        first, second = (node.values[name] for name in given[:2])
        later, other = (first, second) if first.block == owner.top != second.block else (second, first)
        secondary = [Label(other.span, f"set by {other.block}" if other.block != owner.top else "")]
        text = f"{what} has both `{given[0]}` and `{given[1]}`"
        bag.error(codes.ONE_OF, text, Label(later.span), secondary=secondary, help=["keep one of them"])


def _host(host: Node, merged: Tables, bag: Bag) -> None:
    platform = merged["platform"].get(str(host.get("platform")))
    if platform is not None and host.get("profile") is Profile.REALTIME and platform.get("realtime") is False:
        bag.error(
            codes.CONFLICT,
            f"`profile = realtime` on platform `{platform.name}`, whose kernel is not realtime",
            host.place("profile"),
            secondary=[platform.place("realtime", "no `realtime = true` here"), Label(host.header, "this host")],
            help=["set `realtime = true` if the kernel is built with PREEMPT_RT, else `profile = latency`"],
        )
    conflicts.check_rules(conflicts.HOST, host, host, bag)
    for kind, memory in host.labelled("memory").items():
        if kind not in tuple(MemoryKind):
            words = ", ".join(f"`{one}`" for one in MemoryKind)
            bag.error(
                codes.BAD_LABELS, f"no kind of memory `{kind}`", Label(memory.label), help=[f"take one of {words}"]
            )
    vswitch = host.children.get(("vswitch", ""))
    if vswitch is not None:
        conflicts.check_rules(conflicts.VSWITCH, vswitch, host, bag)
    _boot_cpu(host, bag)
    taken: dict[PciAddress, tuple[Node, str]] = {}
    for pool in host.labelled("devices").values():
        _one_of(pool, ("parent", "addresses"), host, bag)
        if "parent" in pool.values and "addresses" not in pool.values and "vfs" not in pool.values:
            text = f"devices `{pool.name}` has a `parent` and no `vfs`"
            bag.error(
                codes.MISSING, text, pool.place("parent"), help=["say how many VFs it is to have, as in `vfs = 8`"]
            )
        if "vfs" in pool.values and "parent" not in pool.values and "addresses" in pool.values:
            text = "`vfs` without `parent`: devices at `addresses` are given whole"
            bag.error(codes.CONFLICT, text, pool.place("vfs"), secondary=[pool.place("addresses")], help=["drop `vfs`"])
        for setting in ("parent", "addresses"):
            value = pool.get(setting)
            for address in value if isinstance(value, tuple) else ():
                if not isinstance(address, PciAddress):
                    continue
                other, name = taken.setdefault(address, (pool, setting))
                if other is not pool:
                    text = f"device `{address}` of host `{host.name}` is in the pools `{other.name}` and `{pool.name}`"
                    bag.error(codes.SAME_DEVICE, text, pool.place(setting), secondary=[other.place(name)])


def _boot_cpu(host: Node, bag: Bag) -> None:
    """What only harms: guests on the CPU that keeps the host's time."""
    kept = host.children.get(("housekeeping", ""))
    if kept is not None and kept.get("boot_cpu") is False and kept.get("reason") is None:
        bag.error(
            codes.BOOT_CPU_GIVEN,
            f"`boot_cpu = false` of host `{host.name}` has no reason",
            kept.place("boot_cpu"),
            notes=[
                "the kernel keeps its time on that CPU, takes it out of `nohz_full` again, and lets interrupts come to it"
            ],
            help=['if it is meant, say why, as in `reason = "the job scheduler counts from CPU 0"`'],
        )


def _guest(vm: Node, merged: Tables, bag: Bag) -> None:
    conflicts.check_rules(conflicts.GUEST, vm, vm, bag)
    check_shape(vm, bag)
    guest_checks.check_features(vm, bag)
    guest_checks.check_machine(vm, bag)
    guest_checks.check_architecture(vm, bag)
    _beside(vm, bag)
    host, pool = merged["host"].get(str(vm.get("host"))), vm.get("pool")
    if host is not None and pool in merged["pool"] and (host.parent is None or host.parent.text != pool):
        text = f"`host = {host.name}` contradicts `pool = {pool}`: the host is not of that pool"
        conflicts.contradict(vm, vm, ("host", "pool"), text, bag, help="drop one of them")
    boots: dict[object, Node] = {}
    for (kind, _label), node in vm.children.items():
        if kind == "nic":
            _one_of(node, ("network", "device", "socket"), vm, bag)
            conflicts.check_rules(conflicts.NIC, node, vm, bag)
            guest_checks.check_nic(node, vm, bag)
            continue
        _required(node, vm, bag)
        if kind == "near":
            _one_of(node, ("device", "address"), vm, bag)
        if kind == "disk":
            conflicts.check_rules(conflicts.DISK, node, vm, bag)
            boot = node.get("boot")
            other = boots.setdefault(boot, node) if isinstance(boot, int) else node
            if other is not node:
                text = f"disks `{other.name}` and `{node.name}` of vm `{vm.name}` have the same place {boot} in the boot order"
                bag.error(codes.CONFLICT, text, node.place("boot"), secondary=[other.place("boot")])


def _beside(vm: Node, bag: Bag) -> None:
    """Who is to be beside another device names one that the guest has, other than itself."""
    passed = {
        (kind, label)
        for (kind, label), node in vm.children.items()
        if kind == "hostdev" or (kind == "nic" and "device" in node.values)
    }
    for (kind, label), node in vm.children.items():
        name = node.get("beside") if kind in ("nic", "hostdev") and "network" not in node.values else None
        if not isinstance(name, str) or any(other == name and (of, other) != (kind, label) for of, other in passed):
            continue
        others = [f"`{other}`" for of, other in sorted(passed) if (of, other) != (kind, label)]
        bag.error(
            codes.BESIDE_NOTHING,
            f"`beside = {name}` of {kind} `{label}`: vm `{vm.name}` has no other passed device `{name}`",
            node.place("beside"),
            secondary=[Label(vm.header, "used here")] if node.top != vm.top else [],
            notes=[f"it has {', '.join(others)}"] if others else [],
        )


class _Claims:
    """What only one guest or NIC or disk may have."""

    def __init__(self, bag: Bag) -> None:
        self.bag = bag
        self.uuids: dict[object, Node] = {}
        self.macs: dict[object, tuple[Node, Node]] = {}
        self.sources: dict[str, tuple[Node, Node]] = {}
        self.mdevs: dict[object, tuple[Node, Node]] = {}

    def guest(self, vm: Node, merged: Tables) -> None:
        uuid = vm.get("uuid")
        if isinstance(uuid, str):
            other = self.uuids.setdefault(uuid, vm)
            if other is not vm:
                text = f"vms `{other.name}` and `{vm.name}` have one uuid"
                self.bag.error(codes.SAME_IDENTITY, text, vm.place("uuid"), secondary=[other.place("uuid")])
        for (kind, _label), node in vm.children.items():
            if kind == "nic" and isinstance(node.get("mac"), str):
                self.nic(vm, node)
            elif kind == "disk":
                self.disk(vm, node, merged)
            elif kind == "mdev" and isinstance(node.get("uuid"), str):
                self.mdev(vm, node)

    def nic(self, vm: Node, nic: Node) -> None:
        other_vm, other = self.macs.setdefault(nic.get("mac"), (vm, nic))
        if other_vm is vm and other.name == nic.name:
            return
        first, second = other.values["mac"], nic.values["mac"]
        secondary = [Label(first.span, "first here")] if first is not second else []
        inherited = [Label(one.header, "has it") for one in (other_vm, vm) if first is second]
        text = f"nic `{other.name}` of vm `{other_vm.name}` and nic `{nic.name}` of vm `{vm.name}` have one MAC address"
        help = ["leave `mac` out: it is derived, and differs for each"]
        self.bag.error(codes.SAME_IDENTITY, text, Label(second.span), secondary=[*secondary, *inherited], help=help)

    def mdev(self, vm: Node, mdev: Node) -> None:
        other_vm, other = self.mdevs.setdefault(mdev.get("uuid"), (vm, mdev))
        if other is not mdev:
            text = (
                f"mdev `{other.name}` of vm `{other_vm.name}` and mdev `{mdev.name}` of vm `{vm.name}` are one device"
            )
            first, second = other.values["uuid"], mdev.values["uuid"]
            secondary = [Label(first.span, "first here")] if first is not second else [Label(vm.header, "has it too")]
            self.bag.error(codes.SAME_IDENTITY, text, Label(second.span), secondary=secondary)

    def disk(self, vm: Node, disk: Node, merged: Tables) -> None:
        storage = merged["storage"].get(str(disk.get("storage")))
        source = storage.get("source") if storage else None
        if storage is None or not isinstance(source, str):
            return
        path = source.replace("{vm}", vm.name).replace("{disk}", disk.name)
        other_vm, other = self.sources.setdefault(path, (vm, disk))
        apart = None not in (other_vm.get("host"), vm.get("host")) and other_vm.get("host") != vm.get("host")
        if (other_vm is vm and other.name == disk.name) or apart:
            return
        self.bag.error(
            codes.SAME_DISK,
            f"disk `{other.name}` of vm `{other_vm.name}` and disk `{disk.name}` of vm `{vm.name}` are both `{path}`",
            storage.place("source"),
            secondary=[Label(disk.header, f"of `{vm.name}`"), Label(other.header, f"of `{other_vm.name}`")]
            if other.header != disk.header
            else [Label(disk.header, "the disk"), Label(other_vm.header, "has it"), Label(vm.header, "has it too")],
            help=["give the source `{vm}` and `{disk}`, so that each disk has its own"],
        )
