"""Placement of a whole site: what is locked stays, the search places the rest, and every failure is told with its numbers."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts as lock_codes
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import Emulator, MemoryMode, Site, Vm
from kvmc.model.values import size_text
from kvmc.resolver.keep import Kept, keep
from kvmc.resolver.locks import HostLock
from kvmc.resolver.memory import iothreads
from kvmc.resolver.pins import owned, settle
from kvmc.resolver.placement import GuestPlacement, Placement
from kvmc.resolver.state import State
from kvmc.topology.model import Topology


def resolve(
    site: Site,
    topologies: Mapping[str, Topology],
    locks: Mapping[str, HostLock],
    origins: Origins,
    *,
    search: bool,
) -> tuple[Placement | None, Bag]:
    """Place every guest that is not optional, and as many of the others as fit. Without `search`
    only what the locks hold counts, and a guest without a valid entry is an error."""
    collecting = gc.isenabled()
    gc.disable()  # nothing here is cyclic, and with a fleet's many values collecting takes a quarter of the time
    try:
        return _resolve(site, topologies, locks, origins, search=search)
    finally:
        if collecting:
            gc.enable()


def _resolve(
    site: Site, topologies: Mapping[str, Topology], locks: Mapping[str, HostLock], origins: Origins, *, search: bool
) -> tuple[Placement | None, Bag]:
    kept, bag = keep(site, topologies, locks, origins)
    if kept is None:
        return None, bag
    needed = {vm: why for vm, why in kept.missing.items() if kept.demands[vm].weight is None}
    if needed and not search:
        for vm, why in needed.items():
            bag.error(
                lock_codes.LOCK_MISSING,
                f"`{vm}` has no valid placement in the locks: {why}",
                origins.label(("vm", vm)),
                help=("`kvmc build` without `--locked` places it and writes the lock",),
            )
        return None, bag
    if not search:
        if kept.missing:
            from kvmc.resolver.missing import tell_unplaced

            tell_unplaced(kept.missing, {}, "", (), origins, bag)
        kept = replace(
            kept, missing={}, demands={vm: one for vm, one in kept.demands.items() if vm not in kept.missing}
        )
    placement, found = solve(site, topologies, kept, origins)
    bag.extend(found)
    if placement is not None and search and any(host.host_failures for host in site.hosts.values()):
        from kvmc.resolver.failures import check_failures

        bag.extend(check_failures(site, kept, placement, origins))
        if bag.has_errors:
            return None, bag
    if placement is not None:
        tell_broken(kept, origins, bag)
    return placement, bag


def tell_broken(kept: Kept, origins: Origins, bag: Bag) -> None:
    """Note each guest that has to move: its locked placement no longer holds, and why."""
    for vm, why in kept.missing.items():
        if vm in kept.before:
            bag.error(lock_codes.PLACED_ANEW, f"`{vm}` is placed anew: {why}", origins.label(("vm", vm)))


def solve(site: Site, topologies: Mapping[str, Topology], kept: Kept, origins: Origins) -> tuple[Placement | None, Bag]:
    """Place the guests that are missing among those that are kept; None where one that must have a place found none.

    Only guests without a place need the search, so only they pay for importing it.
    """
    bag = Bag()
    state = State(kept.machines)
    for vm, choice in kept.choices.items():
        state.place(kept.demands[vm], choice)
    unplaced: list[str] = []
    if kept.missing:
        from kvmc.resolver.missing import place_missing

        unplaced, found = place_missing(site, topologies, kept, state, origins)
        bag.extend(found)
        if bag.has_errors:
            return None, bag
    if any(demand.tied for demand in kept.demands.values()):
        from kvmc.resolver.wishes import tell_unmet

        tell_unmet(state, kept.demands, origins, bag)
    if any(demand.cachetune for demand in kept.demands.values()):
        from kvmc.resolver.scatter import tell_scattered

        tell_scattered(state, kept.demands, origins, bag)
    busy = dict.fromkeys(kept.machines, CpuSet())
    for vm, guest in kept.guests.items():
        demand = kept.demands[vm]
        busy[guest.host] |= owned(guest, demand)
    guests: dict[str, GuestPlacement] = {}
    for vm, demand in kept.demands.items():
        if vm in unplaced:
            continue
        if vm in kept.guests:
            guests[vm] = kept.guests[vm]
        else:
            host = state.chosen[vm].host
            guests[vm], busy[host] = settle(
                demand, state.chosen[vm], kept.machines[host], busy[host], kept.before.get(vm)
            )
    _tell_drained(site, guests, origins, bag)
    placement = Placement({name: machine.pools for name, machine in kept.machines.items()}, guests)
    _tell_far(site, placement, origins, bag)
    _check_budget(site, placement, origins, bag)
    return placement, bag


def housekeeping_threads(vm: Vm) -> int:
    """Threads that the guest runs on housekeeping CPUs: QEMU's main loop, I/O threads, and a vhost thread for each queue of
    each virtio NIC. None with an emulator on its own cores: vhost threads inherit its mask."""
    if vm.emulator is Emulator.OWN:
        return 0
    return 1 + iothreads(vm) + sum(nic.queues or 1 for nic in vm.nics.values() if nic.network is not None)


def _tell_drained(site: Site, guests: Mapping[str, GuestPlacement], origins: Origins, bag: Bag) -> None:
    """What is still to be moved off a drained host."""
    for host in site.hosts.values():
        here = [vm for vm, guest in guests.items() if guest.host == host.name] if host.drained else []
        if here:
            shown = ", ".join(f"`{vm}`" for vm in here[:6]) + (f" and {len(here) - 6} more" if len(here) > 6 else "")
            bag.error(
                codes.DRAINED,
                f"`{host.name}` is drained and still has {counted(len(here), 'guest')}: {shown}",
                origins.label(("host", host.name, "drained")),
                help=(f"`kvmc replan --host {host.name}` moves them",),
            )


def _tell_far(site: Site, placement: Placement, origins: Origins, bag: Bag) -> None:
    """Warn of memory that is not where its guest prefers it: the node has too little beside the other guests."""
    for guest in placement.guests.values():
        vm = site.vms[guest.vm]
        if vm.numatune is not MemoryMode.PREFERRED:
            continue
        for cell in guest.cells:
            near = sum(kib for node, kib in cell.memory if node == cell.node)
            if near == cell.memory_kib:
                continue
            rest = " and ".join(f"{size_text(kib)} on node {node}" for node, kib in cell.memory if node != cell.node)
            others = [
                f"`{other.vm}`"
                for other in placement.guests.values()
                if other.host == guest.host
                and site.vms[other.vm].numatune is MemoryMode.STRICT
                and any(one.node == cell.node for one in other.cells)
            ]
            first = f"if it starts before {', '.join(others[:6])}"
            note = f"{first}, which must have memory of node {cell.node}, it takes some of theirs"
            bag.error(
                codes.MEMORY_FAR,
                f"`{guest.vm}` prefers {size_text(cell.memory_kib)} of node {cell.node} of `{guest.host}`, which has "
                f"{size_text(near)} for it: {rest}",
                origins.label(("vm", guest.vm, "numatune")) or origins.label(("vm", guest.vm)),
                notes=(note,) if others else (),
                help=("ask for less `memory`, or `numatune = strict` for a place that holds all of it",),
            )


def _check_budget(site: Site, placement: Placement, origins: Origins, bag: Bag) -> None:
    threads = dict.fromkeys(placement.pools, 0)
    for guest in placement.guests.values():
        threads[guest.host] += housekeeping_threads(site.vms[guest.vm])
    for name, pools in placement.pools.items():
        host = site.hosts[name]
        allowed = len(pools.housekeeping) * host.housekeeping_threads
        if threads[name] > allowed:
            bag.error(
                codes.HOUSEKEEPING_BUDGET,
                f"`{name}` runs {threads[name]} emulator, I/O and vhost threads on {len(pools.housekeeping)} housekeeping CPUs, "
                f"{allowed} are budgeted",
                origins.label(("host", name)),
                secondary=[label]
                if (label := origins.label(("host", name, "housekeeping", "threads"), "the budget"))
                else (),
                help=("give `housekeeping` more cores, or raise its `threads`",),
            )
