"""What every guest is known by: uuid, MACs, its own PCI addresses and disk names. What the site says wins, then the lock, then a
value made from names, so that the first build needs no lock and later ones change nothing.

Guest PCI: each device sits alone behind a PCIe root port. Port n is function (n - 1) % 8 of slot 1 + (n - 1) // 8 on bus 0 and
leads to bus n, so a device's address is `0000:<n>:00.0`. Slot 0 is q35's host bridge and slot 31 its ICH9, which leaves slots
1 to 30.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import string
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import host as codes
from kvmc.model.origins import Origins, Path
from kvmc.model.site import Pinning, Site, Vm
from kvmc.model.values import PciAddress
from kvmc.resolver.locks import HostLock, Identity
from kvmc.resolver.placement import Placement
from kvmc.topology.model import Topology

MAX_PORTS = 30 * 8
"""Root ports that fit on slots 1 to 30 of bus 0, eight functions each."""

SATA_PORTS = 6
"""Ports of q35's own AHCI controller (ICH9)."""

_EMPTY = Identity("", {}, {}, {})
_OUI = "52:54:00"
"""QEMU's and libvirt's prefix for generated MACs."""


def root_port(number: int) -> PciAddress:
    """Where root port `number` (from 1) sits on the guest's bus 0."""
    slot, function = divmod(number - 1, 8)
    return PciAddress(0, 0, 1 + slot, function)


def behind(number: int) -> PciAddress:
    """The address of the device behind root port `number`."""
    return PciAddress(0, number, 0, 0)


def target_prefix(bus: str) -> str:
    """What libvirt's names of disks on a bus begin with."""
    return "vd" if bus == "virtio" else "sd"


def target_index(target: str) -> int:
    """The place of a disk name in its series, from 0: vda 0, vdz 25, vdaa 26."""
    index = 0
    for letter in target[2:]:
        index = index * 26 + string.ascii_lowercase.index(letter) + 1
    return index - 1


def target_name(prefix: str, index: int) -> str:
    """The inverse of `target_index`."""
    letters = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        letters = string.ascii_lowercase[letter] + letters
    return prefix + letters


def pci_devices(vm: Vm) -> tuple[str, ...]:
    """The guest's devices that have a PCI address of their own, by their key in `Identity.addresses`, in the order in which new
    ones take ports. A balloon is only there where it could give memory back: not with pinned CPUs, huge pages, locked memory, a
    passed device, whose DMA pins all of it, or memory that the host cannot read."""
    passed = bool(vm.hostdevs or vm.mdevs) or any(nic.device for nic in vm.nics.values())
    private = vm.launch_security != "none"
    keys = [f"disk {name}" for name, disk in vm.disks.items() if disk.bus == "virtio"]
    keys += [f"nic {name}" for name in vm.nics]
    keys += [f"hostdev {name}" for name in vm.hostdevs]
    keys += [f"mdev {name}" for name in vm.mdevs]
    if any(disk.bus == "scsi" for disk in vm.disks.values()):
        keys.append("scsi")
    keys.append("rng")
    if vm.pinning is Pinning.SHARED and vm.pages_kib is None and not vm.locked and not passed and not private:
        keys.append("balloon")
    if vm.usb != "none":
        keys.append("usb")
    return tuple(keys)


def identify(
    site: Site,
    placement: Placement,
    locks: Mapping[str, HostLock],
    origins: Origins,
    topologies: Mapping[str, Topology] = {},
) -> tuple[Mapping[str, Identity], Bag]:
    """An identity for each placed guest, in source order. Errors: a uuid or MAC that two have, a locked address that is no port's
    or taken twice, too many devices. topologies: of the hosts, for guests that see their devices on their nodes."""
    bag = Bag()
    vms = [site.vms[name] for name in placement.guests]
    locked = {vm.name: _locked(vm.name, placement.guests[vm.name].host, locks) for vm in vms}
    uuids = _uuids(site, vms, locked, locks, origins, bag)
    macs = _macs(site, vms, locked, origins, bag)
    return {
        vm.name: Identity(
            uuids[vm.name],
            macs[vm.name],
            _addresses(vm, _cells(site, vm, placement, topologies), locked[vm.name].addresses, origins, bag),
            _targets(vm, locked[vm.name].targets, origins, bag),
        )
        for vm in vms
    }, bag


def _locked(vm: str, host: str, locks: Mapping[str, HostLock]) -> Identity:
    """The identity in the lock of the guest's host, else in that of the host it comes from."""
    for name in (host, *locks):
        if name in locks and vm in locks[name].guests:
            return locks[name].guests[vm].identity
    retired = next((lock.retired[vm] for lock in locks.values() if vm in lock.retired), "")
    return Identity(retired, {}, {}, {}) if retired else _EMPTY


@dataclass(slots=True)
class _Claims:
    """Who has a value: by the value, the path of the setting or block that has it and what that is called."""

    by_value: dict[str, tuple[Path, str]] = field(default_factory=dict)

    def take(self, value: str, path: Path, name: str) -> tuple[Path, str] | None:
        """Claim a value; gives the one who has it already, if any."""
        if value in self.by_value:
            return self.by_value[value]
        self.by_value[value] = (path, name)
        return None


def _uuids(
    site: Site,
    vms: list[Vm],
    locked: Mapping[str, Identity],
    locks: Mapping[str, HostLock],
    origins: Origins,
    bag: Bag,
) -> dict[str, str]:
    namespace = uuid.uuid5(uuid.NAMESPACE_DNS, site.identity)
    claims = _Claims()
    found: dict[str, str] = {}
    for vm in vms:
        path: Path = ("vm", vm.name, "uuid")
        was = locked[vm.name].uuid.lower()
        value = (vm.uuid or was or str(uuid.uuid5(namespace, vm.name))).lower()
        found[vm.name] = value
        other = claims.take(value, path, vm.name)
        if other is not None:
            bag.error(
                codes.UUID_TWICE,
                f"guests `{other[1]}` and `{vm.name}` both have the uuid `{value}`",
                origins.label(path, f"here for `{vm.name}`"),
                secondary=_labels(origins.label(other[0], f"and for `{other[1]}`")),
                help=["remove one of the two uuids, or remove one guest's entry from `locks/`"],
            )
        elif was and was != value and any(vm.name in lock.guests for lock in locks.values()):
            bag.error(
                codes.UUID_CHANGED,
                f"guest `{vm.name}` changes its uuid from `{was}` to `{value}`",
                origins.label(path),
                notes=["libvirt refuses to define a domain whose name is there under another uuid"],
                help=[f"run `virsh undefine --keep-nvram {vm.name}` on the host before the new definition"],
            )
    return found


def _macs(
    site: Site, vms: list[Vm], locked: Mapping[str, Identity], origins: Origins, bag: Bag
) -> dict[str, dict[str, str]]:
    """MACs by guest and NIC. Those of the site and the lock are claimed first, so a made one gives way to them."""
    claims = _Claims()
    found: dict[str, dict[str, str]] = {vm.name: {} for vm in vms}
    nics = [(vm.name, nic) for vm in vms for nic in vm.nics.values()]
    given = [(name, nic, nic.mac) for name, nic in nics if nic.mac]
    kept = [
        (name, nic, locked[name].macs[nic.name]) for name, nic in nics if not nic.mac and nic.name in locked[name].macs
    ]
    for vm, nic, mac in kept + given:
        path: Path = ("vm", vm, "nic", nic.name, "mac")
        title = f"nic {nic.name}` of `{vm}"
        found[vm][nic.name] = mac.lower()
        other = claims.take(mac.lower(), path, title)
        if other is not None:
            bag.error(
                codes.MAC_TWICE,
                f"`{other[1]}` and `{title}` both have the MAC address `{mac.lower()}`",
                origins.label(path, "here"),
                secondary=_labels(origins.label(other[0], "and here")),
                help=["give one of them another `mac`, or remove its entry from `locks/`"],
            )
    taken = set(claims.by_value)
    for vm, nic in nics:
        if nic.name not in found[vm]:
            mac = next(one for one in _made_macs(f"{site.identity}/{vm}/{nic.name}") if one not in taken)
            found[vm][nic.name] = mac
            taken.add(mac)
    return {vm.name: {nic: found[vm.name][nic] for nic in vm.nics} for vm in vms}


def _made_macs(seed: str) -> Iterator[str]:
    """Candidates, the same on every machine: the seed's digest, then those of the seed with a number."""
    attempt = 0
    while True:
        text = f"{seed}/{attempt}" if attempt else seed
        tail = hashlib.sha256(text.encode()).digest()[:3]
        yield ":".join((_OUI, *(f"{byte:02x}" for byte in tail)))
        attempt += 1


def _cells(site: Site, vm: Vm, placement: Placement, topologies: Mapping[str, Topology]) -> dict[str, int]:
    """The guest node that each passed device is shown on; most guests show none."""
    guest = placement.guests[vm.name]
    if not vm.expander or guest.host not in topologies:
        return {}
    from kvmc.hostconfig.expanders import device_cells

    return device_cells(vm, guest, site.hosts[guest.host], topologies[guest.host])


def _addresses(
    vm: Vm, cells: Mapping[str, int], locked: Mapping[str, PciAddress], origins: Origins, bag: Bag
) -> dict[str, PciAddress]:
    keys = pci_devices(vm)
    if len(keys) > MAX_PORTS:
        bag.error(
            codes.TOO_MANY_DEVICES,
            f"guest `{vm.name}` has {len(keys)} PCI devices, its machine takes {MAX_PORTS}",
            origins.label(("vm", vm.name)),
        )
    taken: dict[PciAddress, str] = {}
    for key in keys:
        address = locked.get(key)
        if address is None:
            continue
        problem = None
        if not 1 <= address.bus <= MAX_PORTS or address != behind(address.bus):
            problem = "is not behind a root port"
        elif address in taken:
            problem = f"is also that of `{taken[address]}`"
        if problem is None:
            taken[address] = key
            continue
        bag.error(
            codes.ADDRESS_UNUSABLE,
            f"the locked address `{address}` of `{key}` in guest `{vm.name}` {problem}",
            origins.label(("vm", vm.name, *key.split(" "))),
            notes=[f"devices sit at `0000:NN:00.0`, NN from 01 to {MAX_PORTS:02x}"],
            help=["remove the address from the lock of the guest's host; the device then moves to a free one"],
        )
    if cells:
        from kvmc.hostconfig.expanders import MOST_RUNS, RUN, lay

        found = lay(keys, cells, {key: address for address, key in taken.items()}, locked)
        if found is not None:
            return found
        bag.error(
            codes.TOO_MANY_DEVICES,
            f"guest `{vm.name}` has {len(keys)} PCI devices, {len(cells)} of them on expander buses: they need more than "
            f"{MOST_RUNS * RUN} buses",
            origins.label(("vm", vm.name, "passed", "expander")),
            help=["set `expander = false`"],
        )
    free = (behind(port) for port in itertools.count(1) if behind(port) not in taken)
    by_key = {key: address for address, key in taken.items()}
    return {key: by_key.get(key) or next(free) for key in keys}


def _targets(vm: Vm, locked: Mapping[str, str], origins: Origins, bag: Bag) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, disk in vm.disks.items():
        target = locked.get(name, "")
        body = target[2:]
        known = target[:2] == target_prefix(disk.bus) and body.isascii() and body.isalpha() and body.islower()
        if known and target not in kept.values():
            kept[name] = target
    raw = "".join(one.value or "" for one in vm.raws.values())
    taken = {*kept.values(), *re.findall(r"<target[^<>]*\bdev\s*=\s*[\"']([a-z]+)[\"']", raw)}
    found: dict[str, str] = {}
    for name, disk in vm.disks.items():
        prefix = target_prefix(disk.bus)
        index = 0
        while name not in kept and target_name(prefix, index) in taken:
            index += 1
        found[name] = kept.get(name) or target_name(prefix, index)
        taken.add(found[name])
        if disk.bus == "sata" and target_index(found[name]) >= SATA_PORTS:
            bag.error(
                codes.TOO_MANY_DEVICES,
                f"disk `{name}` of guest `{vm.name}` would be port {target_index(found[name])} of its SATA controller, "
                f"which has ports 0 to {SATA_PORTS - 1}",
                origins.label(("vm", vm.name, "disk", name)),
                help=["use `bus = virtio` or `bus = scsi`"],
            )
    return found


def _labels(label: Label | None) -> tuple[Label, ...]:
    return (label,) if label is not None else ()
