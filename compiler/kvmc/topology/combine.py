"""Several inputs of one host as one topology: what one lacks the other gives, and what contradicts is told with both names.

Some differences are no contradiction: `numactl -H` cuts memory to whole MiB and knows no CPU outside of the nodes, `lscpu -J -e`
has no node without CPUs, and hwloc tells the place of a PCI device roughly and leaves most devices out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology.check import check
from kvmc.topology.failure import quoted
from kvmc.topology.model import Cpu, Node, PciDevice, Resctrl, Topology
from kvmc.topology.read import Format, Source, read_source

T = TypeVar("T")

_MIB = 1024
_MORE = 8
_CPU_NAMES = (Format.SYSFS, Format.SNAPSHOT, Format.LSCPU, Format.HWLOC, Format.CAPABILITIES)
"""Whose name of the CPU is the kernel's own, best first: libvirt has names of its own for vendors and models."""


def read_topologies(
    inputs: Sequence[tuple[Path, str]], read: Callable[[Path, str], tuple[Source | None, Bag]] | None = None
) -> tuple[Topology | None, Bag]:
    """Read and combine one or more inputs of one host: (path, how messages name it). None where the bag holds an error.

    read: another reader of one input, such as one that remembers.
    """
    bag = Bag()
    sources: list[Source] = []
    for path, shown in inputs:
        source, found = (read or read_source)(path, shown)
        bag.extend(found)
        if source is not None:
            sources.append(source)
    if bag.has_errors or not sources:
        return None, bag
    return combine(sources, bag), bag


def combine(sources: Sequence[Source], bag: Bag) -> Topology | None:
    """One topology of all; contradictions go to the bag, and then there is none."""
    if len(sources) == 1:
        return sources[0].topology
    combiner = _Combiner(sources, bag)
    topology = combiner.topology()
    combiner.report()
    if not combiner.found:
        bag.extend(check(topology, " + ".join(source.shown for source in sources)))
    return None if bag.has_errors else topology


class _Combiner:
    def __init__(self, sources: Sequence[Source], bag: Bag) -> None:
        self.sources = sources
        self.bag = bag
        self.found: dict[tuple[str, str], list[str]] = {}

    def topology(self) -> Topology:
        return Topology(
            arch=self.same("architecture", lambda one: None if one.arch == "unknown" else one.arch) or "unknown",
            online=self.online(),
            nodes=self.nodes(),
            packages=self.groups("packages", lambda one: one.packages),
            cores=self.groups("cores", lambda one: one.cores),
            l3=self.groups("L3 caches", lambda one: one.l3),
            dies=self.groups("dies", lambda one: one.dies),
            clusters=self.groups("clusters", lambda one: one.clusters),
            offline=self.same("offline CPUs", lambda one: one.offline),
            allowed=self.same("allowed CPUs", lambda one: one.allowed),
            pci=self.pci(),
            cpu=self.cpu(),
            modules=self.groups("modules", lambda one: one.modules),
            core_kinds=self.same("kinds of cores", lambda one: one.core_kinds),
            caches=max((one.topology.caches or () for one in self.sources), key=len) or None,
            resctrl=self.resctrl(),
            l3_ids=self.same("numbers of L3 caches", lambda one: one.l3_ids),
            facts=next((one.topology.facts for one in self.sources if one.topology.facts is not None), None),
        )

    def contradict(self, what: str, first: Source, told: object, second: Source, other: object) -> None:
        if any(source is second for source in self.sources[: self.place(first)]):
            first, told, second, other = second, other, first, told
        words = f"{what} {quoted(str(told))} and {quoted(str(other))}"
        self.found.setdefault((first.shown, second.shown), []).append(words)

    def place(self, source: Source) -> int:
        return next(index for index, one in enumerate(self.sources) if one is source)

    def report(self) -> None:
        """One diagnostic for two inputs, however much they differ in: they were taken at two times or of two hosts."""
        for (first, second), (words, *others) in self.found.items():
            more = [f"and {len(others) - _MORE} more"] if len(others) > _MORE else []
            self.bag.error(
                codes.SOURCES_CONTRADICT,
                f"{quoted(first)} and {quoted(second)} contradict each other: {words}",
                notes=others[:_MORE] + more,
                help=("take all inputs of a host at one time, or name only the one that is right",),
            )

    def same(
        self, what: str, tell: Callable[[Topology], T | None], *, only: Callable[[Source], bool] | None = None
    ) -> T | None:
        """The value of the first that tells it, the same in all that do."""
        known: tuple[Source, T] | None = None
        for source in self.sources:
            value = tell(source.topology) if only is None or only(source) else None
            if value is None:
                continue
            if known is None:
                known = (source, value)
            elif known[1] != value:
                self.contradict(what, known[0], _text(known[1]), source, _text(value))
                break
        return None if known is None else known[1]

    def online(self) -> CpuSet:
        online = self.same("online CPUs", lambda one: one.online, only=lambda one: one.format is not Format.NUMACTL)
        if online is None:
            online = self.same("online CPUs", lambda one: one.online)
        return online or CpuSet()

    def groups(self, what: str, tell: Callable[[Topology], tuple[CpuSet, ...] | None]) -> tuple[CpuSet, ...] | None:
        known: tuple[Source, tuple[CpuSet, ...]] | None = None
        for source in self.sources:
            value = tell(source.topology)
            if value is None:
                continue
            if known is None:
                known = (source, value)
            elif known[1] != value:
                mine, others = set(known[1]) - set(value), set(value) - set(known[1])
                first = min(mine, default=None)
                other = next((one for one in sorted(others) if first is None or one & first), None)
                self.contradict(
                    f"{what}", known[0], first or f"{len(known[1])} of them", source, other or f"{len(value)} of them"
                )
                break
        return None if known is None else known[1]

    def nodes(self) -> tuple[Node, ...]:
        tell = [source for source in self.sources if source.topology.nodes]
        found: dict[int, Node] = {}
        owner: dict[int, Source] = {}
        for source in tell:
            for node in source.topology.nodes:
                owner.setdefault(node.id, source)
        for source in tell:
            ids = {node.id for node in source.topology.nodes}
            for id, first in owner.items():
                absent = first.topology.node(id)
                if id not in ids and absent is not None and (absent.cpus or source.format is not Format.LSCPU_ROWS):
                    told = [node.id for node in first.topology.nodes]
                    self.contradict("NUMA nodes", first, CpuSet.of(told), source, CpuSet.of(ids))
                    return ()
        for source in tell:
            for node in source.topology.nodes:
                known = found.get(node.id)
                found[node.id] = node if known is None else self.node(known, owner[node.id], node, source)
        return tuple(found[id] for id in sorted(found))

    def node(self, known: Node, first: Source, node: Node, second: Source) -> Node:
        if known.cpus != node.cpus:
            self.contradict(f"CPUs of node {node.id}", first, known.cpus, second, node.cpus)
        memory = known.memory_kib
        if memory is None:
            memory = node.memory_kib
        elif node.memory_kib is not None:
            cut = Format.NUMACTL in (first.format, second.format)
            if abs(memory - node.memory_kib) >= (_MIB if cut else 1):
                told = (f"{memory} KiB", f"{node.memory_kib} KiB")
                self.contradict(f"memory of node {node.id}", first, told[0], second, told[1])
            memory = max(memory, node.memory_kib)
        for name, mine, other in (
            ("distances", known.distances, node.distances),
            ("page sizes", known.page_sizes_kib, node.page_sizes_kib),
            ("kind of memory", known.memory, node.memory),
        ):
            if mine and other and mine != other:
                self.contradict(f"{name} of node {node.id}", first, _text(mine), second, _text(other))
        return Node(
            node.id,
            known.cpus,
            memory,
            known.distances or node.distances,
            known.page_sizes_kib or node.page_sizes_kib,
            known.memory or node.memory,
        )

    def cpu(self) -> Cpu:
        names = sorted(self.sources, key=lambda one: _CPU_NAMES.index(one.format) if one.format in _CPU_NAMES else 99)
        told = [source.topology.cpu for source in names]
        return Cpu(
            next((cpu.vendor for cpu in told if cpu.vendor is not None), None),
            next((cpu.model for cpu in told if cpu.model is not None), None),
            next((cpu.features for cpu in told if cpu.features), frozenset()),
        )

    def resctrl(self) -> tuple[Resctrl, ...] | None:
        found: dict[str, tuple[Source, Resctrl]] = {}
        for source in self.sources:
            for limit in source.topology.resctrl or ():
                known = found.get(limit.resource)
                if known is None:
                    found[limit.resource] = (source, limit)
                    continue
                if known[1].closids != limit.closids:
                    what = f"groups of resctrl's `{limit.resource}`"
                    self.contradict(what, known[0], known[1].closids, source, limit.closids)
                found[limit.resource] = (
                    known[0],
                    Resctrl(
                        limit.resource,
                        known[1].closids,
                        _first(known[1].ways, limit.ways),
                        _first(known[1].min_ways, limit.min_ways),
                        _first(known[1].way_kib, limit.way_kib),
                        _first(known[1].step_percent, limit.step_percent),
                        _first(known[1].min_percent, limit.min_percent),
                    ),
                )
        return tuple(found[name][1] for name in sorted(found)) or None

    def pci(self) -> dict[PciAddress, PciDevice] | None:
        found: dict[PciAddress, tuple[Source, PciDevice]] = {}
        # a device's place as hwloc tells it counts only where no other source knows the device
        for source in sorted(self.sources, key=lambda one: one.format is Format.HWLOC):
            for address, device in (source.topology.pci or {}).items():
                known = found.get(address)
                found[address] = (source, device) if known is None else (known[0], self.device(*known, device, source))
        return {address: device for address, (_, device) in sorted(found.items())} or None

    def device(self, first: Source, known: PciDevice, device: PciDevice, second: Source) -> PciDevice:
        rough = second.format is Format.HWLOC
        mine = (known.vendor_id, known.device_id)
        other = (device.vendor_id, device.device_id)
        if None not in mine and None not in other and mine != other:
            self.contradict(f"what {device.address} is", first, _hex(mine), second, _hex(other))
        elif not rough and known.node != device.node:
            self.contradict(f"node of {device.address}", first, known.node, second, device.node)
        return replace(
            known,
            **{
                name: getattr(device, name)
                for name in (
                    "local_cpus",
                    "class_id",
                    "vendor_id",
                    "device_id",
                    "iommu_group",
                    "sriov",
                    "parent_pf",
                    "root",
                )
                if getattr(known, name) is None
            },
        )


def _first(mine: int | None, other: int | None) -> int | None:
    return other if mine is None else mine


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}:{_text(item)}" for key, item in sorted(value.items()))
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _hex(ids: Sequence[int | None]) -> str:
    return ":".join(f"{id:04x}" for id in ids if id is not None)
