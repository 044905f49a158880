"""A PCI function of a topology in a few words."""

from __future__ import annotations

from kvmc.topology.model import PciDevice

_CLASSES = {
    0x01: "storage",
    0x02: "network",
    0x03: "display",
    0x06: "bridge",
    0x0B: "processor",
    0x0C: "serial bus",
    0x12: "accelerator",
}
"""Base classes of the PCI code and ID assignment specification, those that guests are given or that stand beside them."""


def device_text(device: PciDevice) -> str:
    """`network 8086:1592, node 0, SR-IOV of 256 VFs`."""
    parts = []
    base = _CLASSES.get((device.class_id or 0) >> 16, "device")
    ids = f" {device.vendor_id:04x}:{device.device_id:04x}" if device.vendor_id and device.device_id else ""
    parts.append(base + ids)
    if device.node is not None:
        parts.append(f"node {device.node}")
    if device.sriov is not None:
        parts.append(f"SR-IOV of {device.sriov.total_vfs} VFs")
    if device.parent_pf is not None:
        parts.append(f"VF of {device.parent_pf}")
    return ", ".join(parts)
