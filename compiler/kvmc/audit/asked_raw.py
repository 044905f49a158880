"""The elements of a domain that the site has in so many words: what they are below of, and what they stand instead of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from kvmc.audit import xml
from kvmc.audit.document import Want
from kvmc.audit.domain import Domain
from kvmc.model.site import Raw, Vm

if TYPE_CHECKING:
    from lxml.etree import _Element

_HABITS = {
    **dict.fromkeys(("domain title", "domain pm", "domain on_poweroff", "domain on_reboot", "domain on_crash"), ""),
    **dict.fromkeys(("os boot", "features apic", "features vmport", "features ioapic"), ""),
    **dict.fromkeys(("devices serial", "devices console", "devices rng", "devices watchdog"), ""),
    **dict.fromkeys(("devices audio", "devices iommu", "devices memballoon"), ""),
    "clock timer": "name",
}
"""What no setting says: a raw element there is in place of all such elements, or of the one with the same attribute."""


def put(vm: Vm, root: Want, devices: Mapping[str, Want]) -> None:
    """Into the statement of a domain. devices: by kind and label."""
    elements = [(raw, element) for raw in vm.raws.values() if (element := xml.fragment(raw.value or "")) is not None]
    for raw, element in elements:
        attribute = _HABITS.get(f"{raw.at} " + str(element.tag))
        if attribute is not None:
            parent = _parent(root, raw)
            parent.children = [
                one
                for one in parent.children
                if one.tag != element.tag or (attribute and one.attributes.get(attribute) != element.get(attribute))
            ]
    for raw, element in elements:
        device = devices.get(raw.at or "")
        if device is not None:
            _below(device, _want(element))
        else:
            _parent(root, raw).children.append(_want(element))
    if elements and any(device.find("boot/order") for device in _parent(root, None).children):
        os = next(one for one in root.children if one.tag == "os")
        os.children = [one for one in os.children if one.tag != "boot"]


def without(vm: Vm, domain: Domain) -> Domain:
    """The domain without disks and NICs that are raw: nothing else of the site asks for them."""
    elements = [element for raw in vm.raws.values() if (element := xml.fragment(raw.value or "")) is not None]
    targets = {one.get("dev") for element in elements if element.tag == "disk" for one in element.iterfind("target")}
    macs = {one.get("address") for element in elements if element.tag == "interface" for one in element.iterfind("mac")}
    if not targets and not macs:
        return domain
    return replace(
        domain,
        disks=tuple(disk for disk in domain.disks if disk.value.target not in targets),
        nics=tuple(nic for nic in domain.nics if nic.value.mac is None or nic.value.mac.value not in macs),
    )


def _parent(root: Want, raw: Raw | None) -> Want:
    parent = root
    at = raw.at or "" if raw is not None else "devices"
    for tag in at.split("/") if at != "domain" else ():
        parent = next((child for child in parent.children if child.tag == tag), None) or parent.add(tag)
    return parent


def _below(device: Want, element: Want) -> None:
    """An element of a device that is there already takes attributes and elements."""
    there = next((child for child in device.children if child.tag == element.tag), None)
    if there is None:
        device.children.append(element)
        return
    there.attributes |= element.attributes
    there.children += element.children


def _want(element: _Element) -> Want:
    """An element as it is to be, with all that tells it from its like."""
    attributes = {str(name): str(value) for name, value in element.attrib.items()}
    text = (element.text or "").strip()
    want = Want(str(element.tag), attributes, text or None, tuple(attributes))
    want.children = [_want(child) for child in element if isinstance(child.tag, str)]
    return want
