"""A site with something taken away or changed, and whether it fits: what explanations are made of, bounded in counted steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kvmc.diagnostics import Bag
from kvmc.model.origins import Origins
from kvmc.model.site import Domain, Host, Site, Vm
from kvmc.resolver.demand import Demand, derive_demands, only_hosts
from kvmc.resolver.keep import Kept
from kvmc.resolver.machines import derive_machine
from kvmc.resolver.placement import GuestPlacement
from kvmc.resolver.proof import shortage
from kvmc.resolver.refusals import drained
from kvmc.resolver.search import Before, search
from kvmc.resolver.state import Machine, State
from kvmc.resolver.still import Broken, still_holds
from kvmc.topology.model import Topology

STEPS = 40_000
"""Guests placed in all trials of one explanation, at most."""
LIMIT = 500
"""Places that one trial looks at while making room, at most."""
_PROVEN = 64
"""Guests whose sums are looked at before any of them is placed, at most."""
_ANY_VCPUS = 8
"""vCPUs a node of a guest that is counted without its CPUs: whole cores of every known kind."""
_NOWHERE = Origins({})


@dataclass(frozen=True, slots=True)
class Variant:
    """A site as it would be. locked: guests that stay where they are locked. no_cpus, no_memory: guests that take none."""

    site: Site
    locked: frozenset[str] = frozenset()
    no_cpus: frozenset[str] = frozenset()
    no_memory: frozenset[str] = frozenset()

    def with_vms(self, vms: Iterable[Vm]) -> Variant:
        """The same with these guests alone, in their order; places keep those of their guests that are there."""
        known = {vm.name: vm for vm in vms}
        places = {
            name: place.model_copy(update={"vms": tuple(vm for vm in place.vms if vm in known)})
            for name, place in self.site.places.items()
        }
        return replace(self, site=self.site.model_copy(update={"vms": known, "places": places}))

    def only(self, names: Iterable[str]) -> Variant:
        wanted = set(names)
        return self.with_vms(vm for vm in self.site.vms.values() if vm.name in wanted)


def before_of(kept: Kept) -> dict[str, Before]:
    """Where the guests that are to be placed were, as far as their hosts are still there."""
    found: dict[str, Before] = {}
    for vm, guest in kept.before.items():
        machine = kept.machines.get(guest.host)
        if machine is None:
            continue
        position = {cpus.node: index for index, cpus in enumerate(machine.nodes)}
        nodes = tuple(dict.fromkeys(position[cell.node] for cell in guest.cells if cell.node in position))
        found[vm] = Before(guest.host, nodes if len(nodes) == len(kept.demands[vm].cells) else None)
    return found


@dataclass(frozen=True, slots=True)
class Fitted:
    """A variant that fits: every guest's need and place."""

    demands: Mapping[str, Demand]
    machines: Mapping[str, Machine]
    state: State


@dataclass(slots=True)
class Trials:
    """Tries variants of one site.

    guests: where guests are locked; before: where others were. steps: what is left of the budget; behind it nothing fits.
    """

    topologies: Mapping[str, Topology]
    guests: Mapping[str, GuestPlacement]
    before: Mapping[str, Before] = field(default_factory=dict)
    steps: int = STEPS
    machines: dict[str, list[tuple[Host, Machine | None]]] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        return self.steps <= 0

    def fits(self, variant: Variant, *, limit: int = LIMIT) -> bool:
        return self.solve(variant, limit=limit) is not None

    def solve(self, variant: Variant, *, limit: int = LIMIT) -> Fitted | None:
        """All guests of the variant in their places; None where they find none, or where the steps are spent."""
        if self.spent:
            return None
        self.steps -= 1 + len(variant.site.vms)
        machines = self.derive(variant.site)
        if machines is None:
            return None
        demands = self.demands(variant, machines)
        if demands is None:
            return None
        state = State(machines)
        missing: list[str] = []
        for vm, demand in demands.items():
            entry = self.guests.get(vm) if vm in variant.locked else None
            found = still_holds(demand, entry, machines.get(entry.host), state) if entry is not None else None
            if found is None or isinstance(found, Broken):
                missing.append(vm)
            else:
                state.place(demand, found[1])
        if away := drained(variant.site):
            demands |= only_hosts(demands, missing, away)
        if len(missing) <= _PROVEN and shortage([demands[vm] for vm in missing], state, State(machines)) is not None:
            return None
        was = {vm: _was(self.before[vm], demands[vm]) for vm in missing if vm in self.before}
        left = search(demands, missing, state, was, limit=limit)
        lacking = any(demands[vm].weight is None for vm in left)
        return None if lacking else Fitted(demands, machines, state)

    def demands(self, variant: Variant, machines: Mapping[str, Machine]) -> dict[str, Demand] | None:
        """What each guest of the variant needs; None where one of them can't be at all."""
        bag = Bag()
        site = variant.site
        if variant.no_cpus:
            vms = {
                vm.name: vm.model_copy(update=_any_vcpus(vm)) if vm.name in variant.no_cpus else vm
                for vm in site.vms.values()
            }
            site = site.model_copy(update={"vms": vms})
        demands = derive_demands(site, {name: machine.kinds for name, machine in machines.items()}, _NOWHERE, bag)
        if bag.has_errors:
            return None
        for vm in (*variant.no_cpus, *variant.no_memory):
            if vm in demands:
                demands[vm] = _without(demands[vm], cpus=vm in variant.no_cpus, memory=vm in variant.no_memory)
        return demands

    def derive(self, site: Site) -> dict[str, Machine] | None:
        """The hosts of a site, each derived once; None where one can't be."""
        found: dict[str, Machine] = {}
        for host in site.hosts.values():
            known = self.machines.setdefault(host.name, [])
            machine = next((made for same, made in known if same is host or same == host), _UNKNOWN)
            if isinstance(machine, _Unknown):
                machine, bag = derive_machine(host, self.topologies[host.name], _NOWHERE)
                if bag.has_errors:
                    machine = None
                known.append((host, machine))
            if machine is None:
                return None
            found[host.name] = machine
        return found


def _was(before: Before, demand: Demand) -> Before:
    """Its nodes count only while it has as many."""
    same = before.nodes is not None and len(before.nodes) == len(demand.cells)
    return before if same else Before(before.host, None)


def _any_vcpus(vm: Vm) -> dict[str, object]:
    """As many vCPUs in each node as fill whole cores of any kind."""
    cells = {
        name: cell.model_copy(update={"vcpus": _ANY_VCPUS}) if cell.vcpus else cell for name, cell in vm.cells.items()
    }
    return {"vcpus": (sum(1 for cell in cells.values() if cell.vcpus) or vm.nodes) * _ANY_VCPUS, "cells": cells}


class _Unknown:
    pass


_UNKNOWN = _Unknown()


def _without(demand: Demand, *, cpus: bool, memory: bool) -> Demand:
    """The need without one or the other. Who has no vCPUs is in no L3, so that nobody can be in one with him."""
    cells = tuple(
        replace(
            cell,
            vcpus=0 if cpus else cell.vcpus,
            floating=0 if cpus else cell.floating,
            memory_kib=0 if memory else cell.memory_kib,
            normal_kib=0 if memory else cell.normal_kib,
        )
        for cell in demand.cells
    )
    return replace(
        demand,
        cells=cells,
        memory_cells=() if memory else demand.memory_cells,
        dedicated=demand.dedicated and not cpus,
        own=demand.own and not cpus,
        pages_kib=None if memory else demand.pages_kib,
        relations=tuple(one for one in demand.relations if not cpus or one.domain is not Domain.L3),
    )
