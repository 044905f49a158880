"""Relations that depend on where in a host a guest lies, or on where others do: what they leave of a host, and whether they hold.

Guests that are apart across hosts or racks, and must be, are told by claims alone (`Hosts`). All other relations are here: together
in any domain, apart across a part of a host, and all that are only preferred. They speak of where vCPUs run, not of QEMU's own
threads. Where a topology does not tell packages or L3 caches, what is not known to be apart counts as together, and the reverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice

from kvmc.model.site import Domain
from kvmc.resolver.choices import COMBINATIONS, Fit, Score, fit_cell, node_spread, pick_devices, with_own
from kvmc.resolver.demand import Cell, Demand, Relation, arrangements
from kvmc.resolver.near import far_devices, not_close, on_roots
from kvmc.resolver.spread import distance, far_alone, lay_alone, lay_memory
from kvmc.resolver.state import (
    CellChoice,
    Choice,
    Groups,
    HostState,
    Machine,
    NodeState,
    State,
    Take,
    domains,
    node_domains,
)


def held_by_others(demand: Demand, relation: Relation, groups: Groups) -> dict[str, frozenset[str]]:
    """The domains of each other guest of the relation that has a place."""
    return {vm: held for vm, held in groups.get(relation.place, {}).items() if vm != demand.vm}


def broken(demand: Demand, machine: Machine, choice: Choice, groups: Groups) -> tuple[Relation, str] | None:
    """A relation that must hold and does not where the guest is at this choice, and who it does not hold with (itself, where it is
    not in one domain)."""
    for relation in demand.relations:
        if relation.required:
            other = _breaks(demand, relation, domains(machine, relation, choice.cells), groups)
            if other is not None:
                return relation, other
    return None


def _breaks(demand: Demand, relation: Relation, mine: frozenset[str], groups: Groups) -> str | None:
    if relation.together and len(mine) > 1:
        return demand.vm
    for vm, held in held_by_others(demand, relation, groups).items():
        if held != mine if relation.together else held & mine:
            return vm
    return None


def unmet(demand: Demand, machine: Machine, cells: Sequence[CellChoice], groups: Groups) -> int:
    """With how many guests a preferred relation is not met, over all of them."""
    number = 0
    for relation in demand.relations:
        if not relation.required:
            mine = domains(machine, relation, cells)
            for held in held_by_others(demand, relation, groups).values():
                number += held != mine if relation.together else bool(held & mine)
            number += relation.together and len(mine) > 1
    return number


def blockers(demand: Demand, state: State, host: str, nodes: Sequence[int]) -> list[str]:
    """Guests that must go before this one can be on these nodes, whatever else is free there."""
    machine = state.hosts[host].machine
    found: dict[str, None] = {}
    for relation in demand.relations:
        if not relation.required:
            continue
        mine = {one for node in nodes for one in node_domains(machine, relation, node)}
        for vm, held in held_by_others(demand, relation, state.groups).items():
            if not held & mine if relation.together else held & mine and relation.domain is not Domain.L3:
                found[vm] = None
    return list(found)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What is left of a host. nodes: positions. hidden: slots that its vCPUs must keep off, by node; wished: slots that they
    should keep off too."""

    nodes: tuple[int, ...]
    hidden: Mapping[int, frozenset[int]]
    wished: Mapping[int, frozenset[int]]


def _bounds(demand: Demand, state: State, here: HostState) -> _Bounds | None:
    machine = here.machine
    nodes = list(range(len(here.nodes)))
    hidden: dict[int, frozenset[int]] = {}
    wished: dict[int, frozenset[int]] = {}
    for relation in demand.relations:
        others = held_by_others(demand, relation, state.groups)
        if not others:
            continue
        taken = frozenset().union(*others.values())
        if relation.domain is Domain.L3:
            target = hidden if relation.required else wished
            for node in nodes:
                slots = [domains(machine, relation, [_slot(node, slot)]) for slot in range(len(here.nodes[node].slots))]
                off = {slot for slot, held in enumerate(slots) if bool(held & taken) != relation.together}
                target[node] = target.get(node, frozenset()) | off
        elif relation.required:
            nodes = [node for node in nodes if _may(relation, node_domains(machine, relation, node), taken)]
    if demand.tunes and here.room is not None:
        for node in nodes:
            full = frozenset(
                index for index, slot in enumerate(here.nodes[node].slots) if not here.room.has(demand, slot.l3)
            )
            hidden[node] = hidden.get(node, frozenset()) | full
    if not nodes:
        return None
    return _Bounds(tuple(nodes), hidden, {node: off | hidden.get(node, frozenset()) for node, off in wished.items()})


def _may(relation: Relation, mine: frozenset[str], taken: frozenset[str]) -> bool:
    return mine <= taken if relation.together else not mine & taken


def _slot(node: int, slot: int) -> CellChoice:
    return CellChoice(node, (Take(slot, 1, 1),), None)


def best_related(
    demand: Demand, state: State, host: str, *, strict: bool, only: tuple[int, ...] | None
) -> tuple[Score, Choice] | None:
    """As `best_choice` for a guest with relations: preferred ones come after the L3s that could be avoided."""
    here = state.hosts[host]
    bounds = _bounds(demand, state, here)
    if bounds is None:
        return None
    best: tuple[Score, Choice] | None = None
    for nodes in _node_sets(demand, here, bounds, only):
        ids = [here.machine.nodes[position].node for position in nodes]
        if demand.close and not_close(demand, here.machine, ids, required=True):
            continue
        devices = pick_devices(demand, here, ids)
        stores = lay_alone(demand, here, nodes)
        if devices is None or stores is None:
            continue
        for hidden in (bounds.wished, bounds.hidden) if bounds.wished else (bounds.hidden,):
            fits = [
                _fit(demand, cell, here.nodes[node], here.machine, hidden.get(node, frozenset()))
                for cell, node in zip(demand.cells, nodes, strict=True)
            ]
            found = [fit for fit in fits if fit is not None and not (strict and fit.extra)]
            if len(found) < len(fits):
                continue
            memory = lay_memory(demand, here, nodes) if demand.spread else ((),) * len(nodes)
            if memory is None:
                continue
            cells = tuple(
                CellChoice(node, fit.takes, fit.own, parts)
                for node, fit, parts in zip(nodes, found, memory, strict=True)
            )
            choice = Choice(host, cells, devices, stores)
            if broken(demand, here.machine, choice, state.groups) is not None:
                continue
            if demand.tunes and not (here.room is not None and here.room.holds(demand, choice, here.machine)):
                continue
            score = (
                sum(fit.extra for fit in found),
                unmet(demand, here.machine, cells, state.groups)
                + (demand.polled and not here.machine.host.vswitch_cores)
                + len(far_devices(demand, here, devices, ids))
                + len(not_close(demand, here.machine, ids, required=False))
                + max(len(on_roots(demand, here, devices)) - 1, 0),
                sum(here.nodes[node].devices for node in nodes) if not demand.devices else 0,
                node_spread(here, nodes)
                + (distance(demand, here, memory, nodes) if demand.spread else 0)
                + far_alone(here.machine, nodes, stores),
                sum(fit.left for fit in found),
                sum(here.nodes[node].cores if demand.dedicated else -here.nodes[node].shared for node in nodes),
                here.cores,
            )
            if best is None or score < best[0]:
                best = (score, choice)
    return best


def _node_sets(
    demand: Demand, here: HostState, bounds: _Bounds, only: tuple[int, ...] | None
) -> Iterator[tuple[int, ...]]:
    if only is not None:
        if set(only) <= set(bounds.nodes):
            yield only
        return
    whole = [relation for relation in demand.relations if relation.together and relation.required]
    sets = (
        nodes
        for nodes in arrangements(demand.cells, bounds.nodes)
        if all(
            len({one for node in nodes for one in node_domains(here.machine, relation, node)}) == 1
            for relation in whole
            if relation.domain is Domain.PACKAGE
        )
    )
    yield from islice(sets, COMBINATIONS)


def _fit(demand: Demand, cell: Cell, node: NodeState, machine: Machine, hidden: frozenset[int]) -> Fit | None:
    """A cell's place off the hidden slots; its emulator's own core may be on them."""
    if not hidden:
        return fit_cell(demand, cell, node, machine)
    left = copy(node)
    left.free = [0 if slot in hidden else free for slot, free in enumerate(node.free)]
    left.cores = sum(left.free)
    fit = fit_cell(replace(demand, own=False), cell, left, machine)
    return fit if fit is None or not demand.own else with_own(demand, node, fit.takes, fit.extra)
