"""Checks of a guest's shape: how vCPUs and memory are divided over its nodes, and which vCPUs have a CPU each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kvmc.diagnostics import Bag, Code, Label
from kvmc.diagnostics.codes import schema as codes
from kvmc.diagnostics.text import counted
from kvmc.model import conflicts
from kvmc.model.cpuset import CpuSet
from kvmc.model.kinds import MIB
from kvmc.model.names import write_one_of
from kvmc.model.nodes import Node
from kvmc.model.site import MemoryKind, MemoryMode, Pinning
from kvmc.model.values import size_text


def check_shape(vm: Node, bag: Bag) -> None:
    _division(vm, bag)
    _mixed(vm, bag)
    _one_node(vm, bag)


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
    alone = [node for node in nodes.values() if isinstance(node.get("memory_kind"), MemoryKind)]
    if alone and not _memory_nodes(vm, nodes, alone, bag):
        return
    for name, show in (("vcpus", str), ("memory", size_text)):
        parts = [node.get(name) for node in nodes.values() if name == "memory" or node not in alone]
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
    for node in nodes.values():
        memory = node.get("memory")
        unit = max(pages, MIB) if isinstance(pages, int) and node not in alone else MIB
        if isinstance(memory, int) and memory % unit and (pages is None or isinstance(pages, int)):
            what = f"{size_text(unit)} pages" if unit > MIB else "whole MiB"
            text = f"{size_text(memory)} of node {node.name} of vm `{vm.name}` cannot be divided into {what}"
            secondary = [vm.place("pages")] if "pages" in vm.values else []
            help = [f"set `memory = {size_text(-(-memory // unit) * unit)}`"]
            bag.error(codes.NOT_DIVISIBLE, text, node.place("memory"), secondary=secondary, help=help)


def _memory_nodes(vm: Node, nodes: Mapping[str, Node], alone: Sequence[Node], bag: Bag) -> bool:
    """Nodes without vCPUs come last and keep to their memory. Whether nothing is wrong with them."""
    for node in alone:
        if "vcpus" in node.values:
            bag.error(
                codes.MEMORY_NODE,
                f"node {node.name} of vm `{vm.name}` has vCPUs and memory of a kind",
                node.place("memory_kind"),
                secondary=[node.place("vcpus")],
                notes=["its vCPUs would be shown that memory as their own, and it is on another node of the host"],
                help=["give the memory a node of its own, without `vcpus`"],
            )
            return False
    first = min(int(node.name) for node in alone)
    after = [node for node in nodes.values() if int(node.name) > first and node not in alone]
    if after or first == 0:
        wrong = nodes[str(first)]
        text = f"node {first} of vm `{vm.name}` has no vCPUs and is before " + (
            f"node {after[0].name}, which has" if after else "every node that has"
        )
        bag.error(codes.MEMORY_NODE, text, wrong.header, help=["number nodes without vCPUs behind the others"])
        return False
    if vm.get("numatune") == MemoryMode.PREFERRED:
        bag.error(
            codes.MEMORY_NODE,
            f"`numatune = preferred` of vm `{vm.name}`, whose node {first} is memory alone",
            vm.place("numatune"),
            secondary=[alone[0].place("memory_kind")],
            notes=["memory of a kind comes from one node of that kind alone"],
            help=["drop `numatune`"],
        )
        return False
    return True


def _one_node(vm: Node, bag: Bag) -> None:
    """Memory that is not on the nodes of the vCPUs: a guest with nodes of its own would be shown it as near."""
    blocks = vm.labelled("node")
    nodes = len(blocks) or vm.get("nodes")
    if not isinstance(nodes, int) or nodes < 2:
        return
    for name, code, meant, why, help in _AWAY:
        value = vm.get(name)
        if not meant(value):
            continue
        text = f"`{name} = {value}` of vm `{vm.name}`, which has {counted(nodes, 'node')} of its own"
        secondary = [Label(node.header) for node in blocks.values()] or [vm.place("nodes")]
        bag.error(code, text, vm.place(name), secondary=secondary, notes=[why], help=[help])


_AWAY: tuple[tuple[str, Code, Callable[[object], bool], str, str], ...] = (
    (
        "numatune",
        codes.INTERLEAVED_NODES,
        lambda value: value == MemoryMode.INTERLEAVE,
        "memory that lies on all nodes in turn is near no vCPU, and the guest would see it as near",
        "drop its nodes, or `numatune = preferred`",
    ),
    (
        "memory_kind",
        codes.KIND_NODES,
        lambda value: isinstance(value, MemoryKind),
        "the guest would be shown its nodes as far from each other as their vCPUs are, and their memory lies elsewhere",
        "give the memory a `node` of its own with `memory_kind`, or the guest one node",
    ),
)
"""Setting, code, whether a value puts memory elsewhere, why that does not go with nodes, help."""


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
