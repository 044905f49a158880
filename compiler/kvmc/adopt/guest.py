"""One domain as a guest of the language: its settings, its blocks, what may become raw, its identity and its placement.

Nothing here says what gets lost: the built domain is compared with the original as a whole (compare.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kvmc.adopt.ends import network_of, template_of, within
from kvmc.adopt.leftover import leftover, on_sata
from kvmc.adopt.numbers import cpus, pci, size_kib
from kvmc.adopt.place import cells_of, place
from kvmc.adopt.words import REASON, Block, Network, RawCandidate, path_word, text_word
from kvmc.hostconfig.identity import behind
from kvmc.knowledge.cpu_features import ARM, COSTLY, NO_MIGRATION, X86
from kvmc.knowledge.cpu_models import cpu_models
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress, size_text
from kvmc.resolver.locks import Identity
from kvmc.resolver.placement import GuestPlacement

if TYPE_CHECKING:
    from lxml.etree import _Element

    from kvmc.topology.model import Topology

_NICS = ("virtio", "e1000e", "e1000", "rtl8139")
_HYPERV = ("relaxed", "vapic", "spinlocks", "vpindex", "synic", "stimer")


@dataclass(slots=True)
class Adopted:
    """A guest. settings: as the language writes them. pools: device pools by name -> address. networks, storages: blocks of the
    site that it needs. why: why the original's placement is none that a lock can hold; empty where it may be one."""

    name: str
    original: str
    file: str
    root: _Element
    settings: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    raws: list[RawCandidate] = field(default_factory=list)
    pools: dict[str, PciAddress] = field(default_factory=dict)
    networks: list[Network] = field(default_factory=list)
    storages: dict[tuple[str, str], str] = field(default_factory=dict)
    identity: Identity = field(default_factory=lambda: Identity("", {}, {}, {}))
    placement: GuestPlacement | None = None
    why: str = ""
    owns: CpuSet = field(default_factory=CpuSet)
    """Its vCPUs that are pinned to one CPU each."""

    @property
    def dedicated(self) -> bool:
        return self.settings.get("pinning") != "shared"


def adopt_guest(name: str, file: str, root: _Element, topology: Topology, host: str, qemu: str) -> Adopted:
    """qemu: the version of the platform's, for machines that are aliases."""
    guest = Adopted(name, _text(root, "name"), file, root)
    _Reader(guest, topology, host, qemu).read()
    return guest


def _text(node: _Element, path: str) -> str:
    return (node.findtext(path) or "").strip()


class _Reader:
    def __init__(self, guest: Adopted, topology: Topology, host: str, qemu: str) -> None:
        self.guest, self.root, self.topology, self.host, self.qemu = guest, guest.root, topology, host, qemu
        self.macs: dict[str, str] = {}
        self.addresses: dict[str, PciAddress] = {}
        self.targets: dict[str, str] = {}
        self.devices: dict[tuple[str, str], PciAddress] = {}
        self.modelled: dict[_Element, str] = {}
        self.set = guest.settings

    def read(self) -> None:
        self._size()
        self._machine()
        self._cpu()
        self._devices()
        self.guest.raws = leftover(self.root, self.modelled)
        taken = dict.fromkeys(self.addresses.values())
        uuid = _text(self.root, "uuid").lower()
        plain = re.fullmatch(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", uuid)
        bare = uuid.replace("-", "")
        cut = "-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:])) if plain else ""
        assert len(taken) == len(self.addresses)
        self.guest.identity = Identity(cut, self.macs, self.addresses, self.targets)
        guest = self.guest
        cells = cells_of(self.root, self.vcpus, self.memory)
        guest.placement, guest.why = place(
            guest.name, self.host, self.root, cells, self.pins, guest.owns, self.devices, self.topology
        )

    def _size(self) -> None:
        root = self.root
        vcpu = _text(root, "vcpu")
        self.vcpus = int(vcpu) if re.fullmatch(r"[1-9][0-9]{0,3}", vcpu) else 1
        memory = root.find("memory")
        self.memory = size_kib(_text(root, "memory"), memory.get("unit") if memory is not None else None) or 1024 * 1024
        cells = [size_kib(one.get("memory", ""), one.get("unit")) for one in root.iterfind("cpu/numa/cell")]
        if cells and all(cells):
            self.memory = sum(cells)  # what is plugged in beside is counted in <memory> as well
        if root.get("type") == "qemu":
            self.set["type"] = "qemu"
        self.set["vcpus"] = str(self.vcpus)
        unit = 1024  # memory is whole MiB, and whole pages, in each node
        pages = root.find("memoryBacking/hugepages")
        page = pages.find("page") if pages is not None else None
        if pages is not None:
            size = (size_kib(page.get("size", ""), page.get("unit")) if page is not None else 0) or 2048
            if size & (size - 1) == 0 and 64 <= size <= 1 << 24:
                self.set["pages"] = size_text(size)
                unit = max(unit, size)
        unit *= max(1, len(cells))
        self.memory = -(-self.memory // unit) * unit
        self.set["memory"] = size_text(self.memory)
        if root.find("memoryBacking/locked") is not None:
            self.set["locked"] = "true"
        self.pins = {
            int(one.get("vcpu", "-1")): cpus(one.get("cpuset"))
            for one in root.iterfind("cputune/vcpupin")
            if re.fullmatch(r"[0-9]{1,4}", one.get("vcpu", ""))
        }
        owns = CpuSet.of(vcpu for vcpu in range(self.vcpus) if len(self.pins.get(vcpu, CpuSet())) == 1)
        alone = len(owns) == self.vcpus
        if owns and not alone:
            self.set |= {"pinning": "mixed", "dedicated": str(owns)}
        elif not alone:
            self.set["pinning"] = "shared"
        self.guest.owns = owns
        self._nodes(cells)
        sched = root.find("cputune/vcpusched")
        if alone and sched is not None and sched.get("scheduler") == "fifo":
            self.set["scheduler"] = "fifo"
            self.set["priority"] = sched.get("priority", "1")

    def _nodes(self, sizes: list[int]) -> None:
        """Guest nodes: a number of them, or each one where they are not alike."""
        cells = cells_of(self.root, self.vcpus, self.memory)
        if len(cells) < 2 or not all(sizes):
            return
        each, rest = divmod(self.vcpus, len(cells))
        even = [each + (index < rest) for index in range(len(cells))]
        if len(set(sizes)) == 1 and [len(vcpus) for _, vcpus, _ in cells] == even:
            self.set["nodes"] = str(len(cells))
            return
        if sum(len(vcpus) for _, vcpus, _ in cells) == self.vcpus and all(vcpus for _, vcpus, _ in cells):
            self.set["memory"] = size_text(sum(sizes))
            for number, (_, vcpus, memory) in enumerate(cells):
                settings = {"vcpus": str(len(vcpus)), "memory": size_text(memory)}
                self.guest.blocks.append(Block("node", str(number), settings))

    def _machine(self) -> None:
        root, told = self.root, self.root.find("os/type")
        machine = told.get("machine", "") if told is not None else ""
        version = re.search(r"-((?:rhel)?[0-9]+\.[0-9]+(?:\.[0-9]+)?|[a-z]{5,9}(?:-v[0-9]+)?)$", machine)
        family = "virt" if self.topology.arch == "aarch64" else "pc-q35"
        self.set["machine"] = f"{family}-{version[1] if version else self.qemu}"
        loader = root.find("os/loader")
        os = root.find("os")
        uefi = (os is not None and os.get("firmware") == "efi") or (
            loader is not None and loader.get("type") == "pflash"
        )
        if not uefi and family != "virt":
            self.set["firmware"] = "bios"
        features = {one.get("name"): one.get("enabled") for one in root.iterfind("os/firmware/feature")}
        if uefi and (features.get("secure-boot") == "yes" or (loader is not None and loader.get("secure") == "yes")):
            self.set["secure_boot"] = "true"
        clock = root.find("clock")
        if clock is not None and clock.get("offset") == "localtime":
            self.set["clock"] = "localtime"
        hyperv = root.find("features/hyperv")
        if hyperv is not None and any(_on(hyperv.find(name)) for name in _HYPERV):
            self.set["hyperv"] = "true"
        pmu = root.find("features/pmu")
        if pmu is not None and pmu.get("state") == "off":
            self.set["pmu"] = "false"
        tpm = root.find("devices/tpm/backend")
        if tpm is not None and tpm.get("type") == "emulator" and tpm.get("version", "2.0") == "2.0":
            self.set["tpm"] = "true"

    def _cpu(self) -> None:
        cpu = self.root.find("cpu")
        mode = cpu.get("mode", "custom") if cpu is not None else "custom"
        model = _text(cpu, "model") if cpu is not None else ""
        if mode in ("host-model", "maximum"):
            self.set["cpu"] = mode
        elif mode == "custom":
            self.set["cpu"] = model if model in cpu_models() else "host-model"
        if cpu is None:
            return
        if mode == "host-passthrough" and cpu.get("migratable") == "off":
            self.set["migratable"] = "false"
        bits = cpu.find("maxphysaddr")
        if bits is not None and bits.get("mode") == "passthrough":
            self.set["maxphysaddr"] = "passthrough"
        for policy, same in (("require", ("require", "force")), ("disable", ("disable", "forbid"))):
            found = sorted(
                {one.get("name", "") for one in cpu.iterfind("feature") if one.get("policy", "require") in same}
                - {"", "topoext"}
            )
            found = [name for name in found if name in (ARM if self.topology.arch == "aarch64" else X86)]
            if found:
                self.set[policy] = f"[{', '.join(found)}]"
                if policy == "disable" and COSTLY & set(found):
                    self.set["reason"] = text_word(REASON)
                if policy == "require" and NO_MIGRATION & set(found) and mode == "host-passthrough":
                    self.set["migratable"] = "false"

    def _devices(self) -> None:
        labels: set[str] = set()
        for disk in self.root.iterfind("devices/disk"):
            self._disk(disk, labels)
        for number, nic in enumerate(self.root.iterfind("devices/interface")):
            self._nic(nic, f"eth{number}")
        for number, hostdev in enumerate(self.root.iterfind("devices/hostdev")):
            self._hostdev(hostdev, f"dev{number}")
        for key, path in (("rng", "devices/rng"), ("balloon", "devices/memballoon")):
            self._address(key, self.root.find(path))
        scsi = next((one for one in self.root.iterfind("devices/controller") if one.get("type") == "scsi"), None)
        self._address("scsi", scsi)
        self._usb()

    def _usb(self) -> None:
        """One xHCI controller, where there is one of any kind or something is on USB; and memory that virtiofs can map."""
        controllers = [
            one
            for one in self.root.iterfind("devices/controller")
            if one.get("type") == "usb" and one.get("model") != "none"
        ]
        buses = (
            one.get("bus")
            for path in ("input", "redirdev", "disk/target")
            for one in self.root.iterfind(f"devices/{path}")
        )
        if (
            controllers
            or "usb" in buses
            or self.root.find("devices/smartcard") is not None
            or any(one.get("type") == "usb" for one in self.root.iterfind("devices/hostdev"))
        ):
            self.set["usb"] = "xhci"
        for one in controllers[:1]:
            self._address("usb", one)
        access = [one.get("mode") for one in self.root.iterfind("memoryBacking/access")]
        access += [one.get("memAccess") for one in self.root.iterfind("cpu/numa/cell")]
        drivers = [one.get("type") for one in self.root.iterfind("devices/filesystem/driver")]
        switched = any("socket" in block.settings for block in self.guest.blocks)
        if ("shared" in access or "virtiofs" in drivers) and not switched:
            self.set["shared_memory"] = "true"

    def _address(self, key: str, device: _Element | None) -> None:
        """The guest's own address, where it is one behind a root port and nobody else's."""
        address = pci(device.find("address")) if device is not None else None
        known = address is not None and 1 <= address.bus <= 240 and address == behind(address.bus)
        if address is not None and known and address not in self.addresses.values():
            self.addresses[key] = address

    def _disk(self, disk: _Element, labels: set[str]) -> None:
        source, target, driver = disk.find("source"), disk.find("target"), disk.find("driver")
        kind = disk.get("type", "")
        path = source.get("dev" if kind == "block" else "file", "") if source is not None else ""
        format = driver.get("type", "raw") if driver is not None else "raw"
        if disk.get("device", "disk") != "disk" or kind not in ("block", "file") or not path_word(path):
            return
        bus = target.get("bus", "virtio") if target is not None else "virtio"
        if target is None or format not in ("raw", "qcow2") or bus not in ("virtio", "scsi", "sata", "ide"):
            return
        name = target.get("dev", "")
        template, label = template_of(path, self.guest.original, self.guest.name, name, labels)
        labels.add(label)
        storage = self.guest.storages.setdefault((kind, template), "")
        settings = {"storage": storage, "bus": "sata" if bus == "ide" else bus, "format": format}
        options = dict(driver.attrib) if driver is not None else {}
        for key, values in (
            ("cache", ("none", "writeback", "writethrough", "directsync")),
            ("io", ("native", "threads", "io_uring")),
            ("discard", ("unmap", "ignore")),
        ):
            given = str(options.get(key, ""))
            if given in values:
                settings[key] = given
        settings.setdefault("cache", "writeback")  # QEMU's own default, which the original relies on
        settings.setdefault("io", "native" if settings["cache"] in ("none", "directsync") else "threads")
        settings.setdefault("discard", "ignore")
        if settings["io"] == "native" and settings["cache"] not in ("none", "directsync"):
            settings["io"] = "threads"
        if bus == "virtio":
            settings |= within(options, {"queues": (1, 1024), "queue_size": (2, 1024)})
        if bus == "scsi":
            settings |= self._scsi()
        if bus == "virtio" and options.get("iothread"):
            others = [d for d in self.root.iterfind("devices/disk/driver") if d.get("iothread") == options["iothread"]]
            settings["iothread"] = "own" if len(others) == 1 else "shared"
        boot = disk.find("boot")
        if boot is not None and re.fullmatch(r"[1-9][0-9]{0,2}", boot.get("order", "")):
            settings["boot"] = boot.get("order", "")
        self.guest.blocks.append(Block("disk", label, settings, (kind, template)))
        self.modelled[disk] = f"disk {label}"
        name = on_sata(name) if bus == "ide" else name
        if name[:2] == ("vd" if bus == "virtio" else "sd"):
            self.targets[label] = name
        if bus == "virtio":
            self._address(f"disk {label}", disk)

    def _scsi(self) -> dict[str, str]:
        """Queues and depth of the SCSI controller, which the language has at its disks."""
        found = [one for one in self.root.iterfind("devices/controller") if one.get("type") == "scsi"]
        driver = found[0].find("driver") if len(found) == 1 else None
        values = {key: str(driver.get(key, "")) for key in ("queues", "cmd_per_lun")} if driver is not None else {}
        return {key: value for key, value in values.items() if re.fullmatch(r"[1-9][0-9]{0,2}", value)}

    def _nic(self, nic: _Element, label: str) -> None:
        kind, source, driver = nic.get("type", ""), nic.find("source"), nic.find("driver")
        if source is None:
            return
        settings: dict[str, str] = {}
        if kind == "vhostuser" and source.get("type") == "unix" and path_word(source.get("path", "")):
            settings["socket"] = text_word(source.get("path", ""))
            if source.get("mode") == "client":
                settings["mode"] = "client"
        elif kind == "hostdev":
            pool = self._pool(pci(source.find("address")), ("nic", label))
            if pool is None:
                return
            settings["device"] = pool
        else:
            network = network_of(kind, source)
            told = nic.find("model")
            model = told.get("type", "") if told is not None else "rtl8139"  # libvirt's own choice
            if network is None or model not in _NICS:
                return
            self.guest.networks.append(network)
            if model != "virtio":
                settings["model"] = model
            self.guest.blocks.append(Block("nic", label, settings, network=network))
        options = dict(driver.attrib) if driver is not None and kind != "hostdev" and "model" not in settings else {}
        rings = {"rx_queue_size": (256, 1024), "tx_queue_size": (256, 1024 if "socket" in settings else 256)}
        settings |= within(options, {"queues": (1, 256), **rings})
        mac = nic.find("mac")
        address = mac.get("address", "").lower() if mac is not None else ""
        if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", address):
            self.macs[label] = address
        if kind in ("vhostuser", "hostdev"):
            self.guest.blocks.append(Block("nic", label, settings))
        self.modelled[nic] = f"nic {label}"
        self._address(f"nic {label}", nic)

    def _pool(self, address: PciAddress | None, key: tuple[str, str]) -> str | None:
        if address is None or self.topology.pci is None or address not in self.topology.pci:
            return None
        name = f"pci-{str(address).replace(':', '-').replace('.', '-')}"
        self.guest.pools[name] = address
        self.devices[key] = address
        return name

    def _hostdev(self, hostdev: _Element, label: str) -> None:
        if hostdev.get("type") == "mdev":
            told = hostdev.find("source/address")
            uuid = told.get("uuid", "").lower() if told is not None else ""
            if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid):
                self.set["host"] = self.host  # a mediated device is one host's
                self.guest.blocks.append(Block("mdev", label, {"uuid": f'"{uuid}"'}))
                self.modelled[hostdev] = f"mdev {label}"
                self._address(f"mdev {label}", hostdev)
        elif hostdev.get("type") == "pci":
            pool = self._pool(pci(hostdev.find("source/address")), ("hostdev", label))
            if pool is not None:
                self.guest.blocks.append(Block("hostdev", label, {"device": pool}))
                self.modelled[hostdev] = f"hostdev {label}"
                self._address(f"hostdev {label}", hostdev)


def _on(element: _Element | None) -> bool:
    return element is not None and element.get("state", "on") == "on"
