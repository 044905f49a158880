"""What a placement leaves: how good it is, and CPUs and pages that no guest can use any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from kvmc.diagnostics import Bag
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.model.values import PageCount
from kvmc.resolver.demand import Demand, Relation, derive_demands, fewest_cores
from kvmc.resolver.machines import derive_machines
from kvmc.resolver.placement import Placement
from kvmc.resolver.relations import unmet
from kvmc.resolver.state import Choice, HostState, State
from kvmc.resolver.still import Broken, still_holds
from kvmc.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Stranded:
    """Something of a node that is free and of no use: how much of what, and why."""

    host: str
    node: int
    what: str
    why: str


def state_of(
    site: Site, topologies: Mapping[str, Topology], placement: Placement, origins: Origins
) -> tuple[State, dict[str, Demand]] | None:
    """What is free beside a placement, and what each guest needs; None where it is none of this site's."""
    machines, _ = derive_machines(site, topologies, origins)
    if machines is None:
        return None
    demands = derive_demands(site, {name: machine.kinds for name, machine in machines.items()}, origins, Bag())
    state = State(machines)
    for vm, guest in placement.guests.items():
        found = still_holds(demands[vm], guest, machines.get(guest.host), state)
        if isinstance(found, Broken):
            return None
        state.place(demands[vm], found[1])
    return state, demands


def quality(state: State, demands: Mapping[str, Demand]) -> tuple[int, ...]:
    """Less is better: guests on drained hosts, L3s beyond the fewest, preferred relations that are not met, nodes with devices that
    are not needed, distance, cores that are stranded; then small holes (the squares of what is free
    in each L3, and in each node, negative: one large hole beats two)."""
    parts = [measure(demands[vm], choice, state.hosts[choice.host]) for vm, choice in state.chosen.items()]
    extra, near, far = (sum(part[index] for part in parts) for index in range(3))
    wishes = sum(len(missed) for _, missed in unmet_wishes(state, demands))
    spare = sum(_spare(host, _smallest(demands, host)) for host in state.hosts.values())
    nodes = [node for host in state.hosts.values() for node in host.nodes]
    holes = sum(free * free for node in nodes for free in node.free)
    away = sum(state.hosts[choice.host].machine.host.drained for choice in state.chosen.values())
    return away, extra, wishes, near, far, spare, -holes, -sum(node.cores * node.cores for node in nodes)


def unmet_wishes(state: State, demands: Mapping[str, Demand]) -> list[tuple[Relation, list[str]]]:
    """Preferred relations that are not met, each with the guests that do not meet it with some other."""
    found: dict[Relation, list[str]] = {}
    for vm, choice in state.chosen.items():
        demand = demands[vm]
        for relation in demand.relations:
            if not relation.required and unmet(
                replace(demand, relations=(relation,)), state.hosts[choice.host].machine, choice.cells, state.groups
            ):
                found.setdefault(relation, []).append(vm)
    return list(found.items())


def measure(demand: Demand, choice: Choice, host: HostState) -> tuple[int, int, int]:
    """How good a guest's place is by itself: the first three of `quality`."""
    ids = [host.machine.nodes[cell.node].node for cell in choice.cells]
    return (
        sum(_extra(demand, choice, index, host) for index in range(len(choice.cells))),
        0 if demand.devices else sum(host.nodes[cell.node].devices for cell in choice.cells),
        sum(host.machine.distances.get(a, {}).get(b, 0) for a, b in combinations(ids, 2)),
    )


def _extra(demand: Demand, choice: Choice, index: int, host: HostState) -> int:
    """L3s of a cell beyond the fewest of its node that would hold it."""
    takes = choice.cells[index].takes
    if len(takes) < 2:
        return 0
    slots = host.nodes[choice.cells[index].node].slots
    most = sorted(
        (len(slot.cores) * host.machine.vcpus_a_core(demand, slot) for slot in slots),
        reverse=True,
    )
    held = 0
    for number, capacity in enumerate(most, 1):
        held += capacity
        if held >= demand.cells[index].vcpus:
            return len(takes) - number
    return 0


def _smallest(demands: Mapping[str, Demand], host: HostState) -> int:
    """The fewest cores that a dedicated guest of the site takes in a node."""
    smt = host.machine.smt
    return min(
        (fewest_cores(demand, cell, smt) for demand in demands.values() if demand.dedicated for cell in demand.cells),
        default=1,
    )


def _spare(host: HostState, smallest: int) -> int:
    return sum(free for node in host.nodes for free in node.free if free < smallest)


def stranded(state: State, demands: Mapping[str, Demand], placement: Placement) -> tuple[Stranded, ...]:
    """Host by host, node by node: idle siblings, cores in L3s too small for any guest of the site, cores without memory, and pages
    without CPUs."""
    found: list[Stranded] = []
    for name, host in state.hosts.items():
        smallest = _smallest(demands, host)
        for cpus, node in zip(host.machine.nodes, host.nodes, strict=True):
            mine = {cpu for slot in cpus.slots for core in slot.cores for cpu in core}
            idle = [
                cpu for guest in placement.guests.values() if guest.host == name for cpu in guest.idle if cpu in mine
            ]
            pages = [PageCount(number, size) for size, number in node.pages.items() if number]
            offers = any(count.number for count in host.machine.host.pages)
            if idle:
                found.append(Stranded(name, cpus.node, f"{len(idle)} CPUs", "idle siblings of their guests' cores"))
            small = sum(free for free in node.free if free < smallest)
            if small:
                why = f"in L3s with fewer than {smallest} free cores, the fewest that a guest of the site takes"
                found.append(Stranded(name, cpus.node, f"{small} cores", why))
            if node.cores > small and offers and not pages:
                found.append(
                    Stranded(name, cpus.node, f"{node.cores - small} cores", "no huge page of the node is free")
                )
            if pages and not node.cores and not node.shared:
                what = ", ".join(map(str, pages))
                found.append(Stranded(name, cpus.node, f"pages {what}", "no CPU of the node is free"))
    return tuple(found)
