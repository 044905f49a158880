"""Functions for guests that say more of their devices than that they are on the guest's nodes: how near, and beside which other.

And devices that a guest is near without owning them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvmc.model.site import Near
from kvmc.model.values import PciAddress
from kvmc.resolver.choices import loads
from kvmc.resolver.demand import Close, Demand, DeviceKey
from kvmc.resolver.devices import Function
from kvmc.resolver.state import HostState, Machine

_STEPS = 2_000
"""Functions tried for one guest, at most."""

Taken = Mapping[DeviceKey, Function]


def pick_near(demand: Demand, here: HostState, nodes: Sequence[int]) -> tuple[tuple[DeviceKey, PciAddress], ...] | None:
    """A free function for each device, near ones first where that is preferred, whole IOMMU groups; or None.

    Where all are wished on one root complex, that is tried first, and given up where it cannot be."""
    if demand.one_root:
        for root in _roots(demand, here):
            found = _pick(demand, here, nodes, root)
            if found is not None:
                return found
    return _pick(demand, here, nodes, None)


def _pick(
    demand: Demand, here: HostState, nodes: Sequence[int], root: str | None
) -> tuple[tuple[DeviceKey, PciAddress], ...] | None:
    able = [
        (key, [one for one in _candidates(demand, key, pool, here, nodes) if root is None or one.root == root])
        for key, pool in demand.devices
    ]
    taken: dict[DeviceKey, Function] = {}
    steps = 0

    def visit(index: int) -> bool:
        nonlocal steps
        if index == len(able):
            held = {one.address for one in taken.values()}
            return all(set(one.group) <= held for one in taken.values())
        key, functions = able[index]
        tried: set[tuple[int | None, str | None]] = set()
        for function in functions:
            steps += 1
            if steps > _STEPS:
                return False
            alike = (function.node, function.root)
            if alike in tried or any(one.address == function.address for one in taken.values()):
                continue
            if len(function.group) == 1:
                tried.add(alike)
            taken[key] = function
            if far_from(demand, taken) is None and visit(index + 1):
                return True
            del taken[key]
        return False

    return tuple((key, one.address) for key, one in taken.items()) if visit(0) else None


def _roots(demand: Demand, here: HostState) -> list[str]:
    """The root complexes that have functions of all the guest's pools, in the order of the first pool's functions."""
    pools = list(dict.fromkeys(pool for _, pool in demand.devices))
    having = [[one.root for one in here.machine.functions.get(pool, ()) if one.root is not None] for pool in pools]
    return [root for root in dict.fromkeys(having[0]) if all(root in some for some in having[1:])]


def _candidates(demand: Demand, key: DeviceKey, pool: str, here: HostState, nodes: Sequence[int]) -> list[Function]:
    near = demand.near_of(key)
    reach = reach_of(demand, key, here.machine, nodes)
    free = [
        one
        for one in here.machine.functions.get(pool, ())
        if not any(address in here.used for address in one.group) and (near is not Near.REQUIRE or _is_near(one, reach))
    ]
    load = loads(here, pool, ())
    if load:
        free.sort(key=lambda one: load[one.parent])
    return sorted(free, key=lambda one: not _is_near(one, reach)) if near is Near.PREFER else free


def reach_of(demand: Demand, key: DeviceKey, machine: Machine, nodes: Sequence[int]) -> frozenset[int]:
    """The nodes on which a device is near a guest that is on these."""
    return package_nodes(machine, nodes) if key in demand.package else frozenset(nodes)


def package_nodes(machine: Machine, nodes: Sequence[int]) -> frozenset[int]:
    """These nodes, and those that are in a package with one of them, where the topology tells packages."""
    if not machine.packages:
        return frozenset(nodes)
    of = {cpus.node: set(known) for cpus, known in zip(machine.nodes, machine.packages, strict=True)}
    mine = {package for node in nodes for package in of.get(node, ())}
    return frozenset(nodes) | {node for node, packages in of.items() if packages & mine}


def _is_near(function: Function, nodes: frozenset[int]) -> bool:
    return function.node is None or function.node in nodes


def far_from(demand: Demand, taken: Taken) -> tuple[DeviceKey, DeviceKey] | None:
    """The first two of these devices that are to be beside each other and share no root complex that the topology tells."""
    for key, other in demand.beside:
        if key in taken and other in taken and (taken[key].root is None or taken[key].root != taken[other].root):
            return key, other
    return None


def far_devices(
    demand: Demand, here: HostState, devices: Sequence[tuple[DeviceKey, PciAddress]], nodes: Sequence[int]
) -> list[DeviceKey]:
    """The devices that are preferred near and are not."""
    wished = [(key, address) for key, address in devices if demand.near_of(key) is Near.PREFER]
    pools = dict(demand.devices)
    return [
        key
        for key, address in wished
        if any(
            one.address == address and not _is_near(one, reach_of(demand, key, here.machine, nodes))
            for one in here.machine.functions.get(pools[key], ())
        )
    ]


def on_roots(demand: Demand, here: HostState, devices: Sequence[tuple[DeviceKey, PciAddress]]) -> list[str]:
    """The root complexes that a guest's devices are on, where it wishes one and the topology tells that of each; else none."""
    if not demand.one_root:
        return []
    pools = dict(demand.devices)
    root = {one.address: one.root for pool in pools.values() for one in here.machine.functions.get(pool, ())}
    found = [root.get(address) for _, address in devices]
    return [] if None in found else list(dict.fromkeys(one for one in found if one is not None))


def device_nodes(close: Close, machine: Machine) -> frozenset[int | None]:
    """The nodes of the devices that a guest is to be near, None for one whose node is not told; empty where the host has none."""
    if close.pool is not None:
        return frozenset(one.node for one in machine.functions.get(close.pool, ()))
    return frozenset(machine.pci[address].node for address in close.addresses if address in machine.pci)


def near_nodes(close: Close, machine: Machine) -> frozenset[int]:
    """The nodes from which a device is near, of those that guests may be on."""
    there = device_nodes(close, machine)
    if None in there:
        return frozenset(cpus.node for cpus in machine.nodes)
    known = [node for node in there if node is not None]
    return package_nodes(machine, known) if close.package else frozenset(known)


def not_close(demand: Demand, machine: Machine, nodes: Sequence[int], *, required: bool) -> list[Close]:
    """The devices that the guest is to be near, or wishes to, and is not on these nodes."""
    return [
        one for one in demand.close if one.required is required and not near_nodes(one, machine).intersection(nodes)
    ]
