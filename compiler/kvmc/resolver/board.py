"""Free cores, pages and device functions of all hosts as plain numbers, and where guests may lie: what repacking works on.

Only plain guests are on the board: dedicated CPUs, devices that share no IOMMU group, no relations but being apart across hosts
or racks. All others stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from kvmc.model.site import L3, Cores
from kvmc.resolver.choices import pick_devices
from kvmc.resolver.demand import Claim, Demand, arrangements
from kvmc.resolver.state import CellChoice, Choice, HostState, State, Take, fewest_slots, usable_threads

Group = tuple[int, list[int]]
"""A node of the board and some of its slots."""

_PAIRS = 24
"""Sets of nodes looked at for a guest of several cells."""
_WAYS = 3
"""Ways to lie in one of them."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an item lies. cells: for each the node, (slot, cores) of its vCPUs, and the slot of its emulator's own core.

    devices: functions taken of each (node, pool).
    """

    host: int
    cells: tuple[tuple[int, tuple[tuple[int, int], ...], int | None], ...]
    devices: tuple[tuple[int, str, int], ...]

    def slots(self) -> Iterator[int]:
        for _, takes, own in self.cells:
            for slot, _ in takes:
                yield slot
            if own is not None:
                yield own


@dataclass(frozen=True, slots=True)
class Item:
    """A guest on the board. cells: vCPUs, pages of its size and normal KiB of each. per: for each kind of slot the vCPUs that a
    core holds. pools: functions of each device pool. cores: the fewest it takes, least: in its smallest cell."""

    id: int
    demand: Demand
    cells: tuple[tuple[int, int, int], ...]
    per: tuple[int, ...]
    pools: tuple[tuple[str, int], ...]
    weight: int
    cores: int
    least: int


class Board:
    """free, size, kind: of each slot. normal, pages, functions: of each node. Nodes are those of all hosts, in order."""

    def __init__(self, state: State) -> None:
        self.hosts: list[HostState] = list(state.hosts.values())
        self.names = list(state.hosts)
        self.position = {name: index for index, name in enumerate(self.names)}
        self.free: list[int] = []
        self.size: list[int] = []
        self.kind: list[int] = []
        self.slot_node: list[int] = []
        self.node_slots: list[range] = []
        self.node_host: list[int] = []
        self.first: list[int] = []
        self.normal: list[int] = []
        self.pages: list[dict[int, int]] = []
        self.functions: list[dict[str, int]] = []
        self.claims: set[Claim] = set(state.claims)
        kinds: dict[tuple[int, int, bool, Cores | None, int], int] = {}
        self.kinds = kinds
        for index, host in enumerate(self.hosts):
            self.first.append(len(self.node_slots))
            for cpus, node in zip(host.machine.nodes, host.nodes, strict=True):
                self.slot_node.extend([len(self.node_slots)] * len(node.slots))
                self.node_slots.append(range(len(self.free), len(self.free) + len(node.slots)))
                for slot, free in zip(node.slots, node.free, strict=True):
                    self.free.append(free)
                    self.size.append(len(slot.cores))
                    machine = host.machine
                    most = machine.smt if slot.kind is None else machine.kinds.get(slot.kind, 0)
                    key = (slot.threads, machine.smt, slot.l3_known, slot.kind, most)
                    self.kind.append(kinds.setdefault(key, len(kinds)))
                self.node_host.append(index)
                self.normal.append(node.normal)
                self.pages.append(dict(node.pages))
                self.functions.append(
                    {
                        pool: sum(one.node == cpus.node and one.address not in host.used for one in functions)
                        for pool, functions in host.machine.functions.items()
                    }
                )

    def item(self, id: int, demand: Demand, weight: int) -> Item | None:
        """The guest as the board has it; None for one that is not plain."""
        if not demand.dedicated or demand.floating or demand.spread or not demand.hosts or demand.tied:
            return None
        pools: dict[str, int] = {}
        for _, pool in demand.devices:
            pools[pool] = pools.get(pool, 0) + 1
        for name in demand.hosts if pools else ():
            machine = self.hosts[self.position[name]].machine
            if any(len(one.group) > 1 or one.node is None for pool in pools for one in machine.functions.get(pool, ())):
                return None
        per = []
        for threads, smt, l3_known, kind, most in self.kinds:
            able = usable_threads(demand.threads, threads, smt if demand.cores is Cores.ANY else most)
            if demand.cores is not Cores.ANY and demand.cores is not kind:
                able = 0
            per.append(able if l3_known or demand.l3 is not L3.REQUIRE else 0)
        widest = max(per, default=0)
        if not widest:
            return None
        size = demand.pages_kib
        cores = [-(-cell.vcpus // widest) + demand.own for cell in demand.cells]
        return Item(
            id=id,
            demand=demand,
            cells=tuple(
                (cell.vcpus, cell.memory_kib // size if size is not None else 0, cell.normal_kib)
                for cell in demand.cells
            ),
            per=tuple(per),
            pools=tuple(pools.items()),
            weight=weight,
            cores=sum(cores),
            least=1 if max(cores) > max(self.size) else min(cores),
        )

    def spot(self, choice: Choice) -> Spot:
        """A choice in the board's numbers; devices by the nodes that they are on."""
        host = self.position[choice.host]
        here = self.hosts[host]
        first = self.first[host]
        cells = tuple(
            (
                first + cell.node,
                tuple((self.node_slots[first + cell.node][take.slot], take.cores) for take in cell.takes),
                self.node_slots[first + cell.node][cell.own] if cell.own is not None else None,
            )
            for cell in choice.cells
        )
        held = {address for _, address in choice.devices}
        taken: dict[tuple[int, str], int] = {}
        nodes = {cpus.node: first + index for index, cpus in enumerate(here.machine.nodes)}
        for pool, functions in here.machine.functions.items() if held else ():
            for one in functions:
                if one.address in held and one.node is not None:
                    key = (nodes[one.node], pool)
                    taken[key] = taken.get(key, 0) + 1
        return Spot(host, cells, tuple((node, pool, number) for (node, pool), number in taken.items()))

    def choice(self, item: Item, spot: Spot) -> Choice | None:
        """The choice that the spot stands for, with free functions; None where devices turn out not to be there."""
        here = self.hosts[spot.host]
        first = self.first[spot.host]
        cells: list[CellChoice] = []
        for (vcpus, _, _), (node, takes, own) in zip(item.cells, spot.cells, strict=True):
            start = self.node_slots[node].start
            mine: list[Take] = []
            for slot, cores in takes:
                number = min(vcpus, cores * item.per[self.kind[slot]])
                mine.append(Take(slot - start, number, cores))
                vcpus -= number
            cells.append(CellChoice(node - first, tuple(mine), own - start if own is not None else None))
        near = {node for node, _, _ in spot.devices}
        ids = [here.machine.nodes[node - first].node for node in sorted(near)]
        devices = pick_devices(item.demand, here, ids)
        return None if devices is None else Choice(self.names[spot.host], tuple(cells), devices)

    def apply(self, item: Item, spot: Spot, sign: int) -> None:
        """Take what the spot holds (sign -1), or give it back (1)."""
        free, size = self.free, item.demand.pages_kib
        for (_, pages, normal), (node, takes, own) in zip(item.cells, spot.cells, strict=True):
            if size is not None:
                self.pages[node][size] += sign * pages
            self.normal[node] += sign * normal
            for slot, cores in takes:
                free[slot] += sign * cores
            if own is not None:
                free[own] += sign
        for node, pool, number in spot.devices:
            self.functions[node][pool] += sign * number
        claims = item.demand.hosts[self.names[spot.host]] if item.demand.hosts.apart else ()
        if claims:
            if sign < 0:
                self.claims.update(claims)
            else:
                self.claims.difference_update(claims)

    def hold(self, items: Sequence[Item], where: Mapping[int, Spot], sign: int) -> None:
        """Take all these spots (sign -1), or give them back (1)."""
        for id, spot in where.items():
            self.apply(items[id], spot, sign)

    def spots(self, item: Item, groups: Sequence[Group]) -> list[Spot]:
        """Where the item may lie within the groups as they are now, alike places once, the tightest first."""
        found: list[tuple[int, Spot]] = []
        cells = item.cells
        if len(cells) == 1:
            seen: set[tuple[int, int, int, int]] = set()
            for node, slots in groups:
                if not self._open(item, node):
                    continue
                devices = self.devices(item, (node,))
                if devices is None:
                    continue
                for left, takes, own in self._fits(item, cells[0], node, slots):
                    key = (node, left, takes[0][1], len(takes))
                    if key not in seen:
                        seen.add(key)
                        found.append((left, Spot(self.node_host[node], ((node, takes, own),), devices)))
        else:
            able = [(node, slots) for node, slots in groups if self._open(item, node)]
            slots_of = dict(able)
            for nodes in islice(arrangements(item.demand.cells, sorted(slots_of)), _PAIRS):
                some = [(node, slots_of[node]) for node in nodes]
                host = self.node_host[some[0][0]]
                if any(self.node_host[node] != host for node, _ in some):
                    continue
                devices = self.devices(item, tuple(node for node, _ in some))
                if devices is None:
                    continue
                ways = [
                    sorted({fit[0]: fit for fit in self._fits(item, cell, node, slots)}.values())[:_WAYS]
                    for cell, (node, slots) in zip(cells, some, strict=True)
                ]
                for fits in product(*ways):
                    where = tuple((node, fit[1], fit[2]) for fit, (node, _) in zip(fits, some, strict=True))
                    found.append((sum(fit[0] for fit in fits), Spot(host, where, devices)))
        found.sort(key=lambda one: one[0])
        return [spot for _, spot in found]

    def may(self, item: Item, node: int) -> bool:
        """Whether the guest may go to the node's host, whatever is there."""
        return self.names[self.node_host[node]] in item.demand.hosts.able

    def _open(self, item: Item, node: int) -> bool:
        if not self.may(item, node):
            return False
        hosts = item.demand.hosts
        return not hosts.apart or not any(claim in self.claims for claim in hosts[self.names[self.node_host[node]]])

    def devices(self, item: Item, nodes: tuple[int, ...]) -> tuple[tuple[int, str, int], ...] | None:
        """Free functions for the item on these nodes; None where there are too few."""
        taken: list[tuple[int, str, int]] = []
        for pool, need in item.pools:
            for node in nodes:
                number = min(need, self.functions[node].get(pool, 0))
                if number:
                    taken.append((node, pool, number))
                    need -= number
            if need:
                return None
        return tuple(taken)

    def _fits(
        self, item: Item, cell: tuple[int, int, int], node: int, slots: Sequence[int]
    ) -> list[tuple[int, tuple[tuple[int, int], ...], int | None]]:
        """What stays free, (slot, cores) and the emulator's slot, for each way to put a cell on some slots of a node."""
        vcpus, pages, normal = cell
        size = item.demand.pages_kib
        if normal > self.normal[node]:
            return []
        if size is not None and self.pages[node].get(size, -1) < pages:
            return []
        own = item.demand.own
        found: list[tuple[int, tuple[tuple[int, int], ...], int | None]] = []
        for slot in slots:
            per = item.per[self.kind[slot]]
            if per:
                cores = -(-vcpus // per)
                left = self.free[slot] - cores
                if left >= own:
                    found.append((left - own, ((slot, cores),), slot if own else None))
        if found or item.demand.l3 is L3.REQUIRE or own:
            return found
        return self._several(item, vcpus, node, slots)

    def _several(
        self, item: Item, vcpus: int, node: int, slots: Sequence[int]
    ) -> list[tuple[int, tuple[tuple[int, int], ...], int | None]]:
        """As few slots as an empty node allows (any number where the guest does not care), the largest first."""
        room = sorted(((self.free[slot] * item.per[self.kind[slot]], slot) for slot in slots), reverse=True)
        number = len(room)
        if item.demand.l3 is not L3.ANY:
            number = fewest_slots(vcpus, [self.size[s] * item.per[self.kind[s]] for s in self.node_slots[node]])
        takes: list[tuple[int, int]] = []
        left = 0
        for index in range(min(number, len(room))):
            capacity, slot = room[index]
            if capacity >= vcpus:  # the last one: the tightest that does
                capacity, slot = next(one for one in reversed(room[index:]) if one[0] >= vcpus)
            cores = -(-min(vcpus, capacity) // max(item.per[self.kind[slot]], 1))
            takes.append((slot, cores))
            left += self.free[slot] - cores
            vcpus -= min(vcpus, capacity)
            if not vcpus:
                return [(left, tuple(takes), None)]
        return []
