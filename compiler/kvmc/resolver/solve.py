"""Placement of a whole site: what is locked stays, the search places the rest, and every failure is told with its numbers."""

from __future__ import annotations

from collections.abc import Mapping

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import artifacts as lock_codes
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet
from kvmc.model.origins import Origins
from kvmc.model.site import Emulator, Site, Vm
from kvmc.resolver.demand import fewest_cores
from kvmc.resolver.explain import explain
from kvmc.resolver.keep import Kept, keep
from kvmc.resolver.locks import HostLock
from kvmc.resolver.memory import iothreads
from kvmc.resolver.pins import owned, settle
from kvmc.resolver.placement import GuestPlacement, Placement
from kvmc.resolver.search import Before, search
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
    """Place every guest. Without `search` only what the locks hold counts, and a guest without a valid entry is an error."""
    kept, bag = keep(site, topologies, locks, origins)
    if kept is None:
        return None, bag
    if kept.missing and not search:
        for vm, why in kept.missing.items():
            bag.error(
                lock_codes.LOCK_MISSING,
                f"`{vm}` has no valid placement in the locks: {why}",
                origins.label(("vm", vm)),
                help=("`kvmc build` without `--locked` places it and writes the lock",),
            )
        return None, bag
    placement, found = solve(site, kept, origins)
    bag.extend(found)
    if placement is not None:
        tell_broken(kept, origins, bag)
    return placement, bag


def tell_broken(kept: Kept, origins: Origins, bag: Bag) -> None:
    """Note each guest that has to move: its locked placement no longer holds, and why."""
    for vm, why in kept.missing.items():
        if vm in kept.before:
            bag.error(lock_codes.PLACED_ANEW, f"`{vm}` is placed anew: {why}", origins.label(("vm", vm)))


def solve(site: Site, kept: Kept, origins: Origins) -> tuple[Placement | None, Bag]:
    """Place the guests that are missing among those that are kept; None where one found no place."""
    bag = Bag()
    state = State(kept.machines)
    for vm, choice in kept.choices.items():
        state.place(kept.demands[vm], choice)
    left = search(kept.demands, list(kept.missing), state, _before(kept))
    if left:
        empty = State(kept.machines)
        facts = _facts(kept)
        for vm in left:
            explain(kept.demands[vm], state, empty, facts, origins, bag)
        return None, bag
    busy = dict.fromkeys(kept.machines, CpuSet())
    for vm, guest in kept.guests.items():
        demand = kept.demands[vm]
        busy[guest.host] |= owned(guest, dedicated=demand.dedicated, own=demand.own)
    guests: dict[str, GuestPlacement] = {}
    for vm, demand in kept.demands.items():
        if vm in kept.guests:
            guests[vm] = kept.guests[vm]
        else:
            host = state.chosen[vm].host
            guests[vm], busy[host] = settle(
                demand, state.chosen[vm], kept.machines[host], busy[host], kept.before.get(vm)
            )
    placement = Placement({name: machine.pools for name, machine in kept.machines.items()}, guests)
    _check_budget(site, placement, origins, bag)
    return placement, bag


def _facts(kept: Kept) -> tuple[str, ...]:
    """What to know beside each guest's own reasons: whether all guests together are too much, and how many do not move."""
    facts: list[str] = []
    have = sum(len(slot.cores) for one in kept.machines.values() for cpus in one.nodes for slot in cpus.slots)
    smt = max((machine.smt for machine in kept.machines.values()), default=0)
    need = sum(fewest_cores(demand, cell, smt) for demand in kept.demands.values() for cell in demand.cells)
    if need > have:
        facts.append(f"all guests of the site need at least {need} dedicated cores, all hosts have {have}")
    if kept.guests:
        facts.append(f"the locked places of {counted(len(kept.guests), 'guest')} stay")
    return tuple(facts)


def _before(kept: Kept) -> dict[str, Before]:
    found: dict[str, Before] = {}
    for vm, guest in kept.before.items():
        machine = kept.machines.get(guest.host)
        if machine is None:
            continue
        position = {cpus.node: index for index, cpus in enumerate(machine.nodes)}
        nodes = tuple(sorted({position[cell.node] for cell in guest.cells if cell.node in position}))
        found[vm] = Before(guest.host, nodes if len(nodes) == len(kept.demands[vm].cells) else None)
    return found


def housekeeping_threads(vm: Vm) -> int:
    """Threads that the guest runs on housekeeping CPUs: QEMU's main loop, I/O threads, and a vhost thread for each queue of
    each virtio NIC. None with an emulator on its own cores: vhost threads inherit its mask."""
    if vm.emulator is Emulator.OWN:
        return 0
    return 1 + iothreads(vm) + sum(nic.queues or 1 for nic in vm.nics.values() if nic.network is not None)


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
