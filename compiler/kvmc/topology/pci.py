"""Arithmetic on PCI addresses."""

from __future__ import annotations

from kvmc.model.values import PciAddress
from kvmc.topology.model import PciDevice


def vf_address(pf: PciDevice, index: int) -> PciAddress:
    """The address that the virtual function number `index` (from 0) of a physical function gets.

    PCIe SR-IOV: routing id of the physical function + First VF Offset + index * VF Stride; a routing id is 16 bits, bus, device
    and function. Raises ValueError where the device has no virtual functions, not that many, or no bus left for it.
    """
    if pf.sriov is None:
        raise ValueError(f"{pf.address} is no physical function with SR-IOV")
    if not 0 <= index < pf.sriov.total_vfs:
        raise ValueError(f"{pf.address} has {pf.sriov.total_vfs} virtual functions, none with the number {index}")
    own = pf.address.bus << 8 | pf.address.slot << 3 | pf.address.function
    routing_id = own + pf.sriov.offset + index * pf.sriov.stride
    if routing_id > 0xFFFF:
        raise ValueError(f"virtual function {index} of {pf.address} would lie above bus ff")
    return PciAddress(pf.address.domain, routing_id >> 8, routing_id >> 3 & 0x1F, routing_id & 7)
