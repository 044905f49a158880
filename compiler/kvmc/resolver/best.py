"""The best place for one guest on one host as it is now: which nodes, L3s and devices; nothing is changed here.

This runs for each guest on each host, hundreds of times a guest where others must make room, so loops are written out here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, islice, product

from kvmc.resolver.choices import (
    COMBINATIONS,
    Devices,
    Fit,
    Score,
    fit_cell,
    node_spread,
    over_slots,
    pick_devices,
    tightest,
)
from kvmc.resolver.demand import Cell, Demand, uneven
from kvmc.resolver.relations import best_related
from kvmc.resolver.spread import distance, lay_memory
from kvmc.resolver.state import CellChoice, Choice, HostState, Needs, State, Take

_DIGIT = 1 << 40
"""More than any part of a score."""
_SPREAD = _DIGIT * _DIGIT

_WAYS = 4096
"""Ways to lay cells that differ on nodes, looked at for one guest."""


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
    hosts = demand.hosts
    if host not in hosts.able or (claims and hosts.apart and any(claim in state.claims for claim in hosts[host])):
        return None
    if demand.tied:
        return best_related(demand, state, host, strict=strict, only=only)
    here = state.hosts[host]
    if not demand.even:
        return _best_laid(demand, here, host, strict, only)
    if len(demand.cells) == 1:
        return _best_node(demand, here, host, strict, only)
    if only is None:
        return _best_nodes(demand, here, host, strict)
    return _best_laid(demand, here, host, strict, only)


def _best_node(
    demand: Demand, here: HostState, host: str, strict: bool, only: tuple[int, ...] | None
) -> tuple[Score, Choice] | None:
    """Of a guest of one cell, whose memory is on its node: devices are looked for once it is known where it fits."""
    cell = demand.cells[0]
    vcpus, normal, size = cell.vcpus, cell.normal_kib, demand.pages_kib
    pages = 0 if size is None else cell.memory_kib // size
    devices, plain, threads, nodes = demand.devices, demand.plain, demand.threads, here.nodes
    best: Score | None = None
    position = 0
    chosen: Fit | int = 0
    others: list[tuple[Score, int, Fit | int]] = []
    score: Score
    later: list[tuple[int, Needs]] = []
    for at in range(len(nodes)) if only is None else only:
        node = nodes[at]
        if normal > node.normal or (size is not None and node.pages.get(size, 0) < pages):
            continue
        if devices and not (node.devices or here.loose):
            continue
        fit: Fit | int
        if plain:
            slot, left = tightest(demand, vcpus, node)
            if slot is None:
                continue
            if slot < 0:
                later.append((at, node.needs[threads, vcpus]))
                continue
            fit = slot
            score = (0, not devices and node.devices, 0, left, node.cores, here.cores)
        else:
            found = fit_cell(demand, cell, node, here.machine)
            if found is None or (strict and found.extra):
                continue
            fit = found
            free = node.cores if demand.dedicated else -node.shared
            score = (found.extra, not devices and node.devices, 0, found.left, free, here.cores)
        if devices:
            others.append((score, at, fit))
        elif best is None or score < best:
            best, position, chosen = score, at, fit
    known: dict[tuple[int, ...], Fit | None] = {}
    for at, needs in later:
        if needs.slots == 1 and (strict or (best is not None and not best[0])):
            continue  # it would be split over L3s that can be avoided
        node = nodes[at]
        alike = (id(needs), *node.free)
        if alike not in known:
            known[alike] = over_slots(demand, vcpus, node, node.per[threads], needs.slots)
        found = known[alike]
        if found is None or (strict and found.extra):
            continue
        score = (found.extra, not devices and node.devices, 0, found.left, node.cores, here.cores)
        if devices:
            others.append((score, at, found))
        elif best is None or (score, at) < (best, position):
            best, position, chosen = score, at, found
    taken: Devices | None = ()
    for score, at, fit in sorted(others, key=lambda one: one[:2]) if devices else ():
        taken = pick_devices(demand, here, (here.machine.nodes[at].node,))
        if taken is not None:
            best, position, chosen = score, at, fit
            break
    if best is None or taken is None:
        return None
    if isinstance(chosen, int):
        takes = (Take(chosen, vcpus, nodes[position].needs[threads, vcpus][0][chosen]),)
        return best, Choice(host, (CellChoice(position, takes, None),), taken)
    return best, Choice(host, (CellChoice(position, chosen.takes, chosen.own),), taken)


def _best_nodes(demand: Demand, here: HostState, host: str, strict: bool) -> tuple[Score, Choice] | None:
    """Of a guest of several cells that are alike, each with its memory on its node: they may differ in their overhead alone, so
    one fit holds for all of them."""
    nodes = here.nodes
    least = demand.cells[-1]  # the first one has what is no node's
    fits: dict[int, Fit] = {}
    able: list[tuple[int, int]] = []
    for at, node in enumerate(nodes):
        fit = fit_cell(demand, least, node, here.machine)
        if fit is not None and not (strict and fit.extra):
            fits[at] = fit
            able.append((fit.left, at))
    if len(able) < len(demand.cells):
        return None
    for where in _sets(demand, here, fits, able):
        devices = pick_devices(demand, here, [here.machine.nodes[at].node for at in where])
        if devices is None:
            continue
        score = (
            sum(fits[at].extra for at in where),
            0 if demand.devices else sum(nodes[at].devices for at in where),
            node_spread(here, where),
            sum(fits[at].left for at in where),
            sum(nodes[at].cores if demand.dedicated else -nodes[at].shared for at in where),
            here.cores,
        )
        return score, Choice(host, tuple(CellChoice(at, fits[at].takes, fits[at].own) for at in where), devices)
    return None


def _sets(
    demand: Demand, here: HostState, fits: Mapping[int, Fit], able: list[tuple[int, int]]
) -> Iterator[tuple[int, ...]]:
    """Sets of nodes for cells that are alike, ascending, the one with the least score first. able: what stays free in the slots,
    and the node; the tightest ones are looked at."""
    nodes, cells, apart = here.nodes, demand.cells, here.apart
    able.sort()
    prices = {
        at: _price(
            fits[at].extra,
            0 if demand.devices else nodes[at].devices,
            left,
            nodes[at].cores if demand.dedicated else -nodes[at].shared,
        )
        for left, at in (able if len(able) > len(cells) else ())
    }
    found: list[tuple[int, int, tuple[int, ...]]] = []
    limit = _WAYS if demand.devices else COMBINATIONS  # devices may be on nodes that are not the tightest
    for some in islice(combinations([at for _, at in able], len(cells)), limit):
        order = tuple(sorted(some))
        price = 0
        if prices:
            for one, other in combinations(order, 2):
                price += apart[one][other]
            price *= _SPREAD
            for at in some:
                price += prices[at]
        found.append((price, len(found), order))
    for _, _, order in sorted(found):
        if all(cell.normal_kib <= nodes[at].normal for cell, at in zip(cells, order, strict=True)):
            yield order


def _price(extra: int, devices: int, left: int, free: int) -> int:
    """A score as one number, so that those of several nodes add up and are compared at once."""
    return ((extra * _DIGIT + devices) * _DIGIT * _DIGIT + left) * _DIGIT + free


def _best_laid(
    demand: Demand, here: HostState, host: str, strict: bool, only: tuple[int, ...] | None
) -> tuple[Score, Choice] | None:
    """Of a guest whose cells differ, or whose memory is not bound to their nodes; or on given nodes, one for each cell."""
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


def _node_sets(
    demand: Demand, here: HostState, strict: bool, known: dict[tuple[Cell, int], Fit | None]
) -> Iterator[tuple[int, ...]]:
    """Node positions that may hold the cells, one for each of them in order; ascending where the cells are alike. known: how
    cells fit, as far as it was looked for."""
    if len(demand.cells) == 1:
        yield from ((position,) for position in range(len(here.nodes)))
        return
    if uneven(demand.cells):
        yield from islice(_uneven_sets(demand, here, strict), COMBINATIONS)
        return
    smallest = demand.cells[-1]
    able: list[tuple[int, int]] = []
    for position, node in enumerate(here.nodes):
        fit = known[smallest, position] = fit_cell(demand, smallest, node, here.machine)
        if fit is not None and not (strict and fit.extra):
            able.append((fit.left, position))
    able.sort()
    for nodes in islice(combinations([position for _, position in able], len(demand.cells)), COMBINATIONS):
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
