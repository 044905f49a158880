"""The search: all guests at once, hardest first, then repair by ejection; deterministic and bounded in counted steps.

A guest that finds no place takes that of the guests which were in the way least often so far, and they look for another
(ejection search with penalty counters, as Nagata and Braysy use it for vehicle routing, 2009). First no guest may be split over
L3s that could be avoided; what is left over then may.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations

from kvmc.model.site import L3, Threads
from kvmc.resolver.best import best_choice
from kvmc.resolver.board import Board, Item
from kvmc.resolver.demand import Demand, arrangements
from kvmc.resolver.index import Index
from kvmc.resolver.relations import blockers
from kvmc.resolver.shortfall import lacks_of, too_much
from kvmc.resolver.squeeze import squeeze
from kvmc.resolver.state import Choice, State
from kvmc.resolver.together import find_related, place_together, prefer

STEPS = 300
"""Places looked at while making room, at most, for each guest to be placed, in each of the two passes."""
_MOST_STEPS = 20_000
"""And for all of them."""
_NODES = 64
"""Nodes of a fleet looked at for making room once, at most."""


@dataclass(frozen=True, slots=True)
class Before:
    """Where a guest was until now: its host, and the positions of its nodes there if it can have as many again."""

    host: str
    nodes: tuple[int, ...] | None


def hardness(demand: Demand, order: int) -> tuple[int, ...]:
    """The sort key of the first attempt: devices, several nodes, one L3, then the largest first."""
    widest = max(cell.vcpus for cell in demand.cells) * (2 if demand.threads is Threads.ISOLATE else 1) + 2 * demand.own
    memory = max(cell.memory_kib for cell in demand.cells)
    return (
        not demand.devices,
        -len(demand.cells),
        demand.l3 is not L3.REQUIRE,
        not demand.dedicated,
        -widest,
        -memory,
        order,
    )


def search(
    demands: Mapping[str, Demand],
    wanted: Sequence[str],
    state: State,
    before: Mapping[str, Before],
    *,
    limit: int = _MOST_STEPS,
) -> list[str]:
    """Place `wanted` into `state`; those that found no place come back in the given order.

    Guests that `state` holds besides stay where they are. Optional guests are tried once all others have a place.
    limit: of the steps in all, where less than usual; then nothing is repacked.
    """
    work = _Search(demands, state, before)
    position = {vm: index for index, vm in enumerate(wanted)}
    order = sorted(wanted, key=lambda vm: hardness(demands[vm], position[vm]))
    needed = [vm for vm in order if demands[vm].weight is None]
    optional = [vm for vm in order if demands[vm].weight is not None]
    left = _place_all(work, needed, limit)
    prefer(work, needed)
    if not left and optional:
        left = _place_some(work, needed, sorted(optional, key=lambda vm: -(demands[vm].weight or 0)), limit)
    return sorted(left, key=lambda vm: position[vm])


def _place_some(work: _Search, needed: Sequence[str], optional: Sequence[str], limit: int) -> list[str]:
    """As many vCPUs of the optional guests as fit, those of more weight first; the others come back."""
    work.strict = {*needed, *optional}
    left = work.fill(optional)
    if left:
        left = work.squeeze([*needed, *optional])
    work.strict = set()
    left = work.fill(left)
    if left and not too_much(left, work.demands, work.state):
        work.cost = _weights([work.demands[vm] for vm in (*needed, *optional)])
        left = work.fill(work.repair(left, min(STEPS * len(left), limit)))
    return left


def _place_all(work: _Search, order: Sequence[str], limit: int) -> list[str]:
    """A place for every guest; those without one come back."""
    work.strict = set(order)
    left = work.fill(order)
    if not left:
        return []
    placed = work.snapshot(order)
    work.restore(order, {})
    hopeless = [vm for vm in left if work.find(vm, strict=False) is None]
    able = [vm for vm in order if vm not in hopeless]
    work.strict = {vm for vm in able if vm not in left or work.find(vm, strict=True)}
    steps = 0 if too_much(able, work.demands, work.state) else min(STEPS * len(able), limit)
    work.restore(order, placed)
    left = work.fill([vm for vm in left if vm not in hopeless])
    if left and steps and limit == _MOST_STEPS and work.strict.issuperset(left):
        left = work.squeeze(able)
    if left:
        left = work.repair(left, steps)
    if left:
        work.strict = set()
        left = work.fill(left)
    if left:
        left = work.fill(work.repair(left, steps))
    return [*hopeless, *left]


def _weights(demands: Sequence[Demand]) -> dict[str, int]:
    """What it costs to leave each guest out: its vCPUs; any guest of a higher rank costs more than all of the ranks below."""
    ranks = sorted({demand.weight for demand in demands if demand.weight is not None})
    base = 1 + sum(cell.vcpus for demand in demands for cell in demand.cells)
    return {
        demand.vm: sum(cell.vcpus for cell in demand.cells)
        * base ** (len(ranks) if demand.weight is None else ranks.index(demand.weight))
        for demand in demands
    }


@dataclass(slots=True)
class _Search:
    demands: Mapping[str, Demand]
    state: State
    before: Mapping[str, Before]
    strict: Set[str] = frozenset()
    penalty: dict[str, int] = field(default_factory=dict)
    residents: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    seed: int = 1
    index: Index | None = None
    cost: Mapping[str, int] | None = None
    """What it costs to leave each guest out, where that is more than its being one of them."""

    def find(self, vm: str, *, strict: bool) -> Choice | None:
        """The best choice over all hosts: where it was, then by score, then the first host."""
        demand = self.demands[vm]
        if demand.tied:
            return find_related(self, vm, strict=strict)
        was = self.before.get(vm)
        if was is not None:
            found = best_choice(demand, self.state, was.host, strict=strict)
            if found is not None and was.nodes is not None:
                found = best_choice(demand, self.state, was.host, strict=strict, only=was.nodes) or found
            if found is not None:
                return found[1]
        if self.index is None:
            self.index = Index(self.state)
        return self.index.best(demand, strict=strict)

    def put(self, vm: str, choice: Choice) -> None:
        self.state.place(self.demands[vm], choice)
        if self.index is not None:
            self.index.changed(choice.host)
        for cell in choice.cells:
            self.residents.setdefault((choice.host, cell.node), []).append(vm)

    def take(self, vm: str) -> Choice:
        choice = self.state.remove(self.demands[vm])
        if self.index is not None:
            self.index.changed(choice.host)
        for cell in choice.cells:
            self.residents[choice.host, cell.node].remove(vm)
        return choice

    def fill(self, order: Sequence[str]) -> list[str]:
        """Place each where it fits best now; those that don't fit come back."""
        left: list[str] = []
        for vm in order:
            if self.demands[vm].relations and place_together(self, vm, order):
                continue
            choice = self.find(vm, strict=vm in self.strict)
            if choice is None:
                left.append(vm)
            else:
                self.put(vm, choice)
        return left

    def squeeze(self, order: Sequence[str]) -> list[str]:
        """Pack a few L3s at a time anew; those without a place then come back."""
        board = Board(self.state)
        weights = _weights([self.demands[vm] for vm in order])
        items: list[Item] = []
        for vm in order:
            item = board.item(len(items), self.demands[vm], weights[vm])
            if item is not None:
                items.append(item)
        chosen = self.state.chosen
        start = {item.id: board.spot(chosen[item.demand.vm]) for item in items if item.demand.vm in chosen}
        where = squeeze(board, items, start)
        if sum(items[id].weight for id in where) <= sum(items[id].weight for id in start):
            return [vm for vm in order if vm not in chosen]
        moved = [item for item in items if where.get(item.id) != start.get(item.id)]
        before = {item.demand.vm: self.take(item.demand.vm) for item in moved if item.demand.vm in chosen}
        done: list[str] = []
        for item in moved:
            if item.id in where:
                choice = board.choice(item, where[item.id])
                if choice is None:  # the board counts functions; which ones they are came out wrong
                    for vm in done:
                        self.take(vm)
                    for vm, old in before.items():
                        self.put(vm, old)
                    break
                self.put(item.demand.vm, choice)
                done.append(item.demand.vm)
        return [vm for vm in order if vm not in chosen]

    def repair(self, left: Sequence[str], steps: int) -> list[str]:
        """Make room for those left, until all are placed or the steps are spent; then the best state so far holds."""
        movable = {vm for vms in self.residents.values() for vm in vms} | set(left)
        stack = list(reversed(left))
        stuck: list[str] = []
        best = (self._weight(left), self.snapshot(movable), list(left))
        while stack and steps > 0:
            vm = stack.pop()
            choice = self.find(vm, strict=vm in self.strict)
            steps -= len(self.demands[vm].hosts)
            if choice is not None:
                self.put(vm, choice)
            else:
                self.penalty[vm] = self.penalty.get(vm, 1) + 1
                room, spent = self._room(vm, steps)
                steps -= spent
                if room is None:
                    stuck.append(vm)
                    continue
                victims, choice = room
                for victim in victims:
                    self.take(victim)
                self.put(vm, choice)
                stack.extend(victims)
            weight = self._weight((*stack, *stuck))
            if weight < best[0]:
                best = (weight, self.snapshot(movable), [*stack, *stuck])
        if stack or stuck:
            self.restore(movable, best[1])
            return best[2]
        return []

    def _weight(self, vms: Sequence[str]) -> tuple[int, int]:
        if self.cost is not None:
            return sum(self.cost[vm] for vm in vms), len(vms)
        return len(vms), sum(cell.vcpus for vm in vms for cell in self.demands[vm].cells)

    def snapshot(self, movable: Collection[str]) -> dict[str, Choice]:
        """Where these are now, as far as they have a place."""
        known = set(movable)
        return {vm: choice for vm, choice in self.state.chosen.items() if vm in known}

    def restore(self, movable: Collection[str], choices: Mapping[str, Choice]) -> None:
        """Take all these away and put back those that have a choice."""
        for vm in self.snapshot(movable):
            self.take(vm)
        for vm, choice in choices.items():
            self.put(vm, choice)

    def _chance(self, number: int) -> int:
        """The next of a fixed row of numbers below `number`: breaks ties without always going the same way."""
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.seed >> 33) % number

    def _room(self, vm: str, limit: int) -> tuple[tuple[tuple[str, ...], Choice] | None, int]:
        """The cheapest guests to move out for this one, and its place then; and the steps spent."""
        demand = self.demands[vm]
        best: tuple[int, int] | None = None
        found: tuple[tuple[str, ...], Choice] | None = None
        spent = ties = 0
        for host, nodes in self._regions(demand):
            for victims in self._victims(demand, host, nodes):
                spent += 1
                if spent > limit:
                    return found, spent
                cost = (sum(self.penalty.get(one, 1) for one in victims), len(victims))
                if best is not None and cost > best:
                    continue
                if best is not None and cost == best:
                    ties += 1
                    if self._chance(ties + 1):
                        continue
                choice = self._without(demand, victims, host, nodes)
                if choice is None:
                    continue
                if best is None or cost < best:
                    ties = 0
                best, found = cost, (victims, choice)
        return found, max(spent, 1)

    def _regions(self, demand: Demand) -> list[tuple[str, tuple[int, ...]]]:
        """Sets of nodes that could hold the guest if they were empty enough; a bounded part of a large fleet."""
        regions: list[tuple[str, tuple[int, ...]]] = []
        for host in demand.hosts:
            count = len(self.state.hosts[host].nodes)
            if count >= len(demand.cells):
                for number, nodes in enumerate(arrangements(demand.cells, range(count))):
                    if number == _NODES:
                        break
                    regions.append((host, nodes))
        if len(regions) > _NODES:
            start = self._chance(len(regions))
            regions = [regions[(start + index) % len(regions)] for index in range(_NODES)]
        return regions

    def _victims(self, demand: Demand, host: str, nodes: tuple[int, ...]) -> Iterator[tuple[str, ...]]:
        """Sets of guests on these nodes to try without: those that must go in any case, with none, one or two others, then as
        many as it takes."""
        forced: list[str] = []
        for claim in demand.hosts[host]:
            holder = self.state.claims.get(claim)
            if holder is not None and holder not in forced:
                forced.append(holder)
        forced += [one for one in blockers(demand, self.state, host, nodes) if one not in forced]
        if any(not self._movable(one) for one in forced):
            return
        here = list(
            dict.fromkeys(vm for node in nodes for vm in self.residents.get((host, node), ()) if vm not in forced)
        )
        if forced:
            yield tuple(forced)
        lacks = lacks_of(demand, self.state.hosts[host], nodes)
        useful = [vm for vm in here if any(self._gives(vm, demand, kind) for kind in lacks)] if lacks else here
        for number in (1, 2):
            for some in combinations(useful, number):
                if all(
                    sum(self._gives(vm, demand, kind) for vm in (*forced, *some)) >= need
                    for kind, need in lacks.items()
                ):
                    yield (*forced, *some)
        yield from self._many(demand, host, nodes, forced, useful)

    def _movable(self, vm: str) -> bool:
        choice = self.state.chosen.get(vm)
        return choice is not None and vm in self.residents.get((choice.host, choice.cells[0].node), ())

    def _many(
        self, demand: Demand, host: str, nodes: tuple[int, ...], forced: Sequence[str], useful: Sequence[str]
    ) -> Iterator[tuple[str, ...]]:
        """Those least in the way so far, until the guest fits; then without those that needn't have gone."""
        order = sorted(useful, key=lambda vm: self.penalty.get(vm, 1))
        for number in range(3, len(order) + 1):
            if self._without(demand, (*forced, *order[:number]), host, nodes) is None:
                continue
            chosen = order[:number]
            for vm in list(reversed(chosen)):
                fewer = [one for one in chosen if one != vm]
                if self._without(demand, (*forced, *fewer), host, nodes) is not None:
                    chosen = fewer
            yield (*forced, *chosen)
            return

    def _gives(self, vm: str, demand: Demand, kind: str) -> int:
        other = self.demands[vm]
        if kind == "cores":
            return (
                sum(take.cores for cell in self.state.chosen[vm].cells for take in cell.takes)
                + len(other.cells) * other.own
            )
        if kind == "pages":
            return sum(cell.memory_kib for cell in other.cells) if other.pages_kib == demand.pages_kib else 0
        if kind == "normal":
            return sum(cell.normal_kib for cell in other.cells)
        return sum(other.shared(cell) for cell in other.cells)

    def _without(self, demand: Demand, victims: Sequence[str], host: str, nodes: tuple[int, ...]) -> Choice | None:
        taken = [(vm, self.state.remove(self.demands[vm])) for vm in victims]
        found = best_choice(demand, self.state, host, strict=demand.vm in self.strict, only=nodes)
        for vm, choice in taken:
            self.state.place(self.demands[vm], choice)
        return found[1] if found else None
