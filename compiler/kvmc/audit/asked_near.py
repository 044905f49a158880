"""Devices that a guest is to be near without owning them, and its own devices on one root complex."""

from __future__ import annotations

from collections.abc import Iterator

from kvmc.audit.asked_devices import root_of, same_package
from kvmc.audit.context import Context
from kvmc.audit.difference import Difference
from kvmc.audit.domain import Domain
from kvmc.audit.nodes import home_nodes
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Host, Locality, Near, NearDevice, Strength, Vm
from kvmc.model.values import PciAddress


def near(context: Context, host: Host, vm: Vm, domain: Domain) -> Iterator[Difference]:
    """Wishes are not judged, they may have had no room."""
    nodes = home_nodes(context, domain)
    for one in vm.nears.values():
        if one.strength is not Strength.REQUIRE or context.topology.pci is None or not nodes:
            continue
        found = [context.device(address) for address in _addresses(host, one)]
        there = {device.node for device in found if device is not None}
        if not there:
            yield Difference(domain.head, f"asks to be near `{one.name}`, and host `{host.name}` has no such device")
        elif None not in there and not any(
            node in nodes or (one.within is Locality.PACKAGE and same_package(context, node, nodes))
            for node in there
            if node is not None
        ):
            is_on = CpuSet.of(node for node in there if node is not None)
            yield Difference(
                domain.head, f"asks to be near `{one.name}`, which is on node {is_on}, and is on node {nodes}"
            )
    if vm.beside is Near.REQUIRE:
        roots = [root_of(context, function.value) for function in domain.functions]
        if len(roots) > 1 and (None in roots or len(set(roots)) > 1):
            shown = ", ".join(sorted({root or "none that is told" for root in roots}))
            yield Difference(domain.head, f"asks for its devices on one root complex and has them on {shown}")


def _addresses(host: Host, near: NearDevice) -> tuple[PciAddress, ...]:
    """The devices by address: of a pool of virtual functions the one that makes them."""
    pool = host.devices.get(near.device) if near.device is not None else None
    if pool is None:
        return near.address or ()
    return pool.addresses or pool.parents
