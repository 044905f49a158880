"""A domain's devices: every controller and address said, none left to libvirt."""

from __future__ import annotations

from lxml import etree

from kvmc.hostconfig.plan import DiskPlan, ExpanderPlan, GuestPlan, HostdevPlan, MdevPlan, NicPlan
from kvmc.model.values import PciAddress, VersionRange

X86, ARM = "x86_64", "aarch64"

_AHCI = PciAddress(0, 0, 0x1F, 2)
"""q35's own SATA controller (ICH9), which cannot be left out."""


def devices(guest: GuestPlan, libvirt: VersionRange) -> etree._Element:
    """The `<devices>` element, as the oldest libvirt of the platform knows it."""
    root = etree.Element("devices")
    _add(root, "emulator").text = guest.emulator_path
    for disk in guest.disks:
        _disk(root, disk)
    _controllers(root, guest)
    for nic in guest.nics:
        _nic(root, nic)
    serial = _add(root, "serial", type="pty")
    kind, model = ("isa-serial", "isa-serial") if guest.arch == X86 else ("system-serial", "pl011")
    _add(_add(serial, "target", type=kind, port="0"), "model", name=model)
    _add(_add(root, "console", type="pty"), "target", type="serial", port="0")
    if guest.arch == X86:
        _add(root, "input", type="mouse", bus="ps2")
        _add(root, "input", type="keyboard", bus="ps2")
    if guest.tpm:
        # libvirt makes its state and starts swtpm; what Arm's `virt` has is on the platform bus.
        tpm = _add(root, "tpm", model="tpm-crb" if guest.arch == X86 else "tpm-tis")
        _add(tpm, "backend", type="emulator", version="2.0")
    if libvirt.since(7, 2):
        _add(root, "audio", id="1", type="none")
    for hostdev in guest.hostdevs:
        _hostdev(root, hostdev)
    for mdev in guest.mdevs:
        _mdev(root, mdev)
    if libvirt.since(9, 1) and guest.arch == X86:
        # Part of q35 itself, named since then; earlier releases do not know the word.
        _add(root, "watchdog", model="itco", action="reset")
    balloon = _add(root, "memballoon", model="none" if guest.balloon_address is None else "virtio")
    if guest.balloon_address is not None:
        _address(balloon, guest.balloon_address)
    rng = _add(root, "rng", model="virtio")
    _add(rng, "backend", model="random").text = "/dev/urandom"
    _address(rng, guest.rng_address)
    if guest.viommu:
        iommu = _add(root, "iommu", model="intel")
        driver = _add(iommu, "driver", intremap="on")
        if guest.hostdevs or guest.mdevs or any(nic.device for nic in guest.nics):
            # VFIO has to see the guest's mappings change.
            driver.set("caching_mode", "on")
        driver.set("eim", "on")
    return root


def _add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, tag, attributes)


def _address(parent: etree._Element, address: PciAddress, *, typed: bool = True, **attributes: str) -> None:
    """A PCI address, as libvirt writes it; `typed`: with `type='pci'`."""
    element = _add(parent, "address", **({"type": "pci"} if typed else {}))
    element.set("domain", f"0x{address.domain:04x}")
    element.set("bus", f"0x{address.bus:02x}")
    element.set("slot", f"0x{address.slot:02x}")
    element.set("function", f"0x{address.function:x}")
    for name, value in attributes.items():
        element.set(name, value)


def _disk(root: etree._Element, plan: DiskPlan) -> None:
    disk = _add(root, "disk", type=plan.type, device="disk")
    driver = _add(disk, "driver", name="qemu", type=plan.format)
    options = {
        "cache": plan.cache,
        "io": plan.io,
        "discard": plan.discard,
        "iothread": plan.iothread if plan.bus == "virtio" else None,
        "queues": plan.queues if plan.bus == "virtio" else None,
        "queue_size": plan.queue_size,
    }
    for name, value in options.items():
        if value not in (None, "default"):
            driver.set(name, str(value))
    if plan.iothreads:
        # No queue is named, so QEMU deals them out in turn.
        threads = _add(driver, "iothreads")
        for id in plan.iothreads:
            _add(threads, "iothread", id=str(id))
    _add(disk, "source", **{"dev" if plan.type == "block" else "file": plan.source})
    _add(disk, "target", dev=plan.target, bus=plan.bus)
    if plan.boot is not None:
        _add(disk, "boot", order=str(plan.boot))
    if plan.address is not None:
        _address(disk, plan.address)
    else:
        _add(disk, "address", type="drive", controller="0", bus="0", target="0", unit=str(plan.unit))


def _controllers(root: etree._Element, guest: GuestPlan) -> None:
    if guest.usb_address is None:
        _add(root, "controller", type="usb", index="0", model="none")
    else:
        _address(_add(root, "controller", type="usb", index="0", model="qemu-xhci", ports="15"), guest.usb_address)
    if guest.arch == X86:
        _address(_add(root, "controller", type="sata", index="0"), _AHCI)
    if guest.scsi_address is not None:
        scsi = _add(root, "controller", type="scsi", index="0", model="virtio-scsi")
        # Queues, depth and the I/O thread are the controller's, whichever disk asks.
        disks = [disk for disk in guest.disks if disk.bus == "scsi"]
        most = {
            "queues": [disk.queues or 0 for disk in disks],
            "cmd_per_lun": [disk.cmd_per_lun or 0 for disk in disks],
        }
        asked = {name: str(max(values)) for name, values in most.items() if any(values)}
        lengths = [disk.max_sectors for disk in disks if disk.max_sectors is not None]
        asked |= {"max_sectors": str(min(lengths))} if lengths else {}
        threads = [disk.iothread for disk in disks if disk.iothread is not None]
        asked |= {"iothread": str(threads[0])} if threads else {}
        if asked:
            _add(scsi, "driver", **asked)
        _address(scsi, guest.scsi_address)
    _add(root, "controller", type="pci", index="0", model="pcie-root")
    expanders = {one.index: one for one in guest.expanders}
    for number, address in enumerate(guest.root_ports, 1):
        if number in expanders:
            _expander(root, expanders[number], address)
            continue
        port = _add(root, "controller", type="pci", index=str(number), model="pcie-root-port")
        _add(port, "model", name="pcie-root-port")
        _add(port, "target", chassis=str(number), port=f"0x{address.slot << 3 | address.function:x}")
        if address.function or address.bus:
            _address(port, address)
        else:
            _address(port, address, multifunction="on")


def _expander(root: etree._Element, plan: ExpanderPlan, address: PciAddress) -> None:
    """A root complex of its own on a node of the guest's."""
    expander = _add(root, "controller", type="pci", index=str(plan.index), model="pcie-expander-bus")
    _add(expander, "model", name="pxb-pcie")
    _add(_add(expander, "target", busNr=str(plan.bus_number)), "node").text = str(plan.cell)
    _address(expander, address)


def _nic(root: etree._Element, plan: NicPlan) -> None:
    if plan.device is not None:
        nic = _add(root, "interface", type="hostdev", managed="yes")
        _add(nic, "mac", address=plan.mac)
        _add(nic, "driver", name="vfio")
        # A virtual function: its address of the host has a type here, in <hostdev> it has none.
        _address(_add(nic, "source"), plan.device)
    else:
        kind, source = _other_end(plan)
        nic = _add(root, "interface", type=kind)
        _add(nic, "mac", address=plan.mac)
        _add(nic, "source", **source)
        _add(nic, "model", type=plan.model)
        rings = {"queues": plan.queues, "rx_queue_size": plan.rx_queue_size, "tx_queue_size": plan.tx_queue_size}
        asked = {name: str(value) for name, value in rings.items() if value is not None}
        if asked:
            vhost = {"name": "vhost"} if plan.socket is None else {}
            _add(nic, "driver", **vhost, **asked)
    _address(nic, plan.address)


def _other_end(plan: NicPlan) -> tuple[str, dict[str, str]]:
    """The type of an interface, and what its source says."""
    if plan.socket is not None:
        return "vhostuser", {"type": "unix", "path": plan.socket, "mode": plan.mode}
    if plan.network is not None:
        return "network", {"network": plan.network}
    if plan.direct is not None:
        return "direct", {"dev": plan.direct, "mode": plan.mode}
    return "bridge", {"bridge": plan.bridge or ""}


def _mdev(root: etree._Element, plan: MdevPlan) -> None:
    hostdev = _add(root, "hostdev", mode="subsystem", type="mdev", managed="no", model="vfio-pci", display="off")
    _add(_add(hostdev, "source"), "address", uuid=plan.uuid)
    _address(hostdev, plan.address)


def _hostdev(root: etree._Element, plan: HostdevPlan) -> None:
    hostdev = _add(root, "hostdev", mode="subsystem", type="pci", managed="yes")
    _add(hostdev, "driver", name="vfio", **({"iommufd": "yes"} if plan.iommufd else {}))
    _address(_add(hostdev, "source"), plan.device, typed=False)
    _address(hostdev, plan.address)
