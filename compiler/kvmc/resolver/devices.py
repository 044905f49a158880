"""The PCI functions that a host offers, pool by pool, each with its node and its IOMMU group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import placement as codes
from kvmc.model.origins import Origins
from kvmc.model.site import DevicePool, Host
from kvmc.model.values import PciAddress
from kvmc.topology.model import PciDevice, Topology
from kvmc.topology.pci import vf_address

_BRIDGE = 0x06
"""PCI base class of bridges (PCI Code and ID Assignment): they may stay in the group of a device that is given away."""


@dataclass(frozen=True, slots=True)
class Function:
    """A PCI function that a guest may own. `group`: all functions that must be the same guest's, itself among them."""

    address: PciAddress
    node: int | None
    group: tuple[PciAddress, ...]
    root: str | None = None
    """Its root complex, where the topology tells it."""
    parent: PciAddress | None = None
    """The physical function that makes it."""


def derive_devices(host: Host, topology: Topology, origins: Origins, bag: Bag) -> Mapping[str, tuple[Function, ...]]:
    """The functions of each device pool, in the order they are given."""
    if topology.pci is None:
        return {}
    groups: dict[int, list[PciAddress]] = {}
    for device in topology.pci.values():
        if device.iommu_group is not None and (device.class_id is None or device.class_id >> 16 != _BRIDGE):
            groups.setdefault(device.iommu_group, []).append(device.address)
    found: dict[str, tuple[Function, ...]] = {}
    for pool in host.devices.values():
        ways = _virtual if pool.parents else _whole
        functions = ways(host, pool, topology.pci, origins, bag)
        found[pool.name] = tuple(_function(one, parent, topology.pci, groups) for one, parent in functions)
    _check_twice(host, found, origins, bag)
    _check_groups(host, found, origins, bag)
    return found


def _virtual(
    host: Host, pool: DevicePool, pci: Mapping[PciAddress, PciDevice], origins: Origins, bag: Bag
) -> list[tuple[PciAddress, PciAddress | None]]:
    """The virtual functions of all parents, each with its parent: the first of each, then the second of each, and so on."""
    path = ("host", host.name, "devices", pool.name)
    found: list[list[PciAddress]] = []
    for address in pool.parents:
        parent = pci.get(address)
        if parent is None:
            _absent(host, address, (*path, "parent"), origins, bag)
            continue
        if parent.sriov is None or parent.sriov.total_vfs == 0:
            bag.error(
                codes.NOT_SRIOV,
                f"`{address}` of `{host.name}` makes no virtual functions",
                origins.label((*path, "parent")),
                help=("name a physical function with SR-IOV, or give the device whole with `addresses`",),
            )
            continue
        if pool.vfs > parent.sriov.total_vfs:
            bag.error(
                codes.TOO_MANY_VFS,
                f"`{address}` of `{host.name}` makes {parent.sriov.total_vfs} virtual functions, "
                f"`{pool.name}` asks for {pool.vfs}",
                origins.label((*path, "vfs")),
                help=(f"set `vfs = {parent.sriov.total_vfs}`",),
            )
            continue
        try:
            found.append([vf_address(parent, index) for index in range(pool.vfs)])
        except ValueError as error:
            bag.error(codes.TOO_MANY_VFS, f"`{host.name}`: {error}", origins.label((*path, "vfs")))
    if len(found) < len(pool.parents):
        return []
    return [(one[index], parent) for index in range(pool.vfs) for one, parent in zip(found, pool.parents, strict=True)]


def _whole(
    host: Host, pool: DevicePool, pci: Mapping[PciAddress, PciDevice], origins: Origins, bag: Bag
) -> list[tuple[PciAddress, PciAddress | None]]:
    functions: list[tuple[PciAddress, PciAddress | None]] = []
    for address in pool.addresses:
        if address not in pci:
            _absent(host, address, ("host", host.name, "devices", pool.name, "addresses"), origins, bag)
            continue
        functions.append((address, None))
    return functions


def _absent(host: Host, address: PciAddress, path: tuple[str, ...], origins: Origins, bag: Bag) -> None:
    bag.error(
        codes.DEVICE_ABSENT,
        f"`{host.name}` has no PCI device `{address}`",
        origins.label(path),
        help=("`kvmc topology show` lists the devices of the host's topology file",),
    )


def _group(
    address: PciAddress, pci: Mapping[PciAddress, PciDevice], groups: Mapping[int, list[PciAddress]]
) -> tuple[PciAddress, ...]:
    """A virtual function that is still to be made is in a group of its own: IOMMUs isolate them (ACS)."""
    device = pci.get(address)
    if device is None or device.iommu_group is None:
        return (address,)
    return tuple(sorted({address, *groups.get(device.iommu_group, ())}))


def _function(
    address: PciAddress,
    parent: PciAddress | None,
    pci: Mapping[PciAddress, PciDevice],
    groups: Mapping[int, list[PciAddress]],
) -> Function:
    """A virtual function is on the node and the root complex of its parent."""
    device = pci[address if parent is None else parent]
    return Function(address, device.node, _group(address, pci, groups), device.root, parent)


def _check_twice(host: Host, found: Mapping[str, tuple[Function, ...]], origins: Origins, bag: Bag) -> None:
    owners = {parent: pool.name for pool in host.devices.values() for parent in pool.parents}
    for name, functions in found.items():
        path = ("host", host.name, "devices", name)
        for function in functions:
            if function.address in owners:
                other = owners[function.address]
                first = origins.label(("host", host.name, "devices", other), "offered here too")
                bag.error(
                    codes.DEVICE_TWICE,
                    f"`{host.name}` offers `{function.address}` twice, in `{other}` and in `{name}`",
                    origins.label(path),
                    secondary=(first,) if first else (),
                )
                break
            owners[function.address] = name


def _check_groups(host: Host, found: Mapping[str, tuple[Function, ...]], origins: Origins, bag: Bag) -> None:
    offered = {function.address for functions in found.values() for function in functions}
    for name, functions in found.items():
        for function in functions:
            left = [str(address) for address in function.group if address not in offered]
            if left:
                bag.error(
                    codes.IOMMU_GROUP_SPLIT,
                    f"`{function.address}` of `{host.name}` is in an IOMMU group of {len(function.group)}, "
                    f"{len(function.group) - len(left)} offered: {', '.join(left[:6])} left out",
                    origins.label(("host", host.name, "devices", name)),
                    help=("offer every function of the group and give them to one guest",),
                )
                break
