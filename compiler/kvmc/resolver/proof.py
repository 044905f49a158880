"""Plain facts of capacity: sums and pigeonholes that no placement can beat. What they show is proven, whatever the search did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kvmc.model.site import L3
from kvmc.model.values import size_text
from kvmc.resolver.demand import Demand, fewest_cores
from kvmc.resolver.state import HostState, State


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


def shortage(demands: Iterable[Demand], state: State) -> str | None:
    """Why these guests can't all be placed into what `state` has free, or None where sums alone do not tell."""
    wanted = list(demands)
    for hosts in dict.fromkeys(tuple(demand.hosts) for demand in wanted):
        known = set(hosts)
        group = [demand for demand in wanted if set(demand.hosts) <= known]
        here = [state.hosts[host] for host in hosts]
        for kind in _kinds(group, here):
            fact = _sum(kind, len(group), hosts) or _pigeonhole(kind, hosts)
            if fact is not None:
                return fact
    return None


def _kinds(group: Sequence[Demand], hosts: Sequence[HostState]) -> Iterable[_Kind]:
    nodes = [node for host in hosts for node in host.nodes]
    smt = max((host.machine.smt for host in hosts), default=0)
    for size in dict.fromkeys(demand.pages_kib for demand in group if demand.pages_kib is not None):
        needs = [cell.memory_kib // size for demand in group if demand.pages_kib == size for cell in demand.cells]
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
    shared = [cell.vcpus for demand in group if not demand.dedicated for cell in demand.cells]
    yield _Kind("shared vCPUs", "node", shared, [node.shared for node in nodes])
    normal = [cell.normal_kib for demand in group for cell in demand.cells]
    yield _Kind("of normal memory", "node", normal, [node.normal for node in nodes], memory=True)
    pools: dict[str, list[int]] = {}
    for demand in group:
        mine: dict[str, int] = {}
        for _, pool in demand.devices:
            mine[pool] = mine.get(pool, 0) + 1
        for pool, number in mine.items():
            pools.setdefault(pool, []).append(number)
    for pool, needs in pools.items():
        yield _Kind(f"functions of `{pool}`", "host", needs, [_free(host, pool) for host in hosts])


def _free(host: HostState, pool: str) -> int:
    return sum(function.address not in host.used for function in host.machine.functions.get(pool, ()))


def _sum(kind: _Kind, guests: int, hosts: Sequence[str]) -> str | None:
    need, have = sum(kind.needs), sum(kind.have)
    if need <= have:
        return None
    who = "it needs" if guests == 1 else f"together {guests} guests need at least"
    return f"{who} {kind.text(need)} {kind.what}, {_names(hosts)} has {kind.text(have)} free"


def _pigeonhole(kind: _Kind, hosts: Sequence[str]) -> str | None:
    """The largest needs against the places that could hold the least of them."""
    largest = sorted((need for need in kind.needs if need), reverse=True)
    for number, least in enumerate(largest, 1):
        room = sum(have // least for have in kind.have)
        if number > room:
            return (
                f"{number} times at least {kind.text(least)} {kind.what} in one {kind.where} are needed, "
                f"{_names(hosts)} has room for that {room} times"
            )
    return None


def _names(hosts: Sequence[str]) -> str:
    return f"`{hosts[0]}`" if len(hosts) == 1 else f"all of {len(hosts)} hosts together"


def missing_fact(demands: Mapping[str, Demand], state: State) -> str | None:
    """The fact for those of the guests that `state` does not hold."""
    return shortage((demand for vm, demand in demands.items() if vm not in state.chosen), state)
