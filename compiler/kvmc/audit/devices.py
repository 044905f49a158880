"""The devices of a domain that stand for something of the host: disks, NICs, passed PCI functions."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.audit import xml
from kvmc.audit.elements import Reader
from kvmc.audit.source import At, unreadable
from kvmc.diagnostics import Label, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.values import PciAddress

_SINGLE = (
    *("name", "uuid", "memory", "currentMemory", "vcpu", "iothreads", "memoryBacking", "memoryBacking/hugepages"),
    *("memoryBacking/locked", "cputune", "cputune/emulatorpin", "numatune", "numatune/memory", "os", "os/type"),
    *("cpu", "cpu/topology", "cpu/numa", "cpu/model", "cpu/maxphysaddr", "features", "features/pmu", "features/hyperv"),
    *("devices", "devices/emulator", "memoryBacking/source", "memoryBacking/access", "launchSecurity", "clock"),
    *("devices/disk/source", "devices/disk/target", "devices/disk/driver"),
    *("devices/interface/mac", "devices/interface/source", "devices/interface/model", "devices/hostdev/source"),
)


@dataclass(frozen=True, slots=True)
class Disk:
    """`driver`: its attributes as they stand (type, cache, io, discard, queues). iothreads: all that serve it, one or several."""

    source: str
    kind: str
    bus: str
    target: str
    driver: dict[str, str]
    shared: bool
    iothread: int | None
    iothreads: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Nic:
    """`source`: the bridge, the network or the socket; empty for a passed function. `queues` as it stands."""

    kind: str
    source: str
    model: str
    queues: str
    mac: At[str] | None
    device: At[PciAddress] | None


def function(node: xml.Node, reader: Reader) -> At[PciAddress] | None:
    """The host's PCI function below `<source>`."""
    address = node.child("source", "address")
    if address is None or (address.get("type", "pci") != "pci") or address.attribute("bus") is None:
        return None
    parts: list[int] = []
    for name, limit in (("domain", 0xFFFFFFFF), ("bus", 0xFF), ("slot", 0x1F), ("function", 7)):
        at = address.attribute(name)
        try:
            value = int(at.value, 0) if at else 0
        except ValueError:
            value = -1
        if at is not None and not 0 <= value <= limit:
            unreadable(reader.bag, at.span, f"a PCI {name}", at.value)
            return None
        parts.append(value)
    return At(PciAddress(*parts), address.span)


def disks(root: xml.Node, reader: Reader) -> tuple[At[Disk], ...]:
    found = []
    of_controller: dict[str, int | None] = {}
    for node in root.all("devices", "controller"):
        driver = node.child("driver")
        if node.get("type") == "scsi" and driver is not None:
            of_controller[node.get("index", "0")] = reader.number(driver.attribute("iothread"))
    for node in root.all("devices", "disk"):
        if node.get("device", "disk") in ("cdrom", "floppy"):
            continue
        source = node.child("source")
        at = None
        for name in ("dev", "file", "name", "volume", "dir"):
            at = at or (source.attribute(name) if source else None)
        driver = node.child("driver")
        iothread = reader.number(driver.attribute("iothread")) if driver else None
        shared = node.child("shareable") is not None or node.child("readonly") is not None
        text, place = (at.value, at.span) if at else ("", node.span)
        if source is not None and source.get("pool"):
            text = f"{source.get('pool')}/{text}"
        target = node.child("target")
        bus, dev = (target.get("bus"), target.get("dev")) if target else ("", "")
        attributes = {str(key): str(value) for key, value in driver.element.attrib.items()} if driver else {}
        spread = (
            [reader.number(reader.needed(one, "id")) for one in driver.all("iothreads", "iothread")] if driver else []
        )
        if bus == "scsi" and iothread is None:
            iothread = of_controller.get(_controller(node))
        threads = tuple(id for id in (iothread, *spread) if id is not None)
        found.append(At(Disk(text, node.get("type"), bus, dev, attributes, shared, iothread, threads), place))
    return tuple(found)


def _controller(disk: xml.Node) -> str:
    """The index of its controller."""
    address = disk.child("address")
    return address.get("controller", "0") if address is not None else "0"


def nics(root: xml.Node, reader: Reader) -> tuple[At[Nic], ...]:
    found = []
    for node in root.all("devices", "interface"):
        kind = node.get("type")
        mac = node.child("mac")
        source, model, driver = node.child("source"), node.child("model"), node.child("driver")
        device = function(node, reader) if kind == "hostdev" else None
        name = (source.get("bridge") or source.get("network") or source.get("dev")) if source else ""
        if source and kind == "vhostuser":
            name = source.get("path")
        address = mac.attribute("address") if mac else None
        lower = At(address.value.lower(), address.span) if address else None
        found.append(
            At(
                Nic(
                    kind,
                    name,
                    model.get("type") if model else "",
                    driver.get("queues") if driver else "",
                    lower,
                    device,
                ),
                node.span,
            )
        )
    return tuple(found)


def hostdevs(root: xml.Node, reader: Reader) -> tuple[At[PciAddress], ...]:
    nodes = (node for node in root.all("devices", "hostdev") if node.get("type") == "pci")
    return tuple(at for at in (function(node, reader) for node in nodes) if at is not None)


def told_twice(root: xml.Node, reader: Reader) -> None:
    """What may be there once: single elements, a guest's own PCI addresses, its names of disks, its controllers
    (companions of a USB controller bear its index, and name it as their master)."""
    for path in _SINGLE:
        *parents, last = path.split("/")
        for parent in root.all(*parents):
            some = list(parent.children(last))
            for extra in some[1:]:
                _twice(f"`<{last}>`", some[0].span, extra.span, reader)
    places: dict[str, Span] = {}
    for device in (
        xml.Node(root.file, child, root.places) for one in root.children("devices") for child in one.element
    ):
        if device.element not in root.places:
            continue
        keys = {f"the guest's PCI address {key}" for key in map(_pci_key, device.children("address")) if key}
        if device.tag == "controller" and device.child("master") is None:
            keys.add(f"controller `{device.get('type')[:20]}` {device.get('index')[:20]}")
        target = device.child("target") if device.tag == "disk" else None
        if target is not None and target.get("dev"):
            keys.add(f"disk target `{target.get('dev')[:20]}`")
        for key in sorted(keys):
            first = places.setdefault(key, device.span)
            if first != device.span:
                _twice(key, first, device.span, reader)


def _pci_key(address: xml.Node) -> str | None:
    if address.get("type") != "pci":
        return None
    try:
        parts = [int(address.get(name, "0"), 16) for name in ("domain", "bus", "slot", "function")]
    except ValueError:
        return None
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*parts)


def _twice(what: str, first: Span, second: Span, reader: Reader) -> None:
    reader.bag.error(codes.REPEATED, f"{what} is there twice", second, secondary=[Label(first, "first here")])
