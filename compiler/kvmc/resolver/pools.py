"""A host's CPUs, node by node: the four pools, and the dedicated cores as the search takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.origins import Origins
from kvmc.model.site import Cores, Host
from kvmc.resolver.placement import HostPools
from kvmc.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Slot:
    """Dedicated cores of one node that share one L3 and have the same number of usable threads, in the order they are given.

    kind: of a hybrid CPU's cores, None where the topology tells none. Where it tells no L3 (`l3_known` is
    false), all such cores of a node are one slot.
    """

    threads: int
    cores: tuple[CpuSet, ...]
    l3_known: bool
    l3: int | None = None
    """The first CPU of that L3."""
    kind: Cores | None = None


@dataclass(frozen=True, slots=True)
class NodeCpus:
    """The pools of one node that has usable CPUs."""

    node: int
    housekeeping: CpuSet
    shared: CpuSet
    slots: tuple[Slot, ...]
    floats: int = 0
    """Shared vCPUs that its shared CPUs take together."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """The pools of a host, whole and by node (ascending)."""

    pools: HostPools
    nodes: tuple[NodeCpus, ...]


def ordered_cores(topology: Topology, node_cpus: CpuSet) -> tuple[tuple[CpuSet, CpuSet | None], ...]:
    """The node's cores (usable threads alone), L3 by L3, each with its L3; both by their first CPU."""
    found: list[tuple[tuple[int, int], CpuSet, CpuSet | None]] = []
    for core in topology.cores or ():
        mine = core & node_cpus
        if not mine:
            continue
        l3 = next((one for one in topology.l3 or () if mine.issubset(one)), None)
        first = l3.first if l3 is not None else mine.first if topology.l3 is not None else -1
        found.append(((first, mine.first), mine, l3))
    return tuple((core, l3) for _, core, l3 in sorted(found, key=lambda one: one[0]))


def check_topology(host: Host, topology: Topology, origins: Origins, bag: Bag) -> None:
    """Say what placement needs and the topology does not tell."""
    lacks: list[tuple[str, str]] = []
    if not any(node.cpus & topology.usable for node in topology.nodes):
        lacks.append(("no NUMA node with CPUs", "`lscpu -J`, `numactl -H` or `kvmc topology scan` tell nodes"))
    elif any(node.memory_kib is None for node in topology.nodes if node.cpus & topology.usable):
        lacks.append(
            ("no memory per node", "`numactl -H`, `virsh capabilities`, `lstopo` or `kvmc topology scan` tell it")
        )
    if topology.cores is None:
        lacks.append(
            (
                "no cores, so sibling threads are unknown",
                "`lscpu -J -e`, `virsh capabilities`, `lstopo` or `kvmc topology scan` tell them",
            )
        )
    if host.devices and topology.pci is None:
        lacks.append(("no PCI devices, and the host offers some", "`kvmc topology scan` tells them"))
    overlapping = [core for core in topology.cores or () if sum(bool(node.cpus & core) for node in topology.nodes) > 1]
    if overlapping:
        lacks.append((f"no single node for the core of CPUs {overlapping[0]}", "take one on the host itself"))
    if lacks:
        bag.error(
            codes.TOPOLOGY_LACKS,
            f"the topology of `{host.name}` tells {', '.join(what for what, _ in lacks)}",
            origins.label(("host", host.name, "topology")),
            help=(
                *(source for _, source in lacks),
                "`topology = [A, B]` combines inputs of one host: what one lacks the other gives",
            ),
        )


def derive_pools(host: Host, topology: Topology, origins: Origins, bag: Bag) -> Pooled | None:
    """Housekeeping, vswitch and shared cores first, the rest is dedicated; None where a node has too few."""
    boot = topology.online.first if topology.online else -1
    wanted = (
        ("housekeeping", max(host.housekeeping_cores, 1)),
        ("vswitch", host.vswitch_cores),
        ("shared", host.shared_cores),
    )
    nodes: list[NodeCpus] = []
    taken: dict[str, CpuSet] = {name: CpuSet() for name, _ in wanted}
    dedicated = CpuSet()
    ratios = iter(host.shared_overcommits)
    fits = True
    for node in topology.nodes:
        cores = list(ordered_cores(topology, node.cpus & topology.usable))
        if not cores:
            continue
        # The boot CPU's core is the first to be taken, so it is housekeeping; or the last, so it is dedicated.
        cores.sort(key=lambda one: (boot in one[0]) is not host.boot_cpu)
        if not _enough(host, node.id, len(cores), wanted, origins, bag):
            fits = False
            continue
        mine: dict[str, CpuSet] = {}
        for name, number in wanted:
            mine[name] = union(core for core, _ in cores[:number])
            taken[name] |= mine[name]
            del cores[:number]
        dedicated |= union(core for core, _ in cores)
        ratio = next(ratios, host.shared_overcommit)
        floats = len(mine["shared"]) * ratio
        nodes.append(NodeCpus(node.id, mine["housekeeping"], mine["shared"], _slots(cores, topology), floats))
    if fits and host.shared_overcommits and len(host.shared_overcommits) != len(nodes):
        bag.error(
            codes.OVERCOMMIT_NODES,
            f"`overcommit` of `{host.name}` has {counted(len(host.shared_overcommits), 'number')}, the host has "
            f"{counted(len(nodes), 'node')} with CPUs",
            origins.label(("host", host.name, "shared", "overcommit")),
            help=("give one number for each, or one for all",),
        )
        return None
    if fits and not host.boot_cpu and boot in taken["housekeeping"]:
        bag.error(
            codes.POOLS_EXCEED_NODE,
            f"`{host.name}` has the core of CPU {boot}, on which it boots, as housekeeping: no other is left on its node",
            origins.label(("host", host.name, "housekeeping", "boot_cpu")),
            help=("drop `boot_cpu = false`", "give `housekeeping` fewer cores"),
        )
        return None
    if not fits:
        return None
    rest = topology.usable - taken["vswitch"] - taken["shared"] - dedicated
    return Pooled(
        HostPools(housekeeping=rest, shared=taken["shared"], dedicated=dedicated, vswitch=taken["vswitch"]),
        tuple(nodes),
    )


def _enough(host: Host, node: int, have: int, wanted: Sequence[tuple[str, int]], origins: Origins, bag: Bag) -> bool:
    need = 0
    for name, number in wanted:
        need += number
        if need > have:
            parts = " + ".join(f"{n} {what}" for what, n in wanted if n)
            bag.error(
                codes.POOLS_EXCEED_NODE,
                f"`{host.name}` node {node} has {counted(have, 'core')}, its pools take {sum(n for _, n in wanted)} ({parts})",
                origins.label(("host", host.name, name, "cores")),
                help=(f"give `{name}` at most {counted(max(have - need + number, 0), 'core')}",),
            )
            return False
    return True


def _slots(cores: Sequence[tuple[CpuSet, CpuSet | None]], topology: Topology) -> tuple[Slot, ...]:
    groups: dict[tuple[CpuSet | None, int, Cores | None], list[CpuSet]] = {}
    kinds = topology.core_kinds or {}
    for core, l3 in cores:
        kind = next((Cores(kind) for kind, cpus in kinds.items() if core.issubset(cpus)), None)
        groups.setdefault((l3, len(core), kind), []).append(core)
    return tuple(
        Slot(threads, tuple(found), l3 is not None, l3.first if l3 is not None else None, kind)
        for (l3, threads, kind), found in groups.items()
    )
