"""Exact search with OR-Tools CP-SAT (the extra `kvmc[exact]`): finds a placement of all guests, or proves that there is none.

One worker and a limit in CP-SAT's deterministic time, so the answer is the same each time. The model has what the search has: cells
on nodes, vCPUs in slots as whole cores, pages, normal memory, shared CPUs, device functions with their IOMMU groups, guests kept
apart. Guests that the state holds stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ortools.sat.python import cp_model

from kvmc.model.site import L3, MemoryMode, Near, Threads
from kvmc.model.values import PciAddress
from kvmc.resolver.demand import Claim, Demand, MemoryCell, alike
from kvmc.resolver.exact_relations import relate, unmet
from kvmc.resolver.near import near_nodes, package_nodes
from kvmc.resolver.spread import interleaved, of_kind, share, stores_of
from kvmc.resolver.state import CellChoice, Choice, HostState, Machine, NodeState, State, Take

LIMIT = 30.0
"""Deterministic time, about seconds, until the question stays open."""
_BETTER = 2.0
"""And to spread the guests over fewer L3s, then to meet what is preferred, once there is a placement."""
MOST = 150_000
"""Nodes and L3s, for each guest those that it may lie on, until the question stays open."""


@dataclass(frozen=True, slots=True)
class Answer:
    """choices: of every guest, where a placement exists. proven: that it does or does not; else a limit was reached."""

    choices: Mapping[str, Choice] | None
    proven: bool
    reached: str = ""
    """The limit, in words."""


def decide(demands: Sequence[Demand], state: State, limit: float = LIMIT) -> Answer:
    """Place all of these beside the guests that the state holds."""
    large = too_large(demands, state)
    if large is not None:
        return Answer(None, proven=False, reached=large)
    ordered = any(len(demand.cells) > 1 for demand in demands)
    model, solver, status = _solve(demands, state, limit, ordered=ordered)
    if status == cp_model.INFEASIBLE and ordered:
        # Cells that are alike in all but the guest's own overhead were laid in the nodes' order.
        model, solver, status = _solve(demands, state, limit, ordered=False)
    if status == cp_model.INFEASIBLE:
        return Answer(None, proven=True)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Answer(None, proven=False, reached=f"its limit of {limit:g}")
    found = model.choices(solver)
    return Answer(model.better(solver) or found, proven=True)


def too_large(demands: Sequence[Demand], state: State) -> str | None:
    """Says so where there is more to look at than the exact search takes on: the model alone would take minutes."""
    ways = {name: sum(1 + len(node.slots) for node in host.nodes) for name, host in state.hosts.items()}
    number = sum(len(demand.cells) * sum(ways[host] for host in demand.hosts) for demand in demands)
    return f"its limit of {MOST} nodes and L3s to try for all guests, there are {number}" if number > MOST else None


def _solve(
    demands: Sequence[Demand], state: State, limit: float, *, ordered: bool
) -> tuple[Model, cp_model.CpSolver, object]:
    model = Model(state, ordered=ordered)
    for demand in demands:
        model.model.add_exactly_one(model.add(demand))
    model.close()
    solver = a_solver(limit)
    return model, solver, solver.solve(model.model)


def a_solver(limit: float) -> cp_model.CpSolver:
    """One worker, and the same answer each time."""
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = limit
    return solver


@dataclass(slots=True)
class _Cell:
    """One cell on one node. slots: vCPUs, cores and the emulator's own core of each slot. used: whether it has cores of a slot."""

    at: Any
    slots: dict[int, tuple[Any, Any, Any]]
    used: dict[int, Any]


class Model:
    """Guests as CP-SAT sees them; on: whether a guest goes to a host, by (guest, host).

    ordered: cells of a guest that are alike lie in the order of the nodes, which leaves fewer ways to look at.
    """

    def __init__(self, state: State, *, ordered: bool = True) -> None:
        self.state = state
        self.ordered = ordered
        self.model = cp_model.CpModel()
        self.demands: list[Demand] = []
        self.on: dict[tuple[str, str], Any] = {}
        self.cells: dict[tuple[str, str], list[dict[int, _Cell]]] = {}
        self.functions: dict[tuple[str, str], list[tuple[tuple[str, str], PciAddress, Any]]] = {}
        self.uses: dict[tuple[Any, ...], list[tuple[Any, int]]] = {}
        self.room: dict[tuple[Any, ...], int] = {}
        self.claims: dict[Claim, list[Any]] = {}
        self.memory: dict[tuple[str, str], list[dict[int, Any]]] = {}
        self.spread: list[Any] = []
        self.far: list[Any] = []
        self.alone: dict[tuple[str, str], list[dict[int, Any]]] = {}
        self.caches: dict[tuple[str, str, int], Any] = {}

    def add(self, demand: Demand) -> list[Any]:
        """A guest's variables on every host that may have it: whether it goes there, of each."""
        self.demands.append(demand)
        able = []
        for name in demand.hosts:
            claims = demand.hosts[name]
            if any(claim in self.state.claims for claim in claims):
                continue
            on = self.model.new_bool_var("")
            self.on[demand.vm, name] = on
            able.append(on)
            for claim in claims:
                self.claims.setdefault(claim, []).append(on)
            self._on_host(demand, name, on)
        return able

    def close(self) -> None:
        """What all guests share; once, after the last of them."""
        for key, uses in self.uses.items():
            self.model.add(sum(amount * number for amount, number in uses) <= self.room[key])
        for holders in self.claims.values():
            self.model.add_at_most_one(holders)
        relate(self)

    def _use(self, key: tuple[Any, ...], room: int, amount: Any, number: int = 1) -> None:
        self.room[key] = room
        self.uses.setdefault(key, []).append((amount, number))

    def _on_host(self, demand: Demand, name: str, on: Any) -> None:
        here = self.state.hosts[name]
        cells: list[dict[int, _Cell]] = []
        for index, cell in enumerate(demand.cells):
            places: dict[int, _Cell] = {}
            for position, node in enumerate(here.nodes):
                at = self.model.new_bool_var("")
                places[position] = _Cell(at, {}, {})
                key = (name, position)
                self._use((*key, "normal"), max(node.normal, 0), at, cell.normal_kib)
                if demand.pages_kib is not None and not demand.spread:
                    size = demand.pages_kib
                    self._use((*key, size), node.pages.get(size, 0), at, cell.memory_kib // size)
                if demand.shared(cell):
                    self._use((*key, "shared"), max(node.shared, 0), at, demand.shared(cell))
                self._cores(demand, cell.vcpus, node, key, here.machine, places[position])
                if demand.tunes:
                    self._caches(demand, key, here, places[position], floats=bool(demand.shared(cell)))
            self.model.add(sum(place.at for place in places.values()) == on)
            if index and self.ordered and alike(demand.cells[index - 1], cell):
                before = cells[-1]
                for position, place in places.items():
                    self.model.add(sum(before[p].at for p in before if p < position) >= place.at)
            cells.append(places)
        if len(cells) > 1:
            for position in range(len(here.nodes)):
                self.model.add_at_most_one(places[position].at for places in cells)
        self.cells[demand.vm, name] = cells
        if demand.tunes and here.room is not None:
            self._use((name, "groups"), max(here.room.groups, 0), on)
        if demand.spread:
            self._memory(demand, name, here, on)
        if demand.devices:
            self._devices(demand, name, here, on)
        self.alone[demand.vm, name] = [self._alone(cell, name, here, cells, on) for cell in demand.memory_cells]
        for store in range(len(here.stores)):
            self.model.add_at_most_one(there[store] for there in self.alone[demand.vm, name] if store in there)
        for close in demand.close:
            there = near_nodes(close, here.machine)
            spots = [index for index, cpus in enumerate(here.machine.nodes) if cpus.node in there]
            near = [places[spot].at for places in cells for spot in spots]
            if close.required:
                self.model.add(sum(near) >= on)
            else:
                self._wish(on, near)

    def _wish(self, wished: Any, near: Sequence[Any]) -> None:
        """Where `wished` holds, one of `near` should."""
        far = self.model.new_bool_var("")
        self.model.add(far >= wished - sum(near))
        self.far.append(far)

    def _alone(
        self, cell: MemoryCell, name: str, here: HostState, cells: Sequence[dict[int, _Cell]], on: Any
    ) -> dict[int, Any]:
        """Whether a node without vCPUs is on each of the host's nodes of its kind: one that has none of the guest's other nodes."""
        found: dict[int, Any] = {}
        for store in stores_of(cell, here.machine, ()):
            found[store] = there = self.model.new_bool_var("")
            self._use((name, store, "normal"), max(here.stores[store].normal, 0), there, cell.memory_kib)
            self.model.add_at_most_one([there, *(places[store].at for places in cells if store in places)])
        self.model.add(sum(found.values()) == on)
        return found

    def _memory(self, demand: Demand, name: str, here: HostState, on: Any) -> None:
        """Memory of cells that is not bound to their nodes: units of each cell on each node."""
        unit = demand.pages_kib or 1
        over = interleaved(here.machine)
        if demand.kind is not None:
            self.memory[demand.vm, name] = [
                self._of_kind(demand, index, name, here, on) for index in range(len(demand.cells))
            ]
            return
        found: list[dict[int, Any]] = []
        for cell in demand.cells:
            parts: dict[int, Any] = {}
            for position, node in enumerate(here.nodes):
                free = node.pages.get(unit, 0) if demand.pages_kib is not None else max(node.normal, 0)
                key = (name, position, demand.pages_kib or "normal")
                if demand.numatune is MemoryMode.INTERLEAVE:
                    if position in over:
                        parts[position] = share(demand, cell, len(over)) // unit * on
                elif free:
                    parts[position] = self.model.new_int_var(0, free, "")
                if position in parts:
                    self._use(key, free, parts[position])
            if demand.numatune is not MemoryMode.INTERLEAVE:
                self.model.add(sum(parts.values()) == cell.memory_kib // unit * on)
            elif not over:
                self.model.add(on == 0)
            found.append(parts)
        self.memory[demand.vm, name] = found

    def _of_kind(self, demand: Demand, index: int, name: str, here: HostState, on: Any) -> dict[int, Any]:
        """Units of a cell's memory on the one node of its kind that has it."""
        unit = demand.pages_kib or 1
        need = demand.cells[index].memory_kib // unit
        places = self.cells[demand.vm, name][index]
        taken: dict[int, Any] = {}
        for store, node in enumerate(here.stores):
            near = [place.at for at, place in places.items() if store in of_kind(demand, here.machine, at)]
            if not near:
                continue
            there = self.model.new_bool_var("")
            self.model.add(sum(near) >= there)
            free = node.pages.get(unit, 0) if demand.pages_kib is not None else max(node.normal, 0)
            self._use((name, store, demand.pages_kib or "normal"), free, there, need)
            taken[store] = there
        self.model.add(sum(taken.values()) == on)
        return {store: need * there for store, there in taken.items()}

    def _cores(
        self, demand: Demand, vcpus: int, node: NodeState, key: tuple[str, int], machine: Machine, place: _Cell
    ) -> None:
        """vCPUs of a cell in each slot. A core is whole the guest's; at most one is used in part, with `prefer` alone."""
        model, at = self.model, place.at
        partial: list[Any] = []
        used: list[Any] = []
        for index, (slot, free) in enumerate(zip(node.slots, node.free, strict=True)):
            held: Any = 0
            cores: Any = 0
            per = machine.vcpus_a_core(demand, slot)
            if demand.dedicated and per and free and (slot.l3_known or demand.l3 is not L3.REQUIRE):
                held, cores = model.new_int_var(0, min(vcpus, free * per), ""), model.new_int_var(0, free, "")
                empty = model.new_int_var(0, per - 1 if demand.threads is Threads.PREFER else 0, "")
                model.add(held == cores * per - empty)
                part, some = model.new_bool_var(""), model.new_bool_var("")
                model.add(empty <= per * part)
                model.add(cores <= free * some)
                partial.append(part)
                used.append(some)
                place.used[index] = some
                self.spread.append(some)
                self._use((*key, "slot", index), free, cores)
            own: Any = 0
            if demand.own and free:
                own = model.new_bool_var("")
                self._use((*key, "slot", index), free, own)
            place.slots[index] = (held, cores, own)
        if demand.dedicated:
            model.add(sum(held for held, _, _ in place.slots.values()) == vcpus * at)
            model.add(sum(partial) <= 1)
            if demand.l3 is L3.REQUIRE:
                model.add(sum(used) <= 1)
        if demand.own:
            model.add(sum(own for _, _, own in place.slots.values()) == at)

    def _caches(self, demand: Demand, key: tuple[str, int], here: HostState, place: _Cell, *, floats: bool) -> None:
        """The L3 caches that a cell's vCPUs run on have room for what the guest asks of each, which counts once."""
        name, position = key
        room = here.room
        assert room is not None, "a host that offers none is not among the guest's"
        slots = here.nodes[position].slots
        runs = [(slots[index].l3, some) for index, some in place.used.items()]
        runs += [(l3, place.at) for l3 in sorted(room.offer.floating[position])] if floats else []
        for l3, some in runs:
            if l3 not in room.ways:
                self.model.add(some == 0)
                continue
            on = self.caches.get((demand.vm, name, l3))
            if on is None:
                on = self.caches[demand.vm, name, l3] = self.model.new_bool_var("")
                self._use((name, "ways", l3), max(room.ways[l3], 0), on, room.offer.ways_for(demand.cachetune))
                self._use(
                    (name, "percent", l3), max(room.percent[l3], 0), on, room.offer.percent_for(demand.memorytune)
                )
            self.model.add_implication(some, on)

    def _devices(self, demand: Demand, name: str, here: HostState, on: Any) -> None:
        taken: list[tuple[tuple[str, str], PciAddress, Any]] = []
        position = {cpus.node: index for index, cpus in enumerate(here.machine.nodes)}
        mine: dict[PciAddress, list[Any]] = {}
        groups: dict[PciAddress, Sequence[PciAddress]] = {}
        for key, pool in demand.devices:
            some: list[Any] = []
            for function in here.machine.functions.get(pool, ()):
                if any(address in here.used for address in function.group):
                    continue
                must = demand.near_of(key) is Near.REQUIRE
                spots = [function.node] if must and function.node is not None else []
                if spots and key in demand.package:
                    spots = list(package_nodes(here.machine, spots))
                spots = [position[node] for node in spots if node in position]
                if must and function.node is not None and not spots:
                    continue
                take = self.model.new_bool_var("")
                if spots:
                    near = [cells[spot].at for cells in self.cells[demand.vm, name] for spot in spots]
                    self.model.add(sum(near) >= take)
                if demand.near_of(key) is Near.PREFER and function.node is not None:
                    self._wish(
                        take,
                        [cells[position[function.node]].at for cells in self.cells[demand.vm, name]]
                        if function.node in position
                        else [],
                    )
                self._use((name, function.address), 1, take)
                mine.setdefault(function.address, []).append(take)
                groups[function.address] = function.group
                taken.append((key, function.address, take))
                some.append(take)
            self.model.add(sum(some) == on)
        for address, group in groups.items():
            for other in group:
                self.model.add(sum(mine.get(other, [])) >= sum(mine[address]))
        for first, second in demand.beside:
            at = {key: [(f, take) for k, f, take in taken if k == key] for key in (first, second)}
            root = {one.address: one.root for ones in here.machine.functions.values() for one in ones}
            for where in dict.fromkeys(root[address] for address, _ in at[first]):
                there = sum(take for address, take in at[second] if where is not None and root[address] == where)
                self.model.add(sum(take for address, take in at[first] if root[address] == where) <= there)
        self.functions[demand.vm, name] = taken

    def _goes(self, vm: str, host: str, solver: cp_model.CpSolver) -> bool:
        return (vm, host) in self.on and bool(solver.value(self.on[vm, host]))

    def places(self, vm: str, host: str) -> Iterator[tuple[int, _Cell]]:
        """Each cell of a guest on each node of a host, by the node's position."""
        for places in self.cells[vm, host]:
            yield from places.items()

    def better(self, solver: cp_model.CpSolver) -> dict[str, Choice] | None:
        """With the fewest slots under cells, then the most of what is preferred, starting from what was found; as far as the limit
        goes."""
        proto = self.model.proto
        for index in range(len(proto.variables)):
            variable = self.model.get_int_var_from_proto_index(index)
            self.model.add_hint(variable, solver.value(variable))
        missed = [*unmet(self), *self.far]
        self.model.minimize(sum(self.spread) * (1 + len(self.demands) * len(missed)) + sum(missed))
        solver.parameters.max_deterministic_time = _BETTER
        return self.choices(solver) if solver.solve(self.model) in (cp_model.OPTIMAL, cp_model.FEASIBLE) else None

    def choices(self, solver: cp_model.CpSolver) -> dict[str, Choice]:
        found: dict[str, Choice] = {}
        for demand in self.demands:
            name = next((one for one in demand.hosts if self._goes(demand.vm, one, solver)), None)
            if name is None:
                continue
            cells = []
            for index, places in enumerate(self.cells[demand.vm, name]):
                position, place = next((p, one) for p, one in places.items() if solver.value(one.at))
                takes = tuple(
                    Take(slot, solver.value(held), solver.value(cores))
                    for slot, (held, cores, _) in place.slots.items()
                    if demand.dedicated and solver.value(held)
                )
                own = next((slot for slot, (_, _, own) in place.slots.items() if solver.value(own)), None)
                unit = demand.pages_kib or 1
                parts = self.memory[demand.vm, name][index] if demand.spread else {}
                held_there = ((node, int(solver.value(amount)) * unit) for node, amount in parts.items())
                memory = tuple((node, kib) for node, kib in held_there if kib)
                cells.append(CellChoice(position, takes, own, memory))
            devices = tuple(
                (key, address) for key, address, take in self.functions.get((demand.vm, name), ()) if solver.value(take)
            )
            stores = tuple(
                next(store for store, there in one.items() if solver.value(there))
                for one in self.alone[demand.vm, name]
            )
            found[demand.vm] = Choice(name, tuple(cells), devices, stores)
        return found
