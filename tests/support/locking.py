"""Locks of a placement, with made-up identities."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from kvmc.model.values import PciAddress
from kvmc.resolver.locks import HostLock, Identity, next_locks
from kvmc.resolver.placement import Placement
from kvmc.topology.model import Topology


def identity_of(vm: str) -> Identity:
    return Identity(
        uuid=str(uuid.uuid5(uuid.NAMESPACE_DNS, vm)),
        macs={"eth0": "52:54:00:aa:bb:cc"},
        addresses={"disk root": PciAddress(0, 4, 0, 0)},
        targets={"root": "vda"},
    )


def locks_of(
    placement: Placement, topologies: Mapping[str, Topology], old: Mapping[str, HostLock] | None = None
) -> Mapping[str, HostLock]:
    return next_locks(placement, {vm: identity_of(vm) for vm in placement.guests}, topologies, old or {})
