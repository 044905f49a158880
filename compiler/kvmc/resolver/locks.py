"""`locks/<host>.json`: the last placement of a host and the identities of its guests; committed, sorted, one file a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kvmc.model.values import PciAddress
from kvmc.resolver.placement import GuestPlacement


@dataclass(frozen=True, slots=True)
class Identity:
    """What a guest is known by, inside and outside; never changes by itself.

    macs: by NIC label. addresses: guest PCI addresses by device (`disk root`, `nic eth0`, `hostdev gpu`, `scsi`, `balloon`,
    `rng`). targets: guest disk names by disk label.
    """

    uuid: str
    macs: Mapping[str, str]
    addresses: Mapping[str, PciAddress]
    targets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GuestLock:
    """What stays of a guest from build to build."""

    placement: GuestPlacement
    identity: Identity


@dataclass(frozen=True, slots=True)
class HostLock:
    """One host. fingerprint: sha256 over what placement depends on in its topology. retired: guests that were here, name to
    uuid, until they come back."""

    host: str
    fingerprint: str
    guests: Mapping[str, GuestLock]
    retired: Mapping[str, str]
