"""The best place for one guest on one host as it is now: which nodes, L3s and devices; nothing is changed here."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

from kvmc.model.site import L3, Cores
from kvmc.model.values import PciAddress
from kvmc.resolver.demand import Cell, Demand, uneven
from kvmc.resolver.spread import distance, lay_memory
from kvmc.resolver.state import CellChoice, Choice, HostState, Machine, NodeState, State, Take

_COMBINATIONS = 64
"""Sets of nodes, or of L3s in a node, looked at for one guest; the tightest nodes come first."""

_NEVER = 1 << 30
"""Cores that no slot has."""

_WAYS = 4096
"""Ways to lay cells that differ on nodes, looked at for one guest."""

Score = tuple[int, ...]
"""Less is better: avoidable L3s, nodes with devices it does not need, distance between its nodes, then what stays free in
its slots, its nodes and its host: small rests first, so the largest holes stay; shared vCPUs go where most are free."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A cell's place in one node. extra: L3s beyond the fewest that an empty node allows."""

    takes: tuple[Take, ...]
    own: int | None
    extra: int
    left: int


def best_choice(
    demand: Demand,
    state: State,
    host: str,
    *,
    strict: bool,
    only: tuple[int, ...] | None = None,
    claims: bool = True,
) -> tuple[Score, Choice] | None:
    """The best choice on the host, or on the given nodes of it; with `strict` none that splits a cell over avoidable L3s.

    Without `claims` it is not asked which guests are kept apart.
    """
    if host not in demand.hosts or (claims and any(claim in state.claims for claim in demand.hosts[host])):
        return None
    if demand.tied:
        from kvmc.resolver.relations import best_related

        return best_related(demand, state, host, strict=strict, only=only)
    here = state.hosts[host]
    if len(demand.cells) == 1 and not demand.spread:
        return _best_node(demand, here, host, strict, only)
    best: tuple[Score, Choice] | None = None
    known: dict[tuple[Cell, int], Fit | None] = {}
    for nodes in (only,) if only is not None else _node_sets(demand, here, strict, known):
        devices = pick_devices(demand, here, [here.machine.nodes[position].node for position in nodes])
        if devices is None:
            continue
        for cell, node in zip(demand.cells, nodes, strict=True):
            if (cell, node) not in known:
                known[cell, node] = fit_cell(demand, cell, here.nodes[node], here.machine)
        fits = [known[one] for one in zip(demand.cells, nodes, strict=True)]
        if any(fit is None or (strict and fit.extra) for fit in fits):
            continue
        found = [fit for fit in fits if fit is not None]
        memory = lay_memory(demand, here, nodes) if demand.spread else ((),) * len(nodes)
        if memory is None:
            continue
        score = (
            sum(fit.extra for fit in found),
            sum(here.nodes[node].devices for node in nodes) if not demand.devices else 0,
            node_spread(here, nodes) + (distance(demand, here, memory, nodes) if demand.spread else 0),
            sum(fit.left for fit in found),
            sum(here.nodes[node].cores if demand.dedicated else -here.nodes[node].shared for node in nodes),
            here.cores,
        )
        if best is None or score < best[0]:
            cells = tuple(
                CellChoice(node, fit.takes, fit.own, parts)
                for node, fit, parts in zip(nodes, found, memory, strict=True)
            )
            best = (score, Choice(host, cells, devices))
    return best


def _best_node(
    demand: Demand, here: HostState, host: str, strict: bool, only: tuple[int, ...] | None
) -> tuple[Score, Choice] | None:
    """The same for a guest of one cell: devices are looked for once it is known where it fits."""
    cell, machine = demand.cells[0], here.machine
    size, pages = demand.pages_kib, 0 if demand.pages_kib is None else cell.memory_kib // demand.pages_kib
    plain = (
        demand.dedicated
        and not demand.own
        and demand.l3 is not L3.ANY
        and demand.cores is Cores.ANY
        and not demand.floating
    )
    cores = here.cores
    best: tuple[Score, int, Fit | int] | None = None
    others: list[tuple[Score, int, Fit | int]] = []
    for position in only if only is not None else range(len(here.nodes)):
        node = here.nodes[position]
        if demand.devices and not (node.devices or here.loose):
            continue
        if cell.normal_kib > node.normal or (size is not None and node.pages.get(size, 0) < pages):
            continue
        found = _tightest(demand, cell.vcpus, node) if plain else -1
        if found is None:
            continue
        fit: Fit | int | None
        score: Score
        if found >= 0:
            fit = found
            score = (
                0,
                node.devices if not demand.devices else 0,
                0,
                node.free[found] - node.needs[demand.threads, cell.vcpus][0][found],
                node.cores,
                cores,
            )
        else:
            fit = fit_cell(demand, cell, node, machine)
            if fit is None or (strict and fit.extra):
                continue
            score = (
                fit.extra,
                node.devices if not demand.devices else 0,
                0,
                fit.left,
                node.cores if demand.dedicated else -node.shared,
                cores,
            )
        if demand.devices:
            others.append((score, position, fit))
        elif best is None or score < best[0]:
            best = (score, position, fit)
    devices: tuple[tuple[tuple[str, str], PciAddress], ...] | None = ()
    for one in sorted(others, key=lambda one: one[:2]):
        devices = pick_devices(demand, here, (here.machine.nodes[one[1]].node,))
        if devices is not None:
            best = one
            break
    if best is None or devices is None:
        return None
    score, position, chosen = best
    if isinstance(chosen, Fit):
        return score, Choice(host, (CellChoice(position, chosen.takes, chosen.own),), devices)
    take = Take(chosen, cell.vcpus, here.nodes[position].needs[demand.threads, cell.vcpus][0][chosen])
    return score, Choice(host, (CellChoice(position, (take,), None),), devices)


def _tightest(demand: Demand, vcpus: int, node: NodeState) -> int | None:
    """The slot with the smallest rest of those that hold all vCPUs; -1 for none, None where the node can't have them at all."""
    known = node.needs.get((demand.threads, vcpus))
    if known is None:
        needs = [-(-vcpus // per) if per else _NEVER for per in node.per[demand.threads]]
        known = node.needs[demand.threads, vcpus] = (needs, min(needs, default=_NEVER))
    needs, least = known
    if node.cores < least:
        return None
    best, slot = _NEVER, -1
    require = demand.l3 is L3.REQUIRE
    for index, free in enumerate(node.free):
        left = free - needs[index]
        if 0 <= left < best and (not require or node.slots[index].l3_known):
            best, slot = left, index
    return None if require and slot < 0 else slot


def _node_sets(
    demand: Demand, here: HostState, strict: bool, known: dict[tuple[Cell, int], Fit | None]
) -> Iterator[tuple[int, ...]]:
    """Node positions that may hold the cells, one for each of them in order; ascending where the cells are alike. known: how
    cells fit, as far as it was looked for."""
    if len(demand.cells) == 1:
        yield from ((position,) for position in range(len(here.nodes)))
        return
    if uneven(demand.cells):
        yield from islice(_uneven_sets(demand, here, strict), _COMBINATIONS)
        return
    smallest = demand.cells[-1]
    able: list[tuple[int, int]] = []
    for position, node in enumerate(here.nodes):
        fit = known[smallest, position] = fit_cell(demand, smallest, node, here.machine)
        if fit is not None and not (strict and fit.extra):
            able.append((fit.left, position))
    able.sort()
    for nodes in islice(combinations([position for _, position in able], len(demand.cells)), _COMBINATIONS):
        yield tuple(sorted(nodes))


def _uneven_sets(demand: Demand, here: HostState, strict: bool) -> Iterator[tuple[int, ...]]:
    """Cells that differ may lie in any order: each on a node that has room for it, the tightest first."""
    able: list[list[int]] = []
    for cell in demand.cells:
        found: list[tuple[int, int]] = []
        for position, node in enumerate(here.nodes):
            fit = fit_cell(demand, cell, node, here.machine)
            if fit is not None and not (strict and fit.extra):
                found.append((fit.left, position))
        able.append([position for _, position in sorted(found)])
    for nodes in islice(product(*able), _WAYS):
        if len(set(nodes)) == len(nodes):
            yield nodes


def node_spread(here: HostState, nodes: Sequence[int]) -> int:
    ids = [here.machine.nodes[position].node for position in nodes]
    return sum(here.machine.distances.get(a, {}).get(b, 0) for a, b in combinations(ids, 2))


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
        index = _tightest(demand, cell.vcpus, node)
        if index is None:
            return None
        if index >= 0:
            cores = -(-cell.vcpus // per[index])
            return Fit((Take(index, cell.vcpus, cores),), None, 0, node.free[index] - cores)
    else:
        tightest: tuple[bool, int, int] | None = None
        for index, free in enumerate(node.free):
            left = free - -(-cell.vcpus // per[index]) if per[index] else -1
            if left >= 0 and (demand.l3 is not L3.REQUIRE or node.slots[index].l3_known):
                key = (demand.own and not left, left, index)
                if tightest is None or key < tightest:
                    tightest = key
        if tightest is not None:
            index = tightest[2]
            return with_own(demand, node, (Take(index, cell.vcpus, -(-cell.vcpus // per[index])),), 0)
    if demand.l3 is L3.REQUIRE:
        return None
    full = [len(slot.cores) * threads for slot, threads in zip(node.slots, per, strict=True)]
    fewest = fewest_slots(cell.vcpus, full)
    takes = _several(cell.vcpus, node.free, per)
    return with_own(demand, node, takes, len(takes) - fewest) if takes and fewest else None


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


def fewest_slots(vcpus: int, capacities: Sequence[int]) -> int:
    """The fewest slots that hold the vCPUs; 0 where all of them don't."""
    held = 0
    for number, capacity in enumerate(sorted(capacities, reverse=True), 1):
        held += capacity
        if held >= vcpus:
            return number
    return 0


def _several(vcpus: int, free: Sequence[int], per: Sequence[int]) -> list[Take] | None:
    """As few slots as do, of those the ones with the smallest rest; whole slots in order, the rest in the last."""
    capacities = [cores * threads for cores, threads in zip(free, per, strict=True)]
    number = fewest_slots(vcpus, capacities)
    if not number:
        return None
    by_size = sorted(
        (index for index, capacity in enumerate(capacities) if capacity), key=lambda index: (-capacities[index], index)
    )
    best = by_size[:number]
    rest = sum(capacities[index] for index in best) - vcpus
    for some in islice(combinations(by_size, number), _COMBINATIONS) if rest else ():
        over = sum(capacities[index] for index in some) - vcpus
        if 0 <= over < rest:
            best, rest = list(some), over
    return _fill(vcpus, sorted(best[:-1]) + best[-1:], free, per)


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


def pick_devices(
    demand: Demand, here: HostState, nodes: Sequence[int]
) -> tuple[tuple[tuple[str, str], PciAddress], ...] | None:
    """A free function for each device, on the given nodes (their ids), whole IOMMU groups; or None."""
    if not demand.devices:
        return ()
    if demand.near or demand.beside or demand.package or demand.one_root:
        from kvmc.resolver.near import pick_near

        return pick_near(demand, here, nodes)
    mine: dict[PciAddress, tuple[str, str]] = {}
    wanted: set[PciAddress] = set()
    for key, pool in demand.devices:
        load = loads(here, pool, mine)
        best: tuple[bool, int, int, int] | None = None
        for position, function in enumerate(here.machine.functions.get(pool, ())):
            if function.address in mine or (function.node is not None and function.node not in nodes):
                continue
            if any(address in here.used for address in function.group):
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
