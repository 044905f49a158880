"""What a guest can have: a cell of one node, its devices of a host. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import combinations, islice
from typing import NamedTuple

from kvmc.model.site import L3, Cores
from kvmc.model.values import PciAddress
from kvmc.resolver.demand import Cell, Demand
from kvmc.resolver.state import NEVER, HostState, Machine, NodeState, Take, fewest_slots

COMBINATIONS = 64
"""Sets of nodes, or of L3s in a node, looked at for one guest; the tightest nodes come first."""

Score = tuple[int, ...]
"""Less is better: avoidable L3s, nodes with devices it does not need, distance between its nodes, then what stays free in
its slots, its nodes and its host: small rests first, so the largest holes stay; shared vCPUs go where most are free."""

Devices = tuple[tuple[tuple[str, str], PciAddress], ...]


class Fit(NamedTuple):
    """A cell's place in one node. extra: L3s beyond the fewest that an empty node allows. left: cores free in its slots then."""

    takes: tuple[Take, ...]
    own: int | None
    extra: int
    left: int


def tightest(demand: Demand, vcpus: int, node: NodeState) -> tuple[int | None, int]:
    """The slot with the smallest rest of those that hold all vCPUs, and the rest; -1 for none, None where the node can't have them
    at all."""
    needs, least, _ = node.needs.get((demand.threads, vcpus)) or node.needed(demand.threads, vcpus)
    if node.cores < least:
        return None, 0
    best, slot = NEVER, -1
    if demand.l3 is L3.REQUIRE:
        for index, free in enumerate(node.free):
            left = free - needs[index]
            if 0 <= left < best and node.slots[index].l3_known:
                best, slot = left, index
        return (slot if slot >= 0 else None), best
    for index, free in enumerate(node.free):
        left = free - needs[index]
        if 0 <= left < best:
            best, slot = left, index
            if not left:
                break
    return slot, best


def node_spread(here: HostState, nodes: Sequence[int]) -> int:
    """The distances between these nodes, all together."""
    apart = here.apart
    return sum(apart[a][b] for a, b in combinations(nodes, 2))


def fit_cell(demand: Demand, cell: Cell, node: NodeState, machine: Machine) -> Fit | None:
    """Place a cell in a node as it is now, or None."""
    if cell.normal_kib > node.normal:
        return None
    if (
        demand.pages_kib is not None
        and not demand.spread
        and cell.memory_kib > node.pages.get(demand.pages_kib, 0) * demand.pages_kib
    ):
        return None
    if not demand.dedicated:
        if cell.vcpus > node.shared:
            return None
        return with_own(demand, node, (), 0)
    if cell.floating > node.shared:
        return None
    if not cell.vcpus:
        return with_own(demand, node, (), 0)
    per = node.per[demand.threads] if demand.cores is Cores.ANY else node.vcpus_a_core(demand, machine)
    if demand.l3 is L3.ANY:
        return with_own(demand, node, _fragments(cell.vcpus, node.free, per), 0)
    if not demand.own and demand.cores is Cores.ANY:
        slot, left = tightest(demand, cell.vcpus, node)
        if slot is None:
            return None
        if slot >= 0:
            return Fit((Take(slot, cell.vcpus, node.free[slot] - left),), None, 0, left)
    else:
        best: tuple[bool, int, int] | None = None
        for index, free in enumerate(node.free):
            left = free - -(-cell.vcpus // per[index]) if per[index] else -1
            if left >= 0 and (demand.l3 is not L3.REQUIRE or node.slots[index].l3_known):
                key = (demand.own and not left, left, index)
                if best is None or key < best:
                    best = key
        if best is not None:
            index = best[2]
            return with_own(demand, node, (Take(index, cell.vcpus, -(-cell.vcpus // per[index])),), 0)
    if demand.l3 is L3.REQUIRE:
        return None
    full = (len(slot.cores) * threads for slot, threads in zip(node.slots, per, strict=True))
    return over_slots(demand, cell.vcpus, node, per, fewest_slots(cell.vcpus, full))


def over_slots(demand: Demand, vcpus: int, node: NodeState, per: Sequence[int], fewest: int) -> Fit | None:
    """vCPUs in as few slots as do, where one does not. per: vCPUs that a core of each slot holds; fewest: slots of those that an
    empty node needs."""
    takes = _several(vcpus, node.free, per)
    return with_own(demand, node, takes, len(takes) - fewest) if takes else None


def with_own(demand: Demand, node: NodeState, takes: Sequence[Take] | None, extra: int) -> Fit | None:
    """Add the emulator's own core: beside the vCPUs where a core is left, else in the slot with the smallest rest."""
    if takes is None:
        return None
    if not demand.own:
        return Fit(tuple(takes), None, extra, sum(node.free[take.slot] - take.cores for take in takes))
    left = list(node.free)
    for take in takes:
        left[take.slot] -= take.cores
    beside = {take.slot for take in takes}
    able = [(index not in beside, free, index) for index, free in enumerate(left) if free]
    if not able:
        return None
    slot = min(able)[2]
    left[slot] -= 1
    return Fit(tuple(takes), slot, extra, sum(left[index] for index in beside | {slot}))


def _several(vcpus: int, free: Sequence[int], per: Sequence[int]) -> list[Take] | None:
    """As few slots as do, of those the ones with the smallest rest; whole slots in order, the rest in the last."""
    slots = sorted([(-cores * threads, slot) for slot, (cores, threads) in enumerate(zip(free, per, strict=True))])
    rest, number = -vcpus, 0
    for size, _ in slots:
        rest -= size
        number += 1
        if rest >= 0:
            break
    else:
        return None
    best = [slot for _, slot in slots[:number]]
    if rest:
        best = _tighter(vcpus, number, rest, slots) or best
    return _fill(vcpus, sorted(best[:-1]) + best[-1:], free, per)


def _tighter(vcpus: int, number: int, rest: int, slots: Sequence[tuple[int, int]]) -> list[int]:
    """So many slots with less rest, if there are such. slots: with the vCPUs that each holds, negative, the most first. Of slots
    that are alike no more are looked at than could be taken."""
    sizes: list[int] = []
    for size, _ in slots:
        if size and sizes[-number:].count(-size) < number:
            sizes.append(-size)
    if sizes[0] == sizes[-1]:
        return []
    found: tuple[int, ...] = ()
    for some in islice(combinations(sizes, number), COMBINATIONS):
        over = sum(some) - vcpus
        if 0 <= over < rest:
            found, rest = some, over
            if not over:
                break
    ordered = iter(slots)
    return [next(index for size, index in ordered if size == -wanted) for wanted in found]


def _fragments(vcpus: int, free: Sequence[int], per: Sequence[int]) -> list[Take] | None:
    """For a guest that does not care: the smallest rests first, so that whole L3s stay for others."""
    order = sorted(
        (index for index, cores in enumerate(free) if cores * per[index]), key=lambda index: (free[index], index)
    )
    return _fill(vcpus, order, free, per)


def _fill(vcpus: int, order: Sequence[int], free: Sequence[int], per: Sequence[int]) -> list[Take] | None:
    takes: list[Take] = []
    for index in order:
        if vcpus == 0:
            break
        number = min(vcpus, free[index] * per[index])
        takes.append(Take(index, number, -(-number // per[index])))
        vcpus -= number
    return takes if vcpus == 0 else None


def pick_devices(demand: Demand, here: HostState, nodes: Sequence[int]) -> Devices | None:
    """A free function for each device, on the given nodes (their ids), whole IOMMU groups; or None."""
    if not demand.devices:
        return ()
    if demand.near or demand.beside or demand.package or demand.one_root:
        from kvmc.resolver.near import pick_near

        return pick_near(demand, here, nodes)
    used = here.used
    mine: dict[PciAddress, tuple[str, str]] = {}
    wanted: set[PciAddress] = set()
    for key, pool in demand.devices:
        load = loads(here, pool, mine)
        best: tuple[bool, int, int, int] | None = None
        for position, function in enumerate(here.machine.functions.get(pool, ())):
            if function.address in mine or (function.node is not None and function.node not in nodes):
                continue
            if used and any(address in used for address in function.group):
                continue
            carries = load.get(function.parent, 0)
            rank = (function.address not in wanted, len(function.group), carries, position)
            if best is None or rank < best:
                best = rank
                if len(function.group) == 1 and not wanted and not load:
                    break
        if best is None:
            return None
        function = here.machine.functions[pool][best[3]]
        mine[function.address] = key
        wanted.update(function.group)
    if wanted - set(mine):
        return None
    return tuple((key, address) for address, key in mine.items())


def loads(here: HostState, pool: str, mine: Container[PciAddress]) -> dict[PciAddress | None, int]:
    """Of a pool over several parents how many functions of each are taken; empty for all other pools. mine: taken too."""
    functions = here.machine.functions.get(pool, ())
    if not functions or functions[0].parent is None or functions[-1].parent == functions[0].parent:
        return {}
    found = dict.fromkeys((one.parent for one in functions), 0)
    for one in functions:
        found[one.parent] += one.address in here.used or one.address in mine
    return found
