"""PCI functions in hwloc's XML, which by default holds only those that hwloc finds interesting.

hwloc hangs a device below the smallest object that holds its local CPUs, so what is near it is told only roughly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kvmc.diagnostics.codes import topology as codes
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology.failure import ReadFailure, quoted
from kvmc.topology.hwloc_object import cpus_of
from kvmc.topology.model import Node, PciDevice

if TYPE_CHECKING:
    from lxml import etree

_IO = ("Bridge", "PCIDev", "OSDev", "Misc")
_TYPE = re.compile(
    r"([0-9a-f]{4}) \[([0-9a-f]{4}):([0-9a-f]{4})\](?: \[[0-9a-f:]{9}\] [0-9a-f]{2}(?: ([0-9a-f]{2}))?)?"
)
_BUSES = re.compile(r"([0-9a-f]{4,8}):\[([0-9a-f]{2})-[0-9a-f]{2}\]")


def read_pci(
    found: Mapping[str, Sequence[etree._Element]], nodes: Sequence[Node], online: CpuSet
) -> dict[PciAddress, PciDevice] | None:
    """All functions by address, ascending; None where the file has none."""
    devices: dict[PciAddress, PciDevice] = {}
    for name in ("Bridge", "PCIDev"):
        for item in found.get(name, []):
            if item.get("pci_busid") is not None:
                device = _device(item, nodes, online)
                devices[device.address] = device
    return dict(sorted(devices.items())) or None


def _device(item: etree._Element, nodes: Sequence[Node], online: CpuSet) -> PciDevice:
    text = item.get("pci_busid") or ""
    try:
        address = PciAddress.parse(text)
    except ValueError as error:
        message = f"`pci_busid` at line {item.sourceline} is {quoted(text)}, not a PCI address"
        raise ReadFailure(codes.TOPOLOGY_VALUE, message) from error
    told = _TYPE.match(item.get("pci_type") or "")
    place = next((one for one in item.iterancestors("object") if one.get("type") not in _IO), None)
    near = None if place is None or place.get("cpuset") is None else cpus_of(place) & online
    own = [node.id for node in nodes if near is not None and node.cpus & near]
    return PciDevice(
        address,
        # what hangs below the whole machine may have no node: hwloc does not tell that from a machine of one node
        own[0] if len(own) == 1 and near != online else None,
        None if near == online else near,
        # format 2 leaves the programming interface out: 00 then
        None if told is None else int(told[1] + (told[4] or "00"), 16),
        None if told is None else int(told[2], 16),
        None if told is None else int(told[3], 16),
        root=_root(item),
    )


def _root(item: etree._Element) -> str | None:
    bridge = next(
        (one for one in item.iterancestors("object") if (one.get("bridge_type") or "").startswith("0-")), None
    )
    match = None if bridge is None else _BUSES.match(bridge.get("bridge_pci") or "")
    return None if match is None else f"{match[1]}:{match[2]}"
