"""Placements decided anew, and kept as they were wherever that is as good."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from kvmc.diagnostics import Bag
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.resolver.leftover import quality, state_of
from kvmc.resolver.locks import HostLock
from kvmc.resolver.moves import Move, placement_moves, price
from kvmc.resolver.placement import Placement
from kvmc.resolver.solve import resolve
from kvmc.topology.fingerprint import fingerprint
from kvmc.topology.model import Topology

_TRIES = 64
"""Guests that are put back where they were on trial, at most."""


def replan(
    site: Site,
    topologies: Mapping[str, Topology],
    locks: Mapping[str, HostLock],
    vms: Collection[str],
    hosts: Collection[str],
    origins: Origins,
) -> tuple[Placement | None, Bag]:
    """A better placement of `vms`, and of all guests on `hosts`; every other guest stays.

    Where no better one is found, all stay. Else as few of them move as do, the dearest moves avoided first. A host in `hosts` is
    taken as its topology is now, whatever its lock says.
    """
    known = {
        host: replace(lock, fingerprint=fingerprint(topologies[host])) if host in hosts and host in topologies else lock
        for host, lock in locks.items()
    }
    free = {vm for host in hosts if host in known for vm in known[host].guests} | set(vms)
    placement, bag = resolve(site, topologies, _without(known, free), origins, search=True)
    if placement is None:
        return None, bag
    best = _quality(site, topologies, placement, origins)
    stay, told = resolve(site, topologies, known, origins, search=True)
    if stay is not None and _quality(site, topologies, stay, origins) <= best:
        return stay, told
    moves = _moves(known, placement, topologies)
    for vm in [move.vm for move in sorted(moves, key=lambda move: -move.cost.rank)][:_TRIES]:
        if vm not in free:
            continue
        again, found = resolve(site, topologies, _without(known, free - {vm}), origins, search=True)
        if again is None or _quality(site, topologies, again, origins) > best:
            continue
        fewer = _moves(known, again, topologies)
        if price(fewer) < price(moves):
            placement, bag, moves, free = again, found, fewer, free - {vm}
    return placement, bag


def _moves(locks: Mapping[str, HostLock], placement: Placement, topologies: Mapping[str, Topology]) -> Sequence[Move]:
    old = {vm: one.placement for lock in locks.values() for vm, one in lock.guests.items()}
    return placement_moves(old, placement, topologies)


def _without(locks: Mapping[str, HostLock], vms: Collection[str]) -> dict[str, HostLock]:
    return {
        host: replace(lock, guests={vm: one for vm, one in lock.guests.items() if vm not in vms})
        for host, lock in locks.items()
    }


def _quality(site: Site, topologies: Mapping[str, Topology], placement: Placement, origins: Origins) -> tuple[int, ...]:
    found = state_of(site, topologies, placement, origins)
    assert found is not None  # resolve gave it for this site
    return quality(*found)
