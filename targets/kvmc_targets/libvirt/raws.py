"""The user's own elements in a domain: below their parents, or instead of what kvmc writes there."""

from __future__ import annotations

from lxml import etree

from kvmc.hostconfig.plan import GuestPlan, RawElement


def put_raws(root: etree._Element, guest: GuestPlan) -> None:
    """All of them; what they stand instead of goes first. A device with a boot order leaves no `<os><boot>`: libvirt takes one
    of the two."""
    devices = _devices(root, guest)
    read = [(raw, _element(raw)) for raw in guest.raws]
    for raw, element in read:
        if raw.instead is not None:
            tag, attribute = raw.instead
            parent = _parent(root, raw)
            for one in parent.findall(tag):
                if not attribute or one.get(attribute) == element.get(attribute):
                    parent.remove(one)
    for raw, element in read:
        if raw.at in devices:
            _put_in_device(devices[raw.at], element)
        elif raw.at == "domain":
            root.insert(_place(root, element), element)
        else:
            _parent(root, raw).append(element)
    if guest.raws and root.find("devices/*/boot") is not None:
        os = _child(root, "os")
        for boot in os.findall("boot"):
            os.remove(boot)


_ORDER = (
    *("name", "uuid", "genid", "title", "description", "metadata", "maxMemory", "memory", "currentMemory", "blkiotune"),
    *(
        "memtune",
        "memoryBacking",
        "vcpu",
        "vcpus",
        "iothreads",
        "iothreadids",
        "cputune",
        "numatune",
        "resource",
        "sysinfo",
    ),
    *("bootloader", "os", "features", "cpu", "clock", "on_poweroff", "on_reboot", "on_crash", "pm", "perf", "devices"),
)
"""In which libvirt writes a domain's elements: libxml2 takes a few of them there alone when it validates."""


def _place(root: etree._Element, element: etree._Element) -> int:
    """Where an element of the domain goes; at the end, where libvirt has it behind the devices."""
    if element.tag not in _ORDER:
        return len(root)
    later = _ORDER[_ORDER.index(str(element.tag)) + 1 :]
    return next((number for number, one in enumerate(root) if one.tag in later), len(root))


def _element(raw: RawElement) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_blank_text=True)
    return etree.fromstring(raw.text, parser)


def _child(parent: etree._Element, tag: str) -> etree._Element:
    found = parent.find(tag)
    return etree.SubElement(parent, tag) if found is None else found


def _parent(root: etree._Element, raw: RawElement) -> etree._Element:
    """Made where the guest has none."""
    parent = root
    for tag in raw.at.split("/") if raw.at != "domain" else ():
        parent = _child(parent, tag)
    return parent


def _devices(root: etree._Element, guest: GuestPlan) -> dict[str, etree._Element]:
    """The devices that may have more in them, by kind and label. A NIC that is a whole device of the host is a hostdev there."""
    kinds = (
        ("disk", [disk.name for disk in guest.disks], "devices/disk"),
        ("nic", [nic.name for nic in guest.nics], "devices/interface"),
        ("hostdev", [hostdev.name for hostdev in guest.hostdevs], "devices/hostdev"),
    )
    found = {
        f"{kind} {name}": element
        for kind, labels, path in kinds
        for name, element in zip(labels, root.findall(path), strict=False)
    }
    for plan in guest.hostdevs:
        found.setdefault(f"nic {plan.name}", found[f"hostdev {plan.name}"])
    return found


def _put_in_device(device: etree._Element, element: etree._Element) -> None:
    """Attributes and elements are added to the one that is there."""
    there = device.find(str(element.tag))
    if there is None:
        device.append(element)
        return
    for name, value in element.attrib.items():
        there.set(name, value)
    there.extend(list(element))
