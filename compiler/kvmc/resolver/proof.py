"""Plain facts of capacity: sums and pigeonholes that no placement can beat. What they show is proven, whatever the search did."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from kvmc.model.site import L3
from kvmc.model.values import size_text
from kvmc.resolver.best import best_choice
from kvmc.resolver.demand import Demand, fewest_cores
from kvmc.resolver.state import HostState, State

Nodes = tuple[tuple[str, int], ...]
"""Nodes by host and position."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One resource. needs: one number a guest's cell; have: what each node (or L3, or pool) has free of it."""

    what: str
    where: str
    needs: Sequence[int]
    have: Sequence[int]
    memory: bool = False

    def text(self, number: int) -> str:
        return size_text(number) if self.memory else str(number)


def shortage(demands: Iterable[Demand], state: State, empty: State) -> str | None:
    """Why these guests can't all be placed into what `state` has free, or None where sums alone do not tell.

    Guests are counted together where the nodes that could hold any of them, were they empty, are the same or fewer.
    """
    known: dict[Hashable, Nodes] = {}
    reach: list[tuple[Demand, Nodes]] = []
    for demand in demands:
        key = _alike(demand)
        if key not in known:
            known[key] = _reach(demand, empty)
        reach.append((demand, known[key]))
    for nodes in dict.fromkeys(known.values()):
        inside = {mine for mine in dict.fromkeys(known.values()) if set(mine) <= set(nodes)}
        group = [demand for demand, mine in reach if mine in inside]
        for kind in _kinds(group, nodes, state):
            fact = _sum(kind, len(group), nodes, empty) or _pigeonhole(kind, nodes, empty)
            if fact is not None:
                return fact
    return None


def _alike(demand: Demand) -> Hashable:
    """What the nodes that could hold a guest depend on; the guest itself, where it is tied to more."""
    if demand.tied or demand.spread:
        return demand.vm
    return (
        *(demand.dedicated, demand.threads, demand.l3, demand.own, demand.pages_kib, demand.cores),
        *(demand.cells, tuple(pool for _, pool in demand.devices), id(demand.hosts.able)),
    )


def _reach(demand: Demand, empty: State) -> Nodes:
    """The nodes, by host and position, that could hold the guest if nothing else were there."""
    return tuple(
        (host, position)
        for host in demand.hosts
        for position in range(len(empty.hosts[host].nodes))
        if len(demand.cells) > 1 or best_choice(demand, empty, host, strict=False, only=(position,)) is not None
    )


def _kinds(group: Sequence[Demand], where: Nodes, state: State) -> Iterable[_Kind]:
    nodes = [state.hosts[host].nodes[position] for host, position in where]
    hosts = [state.hosts[host] for host in dict.fromkeys(host for host, _ in where)]
    smt = max((host.machine.smt for host in hosts), default=0)
    bound = [demand for demand in group if not demand.spread]
    for size in dict.fromkeys(demand.pages_kib for demand in bound if demand.pages_kib is not None):
        needs = [cell.memory_kib // size for demand in bound if demand.pages_kib == size for cell in demand.cells]
        yield _Kind(f"pages of {size_text(size)}", "node", needs, [node.pages.get(size, 0) for node in nodes])
    cores = [fewest_cores(demand, cell, smt) for demand in group for cell in demand.cells]
    yield _Kind("dedicated cores", "node", cores, [node.cores for node in nodes])
    one = [
        fewest_cores(demand, cell, smt) - demand.own
        for demand in group
        for cell in demand.cells
        if demand.dedicated and demand.l3 is L3.REQUIRE
    ]
    yield _Kind("dedicated cores", "L3", one, [free for node in nodes for free in node.free])
    shared = [demand.shared(cell) for demand in group for cell in demand.cells if demand.shared(cell)]
    yield _Kind("shared vCPUs", "node", shared, [node.shared for node in nodes])
    normal = [cell.normal_kib for demand in group for cell in demand.cells]
    yield _Kind("of normal memory", "node", normal, [node.normal for node in nodes], memory=True)
    if any(demand.tunes for demand in group):
        yield from _shares(group, hosts)
    pools: dict[str, list[int]] = {}
    for demand in group:
        mine: dict[str, int] = {}
        for _, pool in demand.devices:
            mine[pool] = mine.get(pool, 0) + 1
        for pool, number in mine.items():
            pools.setdefault(pool, []).append(number)
    for pool, needs in pools.items():
        yield _Kind(f"functions of `{pool}`", "host", needs, [_free(host, pool) for host in hosts])


def _shares(group: Sequence[Demand], hosts: Sequence[HostState]) -> Iterable[_Kind]:
    """Parts of L3 caches: each guest needs what it asks for of one of them at least, and a group."""
    rooms = [host.room for host in hosts if host.room is not None]
    groups = [1 for demand in group if demand.tunes]
    yield _Kind("groups of resctrl", "host", groups, [room.groups for room in rooms])
    kib = [demand.cachetune for demand in group if demand.cachetune]
    free = [ways * room.offer.way_bytes // 1024 for room in rooms for ways in room.ways.values()]
    yield _Kind("of L3 cache for guests alone", "L3", kib, free, memory=True)


def _free(host: HostState, pool: str) -> int:
    return sum(function.address not in host.used for function in host.machine.functions.get(pool, ()))


def _sum(kind: _Kind, guests: int, where: Nodes, empty: State) -> str | None:
    need, have = sum(kind.needs), sum(kind.have)
    if need <= have:
        return None
    who = "it needs" if guests == 1 else f"together {guests} guests need at least"
    return f"{who} {kind.text(need)} {kind.what}, {_names(where, empty)} has {kind.text(have)} free"


def _pigeonhole(kind: _Kind, where: Nodes, empty: State) -> str | None:
    """The largest needs against the places that could hold the least of them."""
    largest = sorted((need for need in kind.needs if need), reverse=True)
    for number, least in enumerate(largest, 1):
        room = sum(have // least for have in kind.have)
        if number > room:
            return (
                f"{number} times at least {kind.text(least)} {kind.what} in one {kind.where} are needed, "
                f"{_names(where, empty)} has room for that {room} times"
            )
    return None


def _names(where: Nodes, empty: State) -> str:
    """The hosts, or the nodes of one where not all of its nodes count."""
    hosts = list(dict.fromkeys(host for host, _ in where))
    if not hosts:
        return "no node"
    if len(hosts) > 1:
        return f"all that can hold them on {len(hosts)} hosts together"
    nodes = [empty.hosts[host].machine.nodes[position].node for host, position in where]
    if len(nodes) == len(empty.hosts[hosts[0]].nodes):
        return f"`{hosts[0]}`"
    return f"`{hosts[0]}` node {' and '.join(map(str, nodes))}"
