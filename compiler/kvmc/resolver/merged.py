"""Locks that two branches brought together: which entries stay where several claim the same, by the order they were placed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kvmc.diagnostics import Bag
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.resolver.demand import Demand, derive_demands
from kvmc.resolver.locks import HostLock
from kvmc.resolver.machines import derive_machines
from kvmc.resolver.pins import owned
from kvmc.resolver.placement import GuestPlacement
from kvmc.resolver.state import State
from kvmc.resolver.still import Broken, still_holds
from kvmc.topology.model import Topology


def without_newer(
    site: Site, topologies: Mapping[str, Topology], locks: Mapping[str, HostLock], origins: Origins
) -> dict[str, HostLock]:
    """The locks without the entries that claim what an older one has: CPUs, devices, room of a node, or the guest itself.

    Older is who has the lower number in its entry; of two with one number, who comes first in the source.
    """
    machines, _ = derive_machines(site, topologies, origins)
    if machines is None:
        return dict(locks)
    demands = derive_demands(site, {name: machine.kinds for name, machine in machines.items()}, origins, Bag())
    order = {vm: index for index, vm in enumerate(site.vms)}
    entries = sorted(
        (one.placed, order[vm], host, vm)
        for host, lock in locks.items()
        for vm, one in lock.guests.items()
        if vm in demands
    )
    state = State(machines)
    owners: set[tuple[str, object]] = set()
    dropped: set[tuple[str, str]] = set()
    for _, _, host, vm in entries:
        demand, entry = demands[vm], locks[host].guests[vm].placement
        alone = still_holds(demand, entry, machines.get(host), None)
        if isinstance(alone, Broken):
            continue  # the next build places it anew in any case
        guest, choice = alone
        claimed = _claims(demand, guest)
        held = vm in state.chosen or bool(claimed & owners) or any(c in state.claims for c in demand.hosts[host])
        if demand.relations:
            held = held or isinstance(still_holds(demand, entry, machines[host], state), Broken)
        if not held:
            state.place(demand, choice)
            held = _overfull(state, host)
            if held:
                state.remove(demand)
        if held:
            dropped.add((host, vm))
        else:
            owners |= claimed
    return {
        host: replace(lock, guests={vm: one for vm, one in lock.guests.items() if (host, vm) not in dropped})
        for host, lock in locks.items()
    }


def _claims(demand: Demand, guest: GuestPlacement) -> set[tuple[str, object]]:
    cpus = owned(guest, demand)
    return {(guest.host, cpu) for cpu in cpus} | {(guest.host, address) for address in guest.devices.values()}


def _overfull(state: State, host: str) -> bool:
    room = state.hosts[host].room
    return (room is not None and any(True for _ in room.overfull())) or any(
        node.normal < 0 or node.shared < 0 or any(free < 0 for free in node.pages.values())
        for node in state.hosts[host].nodes
    )
