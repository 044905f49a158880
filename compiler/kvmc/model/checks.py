"""Checks that need a block with its ancestors: what is missing, what does not go together, what two of them claim."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc import std
from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import schema as codes
from kvmc.diagnostics.text import counted
from kvmc.model import conflicts, guest_checks
from kvmc.model.cpuset import CpuSet
from kvmc.model.kinds import MIB
from kvmc.model.names import write_one_of
from kvmc.model.nodes import Node, Tables
from kvmc.model.settings import blocks, settings
from kvmc.model.site import MemoryKind, MemoryMode, Pinning, Profile
from kvmc.model.table import Row
from kvmc.model.values import PciAddress, size_text

_TWINS = {"vcpus": "memory", "memory": "vcpus"}
"""Settings that give a guest its size together: a class that sets one is where the other is missing."""


def check_merged(merged: Tables, bag: Bag) -> None:
    """All that is used: hosts and guests and what they are made of. A class or a pool may be incomplete."""
    for kind in ("site", "platform", "network", "storage", "place"):
        for node in merged[kind].values():
            _required(node, node, bag)
    for kind in ("host", "vm"):
        _required_of_heirs(kind, merged, bag)
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
        if row.required and row.name not in node.values:
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
    help = f"set it{place}, as in `{row.name} = {row.example}`"
    bag.error(codes.MISSING, f"{what} has no {name}", primary, secondary=secondary, notes=notes, help=[help])


def _one_of(node: Node, names: tuple[str, ...], owner: Node, bag: Bag) -> None:
    """Exactly one of some settings."""
    given = [name for name in names if name in node.values]
    what = f"{node.row.name} `{node.name}` of {owner.row.name} `{owner.name}`"
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
            for address in value if setting == "addresses" and isinstance(value, tuple) else (value,):
                if not isinstance(address, PciAddress):
                    continue
                other, name = taken.setdefault(address, (pool, setting))
                if other is not pool:
                    text = f"device `{address}` of host `{host.name}` is in the pools `{other.name}` and `{pool.name}`"
                    bag.error(codes.SAME_DEVICE, text, pool.place(setting), secondary=[other.place(name)])


def _guest(vm: Node, merged: Tables, bag: Bag) -> None:
    conflicts.check_rules(conflicts.GUEST, vm, vm, bag)
    _division(vm, bag)
    guest_checks.check_features(vm, bag)
    guest_checks.check_machine(vm, bag)
    guest_checks.check_architecture(vm, bag)
    _beside(vm, bag)
    _mixed(vm, bag)
    _interleaved(vm, bag)
    _of_kind(vm, bag)
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


def _division(vm: Node, bag: Bag) -> None:
    """Guest nodes have as much memory each, in whole pages; libvirt itself rounds a cell up to whole MiB."""
    vcpus, nodes, memory, pages = (vm.get(name) for name in ("vcpus", "nodes", "memory", "pages"))
    if not isinstance(nodes, int):
        return
    if vm.labelled("node"):
        _guest_nodes(vm, bag)
        return
    if isinstance(vcpus, int) and nodes > vcpus:
        conflicts.contradict(
            vm,
            vm,
            ("nodes", "vcpus"),
            f"{counted(nodes, 'node')} for {counted(vcpus, 'vCPU')}: each node needs one",
            bag,
        )
    if not isinstance(memory, int) or not (pages is None or isinstance(pages, int)):
        return
    unit = max(pages or MIB, MIB)
    if memory % (unit * nodes) == 0:
        return
    parts = [f"{counted(nodes, 'node')}"] if nodes > 1 else []
    parts.append(f"{size_text(pages)} pages" if pages else "whole MiB")
    step = unit * nodes
    below = memory // step * step
    choices = " or ".join(f"`memory = {size_text(kib)}`" for kib in (below, below + step) if kib)
    bag.error(
        codes.NOT_DIVISIBLE,
        f"{size_text(memory)} cannot be divided into {' of '.join(parts)}",
        vm.place("memory"),
        secondary=[vm.place(name) for name in ("pages", "nodes") if name in vm.values],
        help=[f"set {choices}"],
        fixes=write_one_of((size_text(kib) for kib in (below, below + step) if kib), vm.values["memory"].at),
    )


def _guest_nodes(vm: Node, bag: Bag) -> None:
    """Nodes that are not alike: numbered from 0, as many as `nodes` says if it does, and together the guest."""
    nodes = vm.labelled("node")
    names = sorted(nodes, key=lambda name: (not _numeral(name), len(name), name))
    wrong = next((name for number, name in enumerate(names) if name != str(number)), None)
    if wrong is not None:
        last = len(nodes) - 1
        text = f"vm `{vm.name}` has a `node {wrong}`, its {counted(len(nodes), 'node')} are numbered from 0 to {last}"
        help = [f"number it {names.index(wrong)}"]
        bag.error(codes.GUEST_NODES, text, nodes[wrong].header, help=help)
        return
    asked = vm.values.get("nodes")
    if asked is not None and isinstance(asked.value, int) and asked.value != len(nodes):
        text = f"`nodes = {asked.value}` of vm `{vm.name}`, which has {counted(len(nodes), 'node block')}"
        secondary = [Label(node.header) for node in nodes.values()]
        bag.error(codes.GUEST_NODES, text, vm.place("nodes"), secondary=secondary, help=["drop `nodes`"])
    for name, show in (("vcpus", str), ("memory", size_text)):
        parts = [node.get(name) for node in nodes.values()]
        whole = vm.get(name)
        numbers = [part for part in parts if isinstance(part, int)]
        if not isinstance(whole, int) or len(numbers) != len(parts) or sum(numbers) == whole:
            continue
        bag.error(
            codes.NODES_SUM,
            f"the nodes of vm `{vm.name}` have `{name}` of {show(sum(numbers))} together, the guest has {show(whole)}",
            vm.place(name),
            secondary=[node.place(name) for node in nodes.values()],
            help=[f"set `{name} = {show(sum(numbers))}`, or change the nodes"],
            fixes=write_one_of([show(sum(numbers))], vm.values[name].at if name in vm.values else None),
        )
    pages = vm.get("pages")
    unit = max(pages, MIB) if isinstance(pages, int) else MIB
    for node in nodes.values():
        memory = node.get("memory")
        if isinstance(memory, int) and memory % unit and (pages is None or isinstance(pages, int)):
            what = f"{size_text(unit)} pages" if pages else "whole MiB"
            text = f"{size_text(memory)} of node {node.name} of vm `{vm.name}` cannot be divided into {what}"
            secondary = [vm.place("pages")] if "pages" in vm.values else []
            help = [f"set `memory = {size_text(-(-memory // unit) * unit)}`"]
            bag.error(codes.NOT_DIVISIBLE, text, node.place("memory"), secondary=secondary, help=help)


def _interleaved(vm: Node, bag: Bag) -> None:
    """Interleaved memory is of no node, so a guest that is shown nodes would be told what is not so."""
    blocks = vm.labelled("node")
    nodes = len(blocks) or vm.get("nodes")
    if vm.get("numatune") != MemoryMode.INTERLEAVE or not isinstance(nodes, int) or nodes < 2:
        return
    text = f"`numatune = interleave` of vm `{vm.name}`, which has {counted(nodes, 'node')} of its own"
    secondary = [Label(node.header) for node in blocks.values()] or [vm.place("nodes")]
    why = "memory that lies on all nodes in turn is near no vCPU, and the guest would see it as near"
    help = ["drop its nodes, or `numatune = preferred`"]
    bag.error(codes.INTERLEAVED_NODES, text, vm.place("numatune"), secondary=secondary, notes=[why], help=help)


def _of_kind(vm: Node, bag: Bag) -> None:
    """The distances that a guest with several nodes is shown are those of the nodes of its vCPUs."""
    blocks = vm.labelled("node")
    nodes = len(blocks) or vm.get("nodes")
    kind = vm.get("memory_kind")
    if not isinstance(kind, MemoryKind) or not isinstance(nodes, int) or nodes < 2:
        return
    text = f"`memory_kind = {kind}` of vm `{vm.name}`, which has {counted(nodes, 'node')} of its own"
    secondary = [Label(node.header) for node in blocks.values()] or [vm.place("nodes")]
    why = (
        "the guest would be shown its nodes as far from each other as their vCPUs are, and their memory lies elsewhere"
    )
    help = ["give it one node, or drop `memory_kind`"]
    bag.error(codes.KIND_NODES, text, vm.place("memory_kind"), secondary=secondary, notes=[why], help=help)


def _numeral(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _mixed(vm: Node, bag: Bag) -> None:
    """A mixed guest says which vCPUs have CPUs of their own: some of them, and not all."""
    dedicated, vcpus = vm.get("dedicated"), vm.get("vcpus")
    if vm.get("pinning") != Pinning.MIXED or not isinstance(vcpus, int):
        return
    if dedicated is None and vm.complete:
        help = ["name those that have one, as in `dedicated = 0-1`"]
        text = f"vm `{vm.name}` has `pinning = mixed` and no `dedicated`: which of its {counted(vcpus, 'vCPU')} have a CPU each"
        bag.error(codes.MISSING, text, vm.place("pinning"), help=help)
    if not isinstance(dedicated, CpuSet):
        return
    every = CpuSet.of(range(vcpus))
    if dedicated - every:
        text = f"`dedicated` of vm `{vm.name}` names vCPU {dedicated - every}, it has {counted(vcpus, 'vCPU')} from 0"
        help = [f"name vCPUs from 0 to {vcpus - 1}"]
    elif dedicated == every:
        text = f"`dedicated` of vm `{vm.name}` names all of its {counted(vcpus, 'vCPU')}, none is left to float"
        help = ["name fewer; `pinning = dedicated` gives a CPU to each and takes no `dedicated`"]
    else:
        return
    bag.error(codes.DEDICATED_VCPUS, text, vm.place("dedicated"), secondary=[vm.place("vcpus")], help=help)


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
