"""Where raw elements of guests may stand: beside, below and instead of what kvmc writes. Only a guest that has some imports this.

Elements are told by their path below `<domain>`, as in the knowledge of libvirt's elements (`devices/serial`).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from kvmc.hostconfig.guest_io import needs_shared_memory
from kvmc.hostconfig.identity import pci_devices
from kvmc.model.names import name_problem
from kvmc.model.site import Vm

INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(("title", "on_poweroff", "on_reboot", "on_crash", "pm", "os/boot"), ""),
    **dict.fromkeys(("features/apic", "features/vmport", "features/ioapic"), ""),
    **dict.fromkeys((f"devices/{tag}" for tag in ("serial", "console", "rng", "watchdog", "audio", "iommu")), ""),
    "devices/memballoon": "",
    "clock/timer": "name",
}
"""What kvmc says by habit and no setting says: a raw element takes the place of all of them, or of the one that has the same
attribute."""

OWN: Mapping[str, frozenset[str]] = {
    "disk/driver": frozenset(("name", "type", "cache", "io", "discard", "iothread", "queues", "queue_size")),
    "disk/source": frozenset(("dev", "file", "protocol", "name")),
    "disk/target": frozenset(("dev", "bus")),
    "nic/mac": frozenset(("address",)),
    "nic/source": frozenset(("bridge", "network", "dev", "mode", "type", "path")),
    "nic/model": frozenset(("type",)),
    "nic/driver": frozenset(("name", "queues", "rx_queue_size", "tx_queue_size")),
    "hostdev/driver": frozenset(("name",)),
}
"""Elements of a device that a raw element may add attributes to, and those that the settings say."""
WHOLE = ("disk/boot", "disk/address", "nic/address", "hostdev/source", "hostdev/address")
"""Elements of a device that the settings say as a whole."""
_MODELS = ("virtio", "e1000e", "e1000", "rtl8139")
_MODELLED_NICS = ("bridge", "network", "direct", "vhostuser", "hostdev")
_PS2 = ("mouse", "keyboard")


def device(vm: Vm, at: str) -> tuple[str, str] | None:
    """(kind, label) of the guest's device that `at` names; None where it names an element of the domain, or nothing."""
    kind, space, label = at.partition(" ")
    having = {"disk": vm.disks, "nic": vm.nics, "hostdev": vm.hostdevs}.get(kind, {})
    return (kind, label) if space and label in having else None


def told_by_settings(vm: Vm, at: str, element: ET.Element) -> bool | None:
    """Whether a setting says what the element says; None where this module has no opinion."""
    tag = element.tag
    if " " in at:
        path = f"{at.partition(' ')[0]}/{tag}"
        return path in WHOLE or bool(OWN.get(path, frozenset()) & set(element.attrib))
    path = tag if at == "domain" else f"{at}/{tag}"
    if path == "os/boot":
        return any(disk.boot is not None for disk in vm.disks.values())
    if path == "devices/memballoon":
        return "balloon" not in pci_devices(vm)
    if path == "clock/timer":
        return vm.hyperv and element.get("name") == "hypervclock"
    if path in INSTEAD:
        return False
    if path == "memoryBacking/nosharepages":
        return vm.pinning != "shared"
    return _whole_device(element) if at == "devices" else None


def _whole_device(element: ET.Element) -> bool | None:
    """A whole device that the language has a word for."""
    kind = element.get("type", "")
    if element.tag == "disk":
        return _plain_disk(element)
    if element.tag == "interface":
        model, source = element.find("model"), element.find("source")
        network = source.get("network", "") if source is not None else ""
        named = kind != "network" or name_problem(network) is None
        return kind in _MODELLED_NICS and named and (model is None or model.get("type") in _MODELS)
    if element.tag == "hostdev":
        return kind not in ("usb", "scsi", "scsi_host")
    if element.tag == "controller":
        return kind in ("pci", "usb", "sata", "scsi", "ide")
    if element.tag == "input":
        return element.get("bus", "ps2") == "ps2" and kind in _PS2
    return None


def _plain_disk(element: ET.Element) -> bool:
    """A disk that `disk` has words for: an image or a device at a path that the language takes, on a bus that it has."""
    source, target, driver = (element.find(tag) for tag in ("source", "target", "driver"))
    path = (source.get("dev") or source.get("file") or "") if source is not None else ""
    return (
        element.get("device", "disk") == "disk"
        and element.get("type") in ("block", "file")
        and re.fullmatch(r"/[A-Za-z0-9/._+:@=,-]*", path) is not None
        and (target is None or target.get("bus", "virtio") in ("virtio", "scsi", "sata"))
        and (driver is None or driver.get("type", "raw") in ("raw", "qcow2"))
    )


def unsound(element: ET.Element) -> str:
    """What a whole device lacks to be the same at each start; empty where nothing."""
    if element.tag == "disk":
        target = element.find("target")
        return "" if target is not None and target.get("dev") else "is a disk without a target, which libvirt needs"
    if element.tag != "interface":
        return ""
    mac = element.find("mac")
    return (
        ""
        if mac is not None and mac.get("address")
        else "is a NIC without a MAC address, and libvirt would make one up"
    )


def lacks(vm: Vm, element: ET.Element) -> tuple[str, str]:
    """What the element needs of the machine and the guest does not have, and the setting that gives it; empty where nothing."""
    usb = element.tag in ("redirdev", "hub", "smartcard") or (element.tag == "hostdev" and element.get("type") == "usb")
    usb = usb or any(node.get("bus") == "usb" for node in (element, *element.iterfind("target")))
    driver = element.find("driver")
    if usb and vm.usb == "none":
        return "a USB controller", "usb = xhci"
    shares = element.tag == "filesystem" and driver is not None and driver.get("type") == "virtiofs"
    if shares and not needs_shared_memory(vm):
        return "memory that others can map", "shared_memory = true"
    return "", ""


def stands_instead(at: str, element: ET.Element) -> tuple[str, str] | None:
    """The tag, and the attribute that tells it from its like, of what it stands instead of."""
    path = element.tag if at == "domain" else f"{at}/{element.tag}"
    return (element.tag, INSTEAD[path]) if path in INSTEAD else None
