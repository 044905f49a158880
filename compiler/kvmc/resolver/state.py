"""What is free on each host while guests are placed: counts that a choice takes and gives back.

Cores of a slot are alike, so a choice says how many; which ones is settled once, at the end (`pins`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kvmc.model.cpuset import EMPTY
from kvmc.model.site import Cores, Domain, Host, Threads
from kvmc.model.values import PciAddress
from kvmc.resolver.demand import Claim, Demand, Relation
from kvmc.resolver.devices import Function
from kvmc.resolver.memory import NodeMemory
from kvmc.resolver.placement import HostPools
from kvmc.resolver.pools import NodeCpus, Slot
from kvmc.topology.model import PciDevice

NEVER = 1 << 30
"""Cores that no slot has."""

if TYPE_CHECKING:
    from kvmc.resolver.resctrl import Offer, Room

Groups = dict[str, dict[str, frozenset[str]]]
"""By place, for each of its guests that has one: the domains of the relation that its vCPUs are in."""


@dataclass(frozen=True, slots=True)
class Store:
    """A node of memory, with CPUs or without. kind: what its memory is made of, None for the usual or where none tells."""

    node: int
    kind: str | None
    memory: NodeMemory


@dataclass(frozen=True, slots=True)
class Machine:
    """What a host offers to guests, empty. nodes: those with usable CPUs, ascending, each with its memory. distances: by node.

    stores: the same nodes as memory, then those of memory alone.

    smt: the most threads of a dedicated core, 0 without any; kinds: the same for each kind of cores that there is, and for `any`.
    """

    host: Host
    pools: HostPools
    nodes: tuple[NodeCpus, ...]
    memory: tuple[NodeMemory, ...]
    functions: Mapping[str, tuple[Function, ...]]
    distances: Mapping[int, Mapping[int, int]]
    smt: int
    kinds: Mapping[Cores, int] = field(default_factory=dict)
    stores: tuple[Store, ...] = ()
    packages: tuple[tuple[int, ...], ...] = ()
    """Of each node those that its CPUs are in, by number; empty where not told."""
    resctrl: Offer | None = None
    """What guests may have of its L3 caches and their bandwidth."""
    pci: Mapping[PciAddress, PciDevice] = field(default_factory=dict)
    """All its PCI functions, given to guests or not."""

    def vcpus_a_core(self, demand: Demand, slot: Slot) -> int:
        """vCPUs of the guest that one core of a slot holds; 0 where it can't use the core."""
        if demand.cores is Cores.ANY:
            return usable_threads(demand.threads, slot.threads, self.smt)
        if slot.kind is not demand.cores:
            return 0
        return usable_threads(demand.threads, slot.threads, self.kinds.get(demand.cores, 0))


class Take(NamedTuple):
    """vCPUs of a cell in one slot, and the whole cores that they take."""

    slot: int
    vcpus: int
    cores: int


class CellChoice(NamedTuple):
    """Where one cell goes: a position in the machine's nodes, the slots, and the slot of the emulator's own core. memory: nodes by
    position, each with the KiB of its memory there; empty where all is on its own node."""

    node: int
    takes: tuple[Take, ...]
    own: int | None
    memory: tuple[tuple[int, int], ...] = ()


class Choice(NamedTuple):
    """Where a guest goes. devices: a function for each of its devices. stores: by position, where each memory cell lies."""

    host: str
    cells: tuple[CellChoice, ...]
    devices: tuple[tuple[tuple[str, str], PciAddress], ...]
    stores: tuple[int, ...] = ()


class Needs(NamedTuple):
    """What so many vCPUs take of a node: cores in each slot where they are all in it, the fewest of these; and the fewest slots of
    an empty node that hold them, 0 where all of them don't."""

    cores: list[int]
    least: int
    slots: int


class NodeState:
    """Free on one node: cores by slot, pages by size, normal KiB, vCPUs on the shared CPUs; and whether devices are near."""

    __slots__ = ("cores", "devices", "free", "kinds", "needs", "normal", "pages", "per", "shared", "slots")

    def __init__(self, cpus: NodeCpus, memory: NodeMemory, machine: Machine, devices: bool) -> None:
        self.slots: tuple[Slot, ...] = cpus.slots
        self.free: list[int] = [len(slot.cores) for slot in cpus.slots]
        self.cores: int = sum(self.free)
        self.pages: dict[int, int] = dict(memory.pages)
        self.normal: int = memory.normal_kib
        self.shared: int = cpus.floats
        self.devices: bool = devices
        self.per: dict[Threads, list[int]] = {
            policy: [usable_threads(policy, slot.threads, machine.smt) for slot in cpus.slots] for policy in Threads
        }
        """vCPUs that a core of each slot holds for a guest of each policy."""
        self.needs: dict[tuple[Threads, int], Needs] = {}
        """What so many vCPUs of each policy take, as far as asked; nodes of a host that are alike share it."""
        self.kinds: dict[tuple[Threads, Cores], list[int]] = {}
        """The same for guests that ask for a kind of cores, as far as there was one."""

    def needed(self, threads: Threads, vcpus: int) -> Needs:
        """What so many vCPUs take; `needs` has it from then on."""
        per = self.per[threads]
        cores = [-(-vcpus // one) if one else NEVER for one in per]
        full = [len(slot.cores) for slot in self.slots]
        slots = 1
        if all(need > size for need, size in zip(cores, full, strict=True)):
            slots = fewest_slots(vcpus, (size * one for size, one in zip(full, per, strict=True)))
        self.needs[threads, vcpus] = found = Needs(cores, min(cores, default=NEVER), slots)
        return found

    def vcpus_a_core(self, demand: Demand, machine: Machine) -> list[int]:
        """vCPUs that a core of each slot holds for a guest that asks for a kind of cores."""
        key = (demand.threads, demand.cores)
        if key not in self.kinds:
            self.kinds[key] = [machine.vcpus_a_core(demand, slot) for slot in self.slots]
        return self.kinds[key]


class HostState:
    """Free on one host; cores: on all of its nodes. loose: it has functions of no node."""

    __slots__ = ("_apart", "cores", "loose", "machine", "nodes", "room", "stores", "used")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        near = {function.node for functions in machine.functions.values() for function in functions}
        self.nodes = [
            NodeState(cpus, memory, machine, cpus.node in near)
            for cpus, memory in zip(machine.nodes, machine.memory, strict=True)
        ]
        alike: dict[tuple[tuple[int, int], ...], dict[tuple[Threads, int], Needs]] = {}
        for node in self.nodes:
            node.needs = alike.setdefault(tuple((slot.threads, len(slot.cores)) for slot in node.slots), node.needs)
        alone = machine.stores[len(self.nodes) :]
        self.stores = [*self.nodes, *(NodeState(_no_cpus(one), one.memory, machine, False) for one in alone)]
        """Nodes as memory: those with CPUs, then those without."""
        self.loose: bool = None in near
        self.used: dict[PciAddress, str] = {}
        self.cores: int = sum(node.cores for node in self.nodes)
        self.room: Room | None = None
        """Of what it offers through resctrl."""
        if machine.resctrl is not None:
            from kvmc.resolver.resctrl import room

            self.room = room(machine.resctrl)
        self._apart: list[list[int]] = []

    @property
    def apart(self) -> list[list[int]]:
        """The distance from each node to each, by position; 0 where not told."""
        if not self._apart:
            ids = [cpus.node for cpus in self.machine.nodes]
            rows = (self.machine.distances.get(one, {}) for one in ids)
            self._apart = [[row.get(other, 0) for other in ids] for row in rows]
        return self._apart


class State:
    """Free on all hosts, and who holds what. `claims` are site-wide, since a rack has several hosts."""

    __slots__ = ("chosen", "claims", "groups", "hosts")

    def __init__(self, machines: Mapping[str, Machine]) -> None:
        self.hosts = {name: HostState(machine) for name, machine in machines.items()}
        self.claims: dict[Claim, str] = {}
        self.chosen: dict[str, Choice] = {}
        self.groups: Groups = {}

    def place(self, demand: Demand, choice: Choice) -> None:
        self.chosen[demand.vm] = choice
        self._apply(demand, choice, -1)

    def remove(self, demand: Demand) -> Choice:
        choice = self.chosen.pop(demand.vm)
        self._apply(demand, choice, 1)
        return choice

    def _apply(self, demand: Demand, choice: Choice, sign: int) -> None:
        host = self.hosts[choice.host]
        for cell, where in zip(demand.cells, choice.cells, strict=True):
            node = host.nodes[where.node]
            if where.memory:
                for position, kib in where.memory:
                    if demand.pages_kib is None:
                        host.stores[position].normal += sign * kib
                    else:
                        host.stores[position].pages[demand.pages_kib] += sign * (kib // demand.pages_kib)
            elif demand.pages_kib is not None:
                node.pages[demand.pages_kib] += sign * (cell.memory_kib // demand.pages_kib)
            node.normal += sign * cell.normal_kib
            node.shared += sign * demand.shared(cell)
            for take in where.takes:
                node.free[take.slot] += sign * take.cores
                node.cores += sign * take.cores
                host.cores += sign * take.cores
            if where.own is not None:
                node.free[where.own] += sign
                node.cores += sign
                host.cores += sign
        for alone, position in zip(demand.memory_cells, choice.stores, strict=True):
            host.stores[position].normal += sign * alone.memory_kib
        if demand.tunes and host.room is not None:
            host.room.take(demand, choice, host.machine, sign)
        for _, address in choice.devices:
            if sign < 0:
                host.used[address] = demand.vm
            else:
                del host.used[address]
        for claim in demand.hosts[choice.host]:
            if sign < 0:
                self.claims[claim] = demand.vm
            else:
                del self.claims[claim]
        for relation in demand.relations:
            group = self.groups.setdefault(relation.place, {})
            if sign < 0:
                group[demand.vm] = domains(host.machine, relation, choice.cells)
            else:
                del group[demand.vm]


def domains(machine: Machine, relation: Relation, cells: Sequence[CellChoice]) -> frozenset[str]:
    """The domains of a relation that these cells' vCPUs are in."""
    if relation.domain is not Domain.L3:
        return frozenset(one for cell in cells for one in node_domains(machine, relation, cell.node))
    found: set[str] = set()
    for cell in cells:
        node = machine.nodes[cell.node]
        for take in cell.takes:
            l3 = node.slots[take.slot].l3
            found.add(f"L3 of CPU {l3} of {machine.host.name}" if l3 is not None else _node_name(machine, cell.node))
    return frozenset(found)


def node_domains(machine: Machine, relation: Relation, position: int) -> frozenset[str]:
    """The domains that the node is in or, for L3s, has in it."""
    name = machine.host.name
    if relation.domain is Domain.HOST:
        return frozenset((name,))
    if relation.domain is Domain.RACK:
        return frozenset((f"rack {machine.host.rack}" if machine.host.rack else name,))
    if relation.domain is Domain.PACKAGE:
        known = machine.packages[position] if machine.packages else ()
        if known:
            return frozenset(f"package {number} of {name}" for number in known)
        return frozenset((_node_name(machine, position) if relation.together else name,))
    if relation.domain is Domain.NODE:
        return frozenset((_node_name(machine, position),))
    slots = machine.nodes[position].slots
    return domains(
        machine, relation, [CellChoice(position, tuple(Take(index, 1, 1) for index in range(len(slots))), None)]
    )


def _node_name(machine: Machine, position: int) -> str:
    return f"node {machine.nodes[position].node} of {machine.host.name}"


def _no_cpus(store: Store) -> NodeCpus:
    return NodeCpus(store.node, EMPTY, EMPTY, ())


def fewest_slots(vcpus: int, capacities: Iterable[int]) -> int:
    """The fewest slots that hold the vCPUs; 0 where all of them don't."""
    held = 0
    for number, capacity in enumerate(sorted(capacities, reverse=True), 1):
        held += capacity
        if held >= vcpus:
            return number
    return 0


def usable_threads(policy: Threads, threads: int, smt: int) -> int:
    """vCPUs that one core of so many threads holds for a guest of this policy; 0 where it can't use the core."""
    if policy is Threads.ISOLATE:
        return 1
    if policy is Threads.REQUIRE:
        return threads if threads == smt else 0
    return threads
