"""Functions for guests that say more of their devices than that they are on the guest's nodes: how near, and beside which other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvmc.model.site import Near
from kvmc.model.values import PciAddress
from kvmc.resolver.demand import Demand, DeviceKey
from kvmc.resolver.devices import Function
from kvmc.resolver.state import HostState

_STEPS = 2_000
"""Functions tried for one guest, at most."""

Taken = Mapping[DeviceKey, Function]


def pick_near(demand: Demand, here: HostState, nodes: Sequence[int]) -> tuple[tuple[DeviceKey, PciAddress], ...] | None:
    """A free function for each device, near ones first where that is preferred, whole IOMMU groups; or None."""
    able = [(key, _candidates(demand, key, pool, here, nodes)) for key, pool in demand.devices]
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


def _candidates(demand: Demand, key: DeviceKey, pool: str, here: HostState, nodes: Sequence[int]) -> list[Function]:
    near = demand.near_of(key)
    free = [
        one
        for one in here.machine.functions.get(pool, ())
        if not any(address in here.used for address in one.group) and (near is not Near.REQUIRE or _is_near(one, nodes))
    ]
    return sorted(free, key=lambda one: not _is_near(one, nodes)) if near is Near.PREFER else free


def _is_near(function: Function, nodes: Sequence[int]) -> bool:
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
            one.address == address and not _is_near(one, nodes) for one in here.machine.functions.get(pools[key], ())
        )
    ]
