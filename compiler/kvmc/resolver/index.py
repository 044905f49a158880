"""Which host is best for a guest, without a look at every host each time.

Guests that are alike share one table: the best choice on each host in a heap, looked at anew only where the host has changed since.
Hosts that are alike and empty are looked at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field

from kvmc.resolver.best import best_choice
from kvmc.resolver.choices import Score
from kvmc.resolver.demand import Demand
from kvmc.resolver.state import Choice, Machine, State


@dataclass(slots=True)
class _Table:
    """found: the best choice on each host at the version it was looked at. seen: how far the log of changes was read."""

    heap: list[tuple[Score, int, int]] = field(default_factory=list)
    found: dict[int, tuple[int, Choice]] = field(default_factory=dict)
    seen: int = 0
    first: bool = True


class Index:
    """Over the hosts of a state; every place and removal must be told by `changed`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.names = list(state.hosts)
        self.position = {name: index for index, name in enumerate(self.names)}
        self.version = [0] * len(self.names)
        self.log: list[int] = []
        self.tables: dict[Hashable, _Table] = {}
        kinds: dict[Hashable, int] = {}
        self.kind = [kinds.setdefault(_shape(host.machine), len(kinds)) for host in state.hosts.values()]
        self.empty = [True] * len(self.names)
        for choice in state.chosen.values():
            self.empty[self.position[choice.host]] = False

    def changed(self, host: str) -> None:
        index = self.position[host]
        self.version[index] += 1
        self.empty[index] = False
        self.log.append(index)

    def best(self, demand: Demand, *, strict: bool) -> Choice | None:
        """The choice with the least score over all hosts, the first host of several."""
        table = self._table(demand, strict)
        claims = self.state.claims
        held: list[tuple[Score, int, int]] = []
        choice: Choice | None = None
        while table.heap:
            entry = table.heap[0]
            _, host, version = entry
            if version != self.version[host]:
                heapq.heappop(table.heap)
                continue
            if demand.hosts.apart and any(claim in claims for claim in demand.hosts[self.names[host]]):
                held.append(heapq.heappop(table.heap))
                continue
            choice = table.found[host][1]
            break
        for entry in held:
            heapq.heappush(table.heap, entry)
        return choice

    def _table(self, demand: Demand, strict: bool) -> _Table:
        key = (
            *(
                strict,
                demand.dedicated,
                demand.threads,
                demand.l3,
                demand.own,
                demand.pages_kib,
                demand.cores,
                demand.numatune,
                demand.kind,
            ),
            *(demand.cells, demand.devices, id(demand.hosts.able)),
        )
        table = self.tables.setdefault(key, _Table())
        if table.first:
            hosts = [self.position[name] for name in demand.hosts.able]
            table.first = False
        else:
            able = demand.hosts.able
            hosts = [host for host in dict.fromkeys(self.log[table.seen :]) if self.names[host] in able]
        table.seen = len(self.log)
        alike: dict[int, tuple[Score, Choice] | None] = {}
        for host in hosts:
            name = self.names[host]
            if self.empty[host] and self.kind[host] in alike and not demand.devices:
                found = alike[self.kind[host]]
                if found is not None:
                    found = (found[0], found[1]._replace(host=name))
            else:
                found = best_choice(demand, self.state, name, strict=strict, claims=False)
                if self.empty[host]:
                    alike[self.kind[host]] = found
            if found is not None:
                table.found[host] = (self.version[host], found[1])
                heapq.heappush(table.heap, (found[0], host, self.version[host]))
        return table


def _shape(machine: Machine) -> Hashable:
    """What makes two empty hosts alike."""
    return (
        tuple(
            (
                cpus.node,
                cpus.floats,
                tuple((slot.threads, len(slot.cores), slot.l3_known, slot.kind) for slot in cpus.slots),
            )
            for cpus in machine.nodes
        ),
        tuple((tuple(memory.pages.items()), memory.normal_kib) for memory in machine.memory),
        tuple((one.node, one.kind, one.memory.normal_kib) for one in machine.stores),
        tuple((node, tuple(row.items())) for node, row in machine.distances.items()),
        tuple(tuple(one.node for one in functions) for functions in machine.functions.values()),
    )
