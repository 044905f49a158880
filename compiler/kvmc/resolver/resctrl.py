"""What guests may have of a host's L3 caches and of the bandwidth behind them, within the limits of resctrl and of libvirt.

libvirt chooses masks by itself, from sizes: of what no group has, the default one among them, the smallest run of ways that is
long enough. So what counts is how many ways are free. It takes sizes in whole ways alone, no fewer than the CPU's least and never a
whole cache, and knows caches by numbers below how many there are (libvirt, src/util/virresctrl.c). Each guest that has some is one
group; the kernel's default group is the one that is not for guests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.knowledge.model import INTEL
from kvmc.model.origins import Origins
from kvmc.model.site import Host
from kvmc.model.values import size_text
from kvmc.resolver.demand import Demand
from kvmc.resolver.pools import NodeCpus
from kvmc.resolver.state import Choice, Machine
from kvmc.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Offer:
    """What a host offers. ids: the kernel's number of each L3 cache that libvirt can tune, by its first CPU.

    ways: of each cache, for guests together; whole: all of it; least: of one mask. groups: guests that may have some at once.
    bandwidth: percent that their limits may add up to; step, lowest: of one limit. split: code and data have masks of their own
    (CDP). floating: of each node with CPUs, the caches of its shared CPUs.
    """

    ids: Mapping[int, int]
    ways: int
    whole: int
    least: int
    way_bytes: int
    groups: int
    bandwidth: int
    step: int
    lowest: int
    split: bool
    floating: tuple[frozenset[int], ...]

    def ways_for(self, kib: int) -> int:
        """Ways that hold so much; 0 for nothing."""
        return max(-(-kib * 1024 // self.way_bytes), self.least) if kib else 0

    def percent_for(self, percent: int) -> int:
        """A limit as the CPU has it: the next step above, as the kernel rounds; 0 for none."""
        return max(-(-percent // self.step) * self.step, self.lowest) if percent else 0


@dataclass(slots=True)
class Room:
    """What is free of an offer: ways and percent by cache, and groups."""

    offer: Offer
    groups: int
    ways: dict[int, int] = field(default_factory=dict)
    percent: dict[int, int] = field(default_factory=dict)

    def take(self, demand: Demand, choice: Choice, machine: Machine, sign: int) -> None:
        """Take what the guest has at this choice (sign -1), or give it back (1)."""
        self.groups += sign
        for l3 in caches_of(demand, choice, machine):
            if l3 not in self.ways:
                continue
            self.ways[l3] += sign * self.offer.ways_for(demand.cachetune)
            self.percent[l3] += sign * self.offer.percent_for(demand.memorytune)

    def has(self, demand: Demand, l3: int | None) -> bool:
        """Whether the cache has as much free as the guest asks for of each."""
        return (
            l3 in self.ways
            and self.offer.ways_for(demand.cachetune) <= self.ways[l3]
            and self.offer.percent_for(demand.memorytune) <= self.percent[l3]
        )

    def holds(self, demand: Demand, choice: Choice, machine: Machine) -> bool:
        """Whether the guest may be at this choice."""
        return self.groups > 0 and all(self.has(demand, l3) for l3 in caches_of(demand, choice, machine))

    def overfull(self) -> Iterator[str]:
        """What guests take more of than there is, in words."""
        offer = self.offer
        if self.groups < 0:
            yield f"{offer.groups - self.groups} groups of resctrl, {offer.groups} there"
        for l3, free in self.ways.items():
            if free < 0:
                yield f"{offer.ways - free} ways of the L3 cache of CPU {l3}, {offer.ways} offered"
        for l3, free in self.percent.items():
            if free < 0:
                yield f"{offer.bandwidth - free} % of the bandwidth behind the L3 cache of CPU {l3}, {offer.bandwidth} offered"


def room(offer: Offer) -> Room:
    """All of an offer free."""
    return Room(offer, offer.groups, dict.fromkeys(offer.ids, offer.ways), dict.fromkeys(offer.ids, offer.bandwidth))


def caches_of(demand: Demand, choice: Choice, machine: Machine) -> list[int]:
    """The L3 caches that the guest's vCPUs run on, by their first CPUs, each once; -1 for one that is not told."""
    found: dict[int, None] = {}
    for cell, where in zip(demand.cells, choice.cells, strict=True):
        slots = machine.nodes[where.node].slots
        found |= dict.fromkeys(-1 if (l3 := slots[take.slot].l3) is None else l3 for take in where.takes)
        if demand.shared(cell) and machine.resctrl is not None:
            found |= dict.fromkeys(sorted(machine.resctrl.floating[where.node]))
    return list(found)


def lacking(demand: Demand, room: Room) -> tuple[str, str]:
    """What the host has too little of for the guest, in words, and the setting that asks for it."""
    offer = room.offer
    ways, percent = offer.ways_for(demand.cachetune), offer.percent_for(demand.memorytune)
    most = max(room.ways.values(), default=0)
    if not room.groups:
        return f"needs a group of resctrl, 0 of {offer.groups} free", "cachetune" if ways else "memorytune"
    if ways > most or not percent:
        size = f"{ways} of {size_text(offer.way_bytes // 1024)}"
        return f"needs {size}, ways of each L3 cache that it runs on, most free is {most} of {offer.ways}", "cachetune"
    free = max(room.percent.values(), default=0)
    return (
        f"needs {percent} % of the memory bandwidth behind each L3 cache that it runs on, most free is {free} of {offer.bandwidth}",
        "memorytune",
    )


def derive_offer(host: Host, topology: Topology, nodes: Sequence[NodeCpus], origins: Origins, bag: Bag) -> Offer | None:
    """The offer of a host, or what its topology does not tell, or has not, of what the host is to offer."""
    asked = "l3" if host.resctrl_l3_kib else "memory_bandwidth"
    path = ("host", host.name, "resctrl", asked)
    limits = {limit.resource: limit for limit in topology.resctrl or ()}
    split = "L3CODE" in limits and "L3DATA" in limits
    cache, memory = limits.get("L3CODE" if split else "L3"), limits.get("MB")
    sizes = {one.size_kib for one in topology.caches or () if one.level == 3 and one.type != "instruction"}
    lacks = []
    if not limits:
        lacks.append("no limits of resctrl")
    elif host.resctrl_l3_kib and (cache is None or not cache.ways):
        lacks.append("no ways of the L3 cache: its CPU has no CAT, or it is switched off")
    elif host.resctrl_bandwidth and memory is None:
        lacks.append("no limits of memory bandwidth: its CPU has no MBA, or it is switched off")
    if not topology.l3 or topology.l3_ids is None or len(topology.l3_ids) != len(topology.l3):
        lacks.append("no numbers of its L3 caches")
    if host.resctrl_l3_kib and len(sizes) != 1:
        lacks.append("no one size of its L3 caches")
    if lacks:
        bag.error(
            codes.RESCTRL_UNTOLD,
            f"`{host.name}` offers parts of its L3 caches or bandwidth, and its topology tells {', '.join(lacks)}",
            origins.label(path),
            notes=("`/sys/fs/resctrl/info` is there only while resctrl is mounted",),
            help=(
                "`mount -t resctrl resctrl /sys/fs/resctrl` on the host, then take its topology with `kvmc topology scan`",
            ),
        )
        return None
    if host.resctrl_bandwidth and topology.cpu.vendor not in INTEL:
        bag.error(
            codes.BANDWIDTH_UNIT,
            f"`{host.name}` offers memory bandwidth in percent, and its CPU is `{topology.cpu.vendor or 'of no known vendor'}`",
            origins.label(("host", host.name, "resctrl", "memory_bandwidth")),
            notes=("AMD's limits are in steps of 1/8 GB/s, of a whole that nothing tells",),
            help=("drop `memory_bandwidth` from its `resctrl`",),
        )
        return None
    whole, least = (
        (cache.ways or 0, max(cache.min_ways or 1, 1)) if cache is not None and host.resctrl_l3_kib else (0, 1)
    )
    way = next(iter(sizes)) * 1024 // whole if whole else 1
    ways = (host.resctrl_l3_kib or 0) * 1024 // way if whole else 0
    if whole and not least <= ways <= whole - least:
        bag.error(
            codes.RESCTRL_EXCEEDED,
            f"`{host.name}` offers {size_text(host.resctrl_l3_kib or 0)} of each L3 cache, which is {ways} of its {whole} ways; "
            f"it can offer {least} to {whole - least}",
            origins.label(path),
            notes=(
                f"a way is {_bytes(way)}, and the default group, which is all that has none, keeps {least} at least",
            ),
            help=(f"offer {_bytes(least * way)} to {_bytes((whole - least) * way)}",),
        )
        return None
    assert topology.l3 is not None and topology.l3_ids is not None
    step, lowest = (memory.step_percent or 1, memory.min_percent or 1) if memory is not None else (1, 1)
    return Offer(
        ids={cpus.first: id for cpus, id in zip(topology.l3, topology.l3_ids, strict=True) if id < len(topology.l3)},
        ways=ways,
        whole=whole,
        least=least,
        way_bytes=way,
        groups=min(limit.closids for limit in limits.values()) - 1,
        bandwidth=host.resctrl_bandwidth,
        step=step,
        lowest=lowest,
        split=split,
        floating=tuple(frozenset(one.first for one in topology.l3 if one & cpus.shared) for cpus in nodes),
    )


def _bytes(number: int) -> str:
    return size_text(number // 1024) if number % 1024 == 0 else f"{number} bytes"
