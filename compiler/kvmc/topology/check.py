"""What must hold in every topology, whatever it was read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import CpuSet, union
from kvmc.topology.cpu_models import impossible
from kvmc.topology.failure import quoted
from kvmc.topology.model import Topology

MOST_THREADS = 8
"""Threads of one core: POWER8 to POWER10 and SPARC have eight, nothing known has more."""

if TYPE_CHECKING:
    Named = tuple[str, CpuSet]


def check(topology: Topology, shown: str) -> Bag:
    """Contradictions as errors, the improbable as warnings; each cause once."""
    bag = Bag()
    host = quoted(shown)
    nodes = [(f"node {node.id}", node.cpus) for node in topology.nodes]
    shared = _overlap(nodes)
    if shared is not None:
        cpu, owners = shared
        bag.error(
            codes.CPU_IN_TWO_NODES,
            f"{host}: CPU {cpu} is in {_and(owners)}",
            notes=("a CPU has one node; a kernel started with `numa=fake=` lists its CPUs in several",),
        )
    parts = _parts(topology)
    sound: dict[str, list[Named]] = {}
    for kind, groups in parts.items():
        shared = _overlap(groups)
        if shared is None:
            sound[kind] = groups
        else:
            cpu, owners = shared
            bag.error(codes.CPU_IN_TWO_GROUPS, f"{host}: CPU {cpu} is in {_and(owners)}")
    if not any(item.code is codes.CPU_IN_TWO_NODES for item in bag):
        sound["node"] = nodes
    for inner, outer in (
        ("core", "package"),
        ("core", "die"),
        ("core", "node"),
        ("die", "package"),
        ("cluster", "package"),
    ):
        split = _split(sound.get(inner, ()), sound.get(outer, ()))
        if split is not None:
            name, owners = split
            bag.error(codes.GROUP_SPLIT, f"{host}: {name} is split over {_and(owners)}")
    ruled_out = None if bag.has_errors else impossible(topology)
    if ruled_out is not None:
        bag.error(
            codes.CPU_IMPOSSIBLE,
            f"{host}: {ruled_out}",
            notes=("a kernel started with `numa=fake=`, a guest's topology, or inputs of two hosts look like this",),
        )
    if not bag.has_errors:
        for message in _oddities(topology, sound):
            bag.error(codes.TOPOLOGY_ODD, f"{host}: {message}")
    return bag


def _parts(topology: Topology) -> dict[str, list[Named]]:
    kinds = {
        "core": topology.cores,
        "package": topology.packages,
        "die": topology.dies,
        "cluster": topology.clusters,
        "L3": topology.l3,
    }
    return {
        kind: [(f"{kind} `{group}`", group) for group in groups] for kind, groups in kinds.items() if groups is not None
    }


def _overlap(groups: list[Named]) -> tuple[int, list[str]] | None:
    """The lowest CPU of the first group that shares one with an earlier group, and who has it."""
    seen = CpuSet()
    for _, cpus in groups:
        common = seen & cpus
        if common:
            return common.first, [_cut(name) for name, other in groups if common.first in other]
        seen = seen | cpus
    return None


def _split(inner: Iterable[Named], outer: Iterable[Named]) -> tuple[str, list[str]] | None:
    """The first inner group that lies in several outer ones; groups of each kind are disjoint."""
    outside = list(outer)
    owner = {cpu: index for index, (_, cpus) in enumerate(outside) for cpu in cpus}
    for name, cpus in inner:
        owners = {owner[cpu] for cpu in cpus if cpu in owner}
        if len(owners) > 1:
            return _cut(name), [_cut(outside[index][0]) for index in sorted(owners)]
    return None


def _oddities(topology: Topology, sound: dict[str, list[Named]]) -> Iterator[str]:
    if topology.nodes:
        outside = topology.online - union(node.cpus for node in topology.nodes)
        if outside:
            yield f"online CPUs {_cut(f'`{outside}`')} are in no node"
    if topology.cores is not None:
        outside = topology.online - union(topology.cores)
        if outside:
            yield f"online CPUs {_cut(f'`{outside}`')} are in no core: their siblings are not told"
        widest = max(topology.cores, key=len, default=CpuSet())
        if len(widest) > MOST_THREADS:
            yield f"core {_cut(f'`{widest}`')} has {len(widest)} threads; no known CPU has more than {MOST_THREADS}"
    split = _split(sound.get("core", ()), sound.get("L3", ()))
    if split is not None:
        yield f"{split[0]} is split over {_and(split[1])}"
    if topology.nodes and all(node.memory_kib == 0 for node in topology.nodes):
        yield f"none of {len(topology.nodes)} nodes has memory"
    for node in topology.nodes:
        own = node.distances.get(node.id)
        nearest = min(node.distances, key=lambda id: (node.distances[id], id), default=node.id)
        if own is not None and node.distances[nearest] < own:
            yield f"node {node.id} is nearer to node {nearest} ({node.distances[nearest]}) than to itself ({own})"
            return


def _cut(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:58]}…`"


def _and(names: list[str]) -> str:
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} others"]
    return ", ".join(names[:-1]) + f" and {names[-1]}"
