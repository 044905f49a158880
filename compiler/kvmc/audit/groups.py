"""PCI functions are given in whole IOMMU groups: the kernel gives a group to one user alone (Documentation/driver-api/vfio.rst)."""

from __future__ import annotations

from kvmc.audit.context import Context
from kvmc.diagnostics import Label
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.values import PciAddress

_BRIDGE = 0x06
"""The base class of bridges, which stay the host's."""


def check(context: Context) -> None:
    members: dict[int, list[PciAddress]] = {}
    for device in (context.topology.pci or {}).values():
        bridge = device.class_id is not None and device.class_id >> 16 == _BRIDGE
        if device.iommu_group is not None and not bridge:
            members.setdefault(device.iommu_group, []).append(device.address)
    blamed = context.blamed()
    for domain in context.files.domains:
        own = {function.value for function in domain.functions}
        told: set[int] = set()
        for function in domain.functions:
            known = (context.topology.pci or {}).get(function.value)
            group = known.iommu_group if known else None
            if group is None or group in told or function.span in blamed:
                continue
            left = sorted(address for address in members.get(group, []) if address not in own)
            if not left:
                continue
            told.add(group)
            others = [
                Label(other.span, f"`{guest.name}` has it")
                for guest in context.files.domains
                for other in guest.functions
                if other.value in left
            ]
            context.bag.error(
                codes.GROUP_SPLIT,
                f"`{domain.name}` is given {function.value} of IOMMU group {group} and not {left[0]}, which is of it too",
                function.span,
                secondary=others[:1],
            )
