"""The whole domain of a guest as the site, its platform and its lock have it: the audit's own statement, element by element.

What only the resolver chose (pins without a lock, the functions of a device pool) is free here and judged by the other checks.
"""

from __future__ import annotations

from collections.abc import Iterator

from kvmc.audit import asked_devices, asked_more, asked_raw, document, expanders, visible
from kvmc.audit.context import Context, cells_of
from kvmc.audit.difference import Difference
from kvmc.audit.document import FREE, OPEN, Want
from kvmc.audit.domain import Domain
from kvmc.audit.identities import Known
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Disk, Host, Nic, Pinning, Platform, Scheduler, Site, Vm
from kvmc.model.values import PciAddress

_METADATA = "{urn:kvmc:domain:1}"
_AHCI = PciAddress(0, 0, 0x1F, 2)
_PORTS = 240
"""Root ports on slots 1 to 30 of q35's bus 0."""


def check(context: Context, site: Site, host: Host, vm: Vm, domain: Domain, known: Known) -> Iterator[Difference]:
    """All that differs from the statement. Called where no other check found anything in the domain's file."""
    yield from document.compare(_Statement(context, site, host, vm, domain, known).domain(), domain.root)


class _Statement:
    def __init__(self, context: Context, site: Site, host: Host, vm: Vm, domain: Domain, known: Known) -> None:
        self.context, self.site, self.host, self.vm, self.has, self.known = context, site, host, vm, domain, known
        self.platform: Platform = site.platforms[host.platform]
        # Of pins that are wrong, no topology follows.
        wrong = any(pin.span in context.blamed() for pin in domain.pins.values())
        self.view = None if wrong else visible.expected(context, vm, domain, self.platform)
        self.lock = known.locked
        self.passed = bool(vm.hostdevs or vm.mdevs) or any(nic.device for nic in vm.nics.values())
        self.arm = vm.machine.startswith("virt-")
        self.alone = CpuSet.of(int(name) for name, node in vm.cells.items() if node.memory_kind is not None)
        """Nodes without vCPUs."""
        self.parts: dict[str, Want] = {}
        """Devices by kind and label, for raw elements in them."""

    def domain(self) -> Want:
        vm = self.vm
        root = Want("domain", {"type": vm.type})
        root.add("name", vm.name)
        root.add("uuid", FREE)
        root.add("title", f"{vm.name} ({self.site.name})")
        blocks = root.add("metadata").add(f"{_METADATA}guest")
        for block in (f"vm {vm.name}", *(f"class {name}" for name in vm.lineage)):
            blocks.add(f"{_METADATA}block", block)
        if vm.reason is not None:
            blocks.add(f"{_METADATA}reason", vm.reason)
        for raw in vm.raws.values():
            blocks.keyed(f"{_METADATA}raw", ("name",), raw.reason or "", name=raw.key)
        root.add("memory", FREE, unit=OPEN)
        root.add("currentMemory", FREE, unit=OPEN)
        self._backing(root)
        root.add("vcpu", FREE, placement="?static", cpuset=OPEN)
        threads = len({id for ids in asked_more.threads_of(vm, self.platform).values() for id in ids})
        if threads:
            root.add("iothreads", str(threads))
        self._tuning(root, threads)
        self._firmware(root)
        self._features(root)
        self._cpu(root)
        clock = root.add("clock", offset=vm.clock)
        if not self.arm:
            clock.keyed("timer", ("name",), name="rtc", tickpolicy="catchup")
            clock.keyed("timer", ("name",), name="pit", tickpolicy="delay")
            clock.keyed("timer", ("name",), name="hpet", present="no")
        if vm.hyperv:
            clock.keyed("timer", ("name",), name="hypervclock", present="yes")
        for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
            root.add(event, action)
        if not self.arm:
            power = root.add("pm")
            power.add("suspend-to-mem", enabled="no")
            power.add("suspend-to-disk", enabled="no")
        self._devices(root.add("devices"))
        asked_more.protection(vm, root)
        if vm.raws:
            asked_raw.put(vm, root, self.parts)
        return root

    def _backing(self, root: Want) -> None:
        vm, dedicated = self.vm, self.vm.pinning is not Pinning.SHARED
        mapped = vm.shared_memory or any(nic.socket for nic in vm.nics.values())
        if vm.pages_kib is None and not dedicated and not vm.locked and not mapped:
            return
        backing = root.add("memoryBacking")
        if vm.pages_kib is not None:
            cells = CpuSet.of(range(len(cells_of(self.has)))) - self.alone
            backing.add("hugepages").add("page", size=FREE, unit=OPEN, nodeset=f"?{cells}")
        if dedicated:
            backing.add("nosharepages")
        if vm.locked:
            backing.add("locked")
        asked_more.backing(vm, backing)

    def _tuning(self, root: Want, threads: int) -> None:
        vm = self.vm
        tune = root.add("cputune")
        for vcpu in range(vm.vcpus):
            tune.keyed("vcpupin", ("vcpu",), vcpu=str(vcpu), cpuset=FREE)
        tune.add("emulatorpin", cpuset=FREE)
        for id in range(1, threads + 1):
            tune.keyed("iothreadpin", ("iothread",), iothread=str(id), cpuset=FREE)
        if vm.scheduler is Scheduler.FIFO:
            tune.add("vcpusched", vcpus=FREE, scheduler="fifo", priority=str(vm.priority))
        for tag in ("cachetune", "memorytune"):
            if getattr(vm, tag) is not None:
                tune.add(tag, vcpus=FREE).skip = True  # what it gives is judged by itself
        numa = root.add("numatune")
        mode = vm.numatune.value
        numa.add("memory", mode=mode, nodeset=FREE)
        for cell in range(len(cells_of(self.has))):
            numa.keyed("memnode", ("cellid",), cellid=str(cell), mode=mode, nodeset=FREE)

    def _firmware(self, root: Want) -> None:
        uefi = self.vm.firmware == "uefi"
        os = root.add("os", **({"firmware": "efi"} if uefi else {}))
        os.add("type", "hvm", arch="aarch64" if self.arm else "x86_64", machine=self.vm.machine)
        if uefi:
            firmware = os.add("firmware")
            for name in ("enrolled-keys", "secure-boot"):
                firmware.keyed("feature", ("name",), enabled="yes" if self.vm.secure_boot else "no", name=name)
        if all(disk.boot is None for disk in self.vm.disks.values()):
            os.add("boot", dev="hd")

    def _features(self, root: Want) -> None:
        vm = self.vm
        features = root.add("features")
        features.add("acpi")
        if not self.arm:
            features.add("apic")
            features.add("vmport", state="off")
        else:
            features.add("gic", version="host" if vm.type == "kvm" else "3")
        if vm.secure_boot:
            features.add("smm", state="on")
        asked_more.hyperv(vm, self.platform, features)
        if not self.arm and vm.pinning is Pinning.DEDICATED and vm.type == "kvm" and vm.cpu == "host-passthrough":
            features.add("kvm").add("hint-dedicated", state="on")
        features.add("pmu", state="on" if vm.pmu else "off")
        if self.view and self.view.wide and not self.arm and vm.type == "kvm":
            features.add("ioapic", driver="qemu")

    def _cpu(self, root: Want) -> None:
        vm, libvirt = self.vm, self.platform.libvirt
        if vm.cpu in ("host-passthrough", "maximum"):
            migratable = {"migratable": "on" if vm.migratable else "off"} if libvirt.since(6, 5) else {}
            cpu = root.add("cpu", mode=vm.cpu, check="none", **migratable)
        elif vm.cpu == "host-model":
            cpu = root.add("cpu", mode="host-model", check="partial")
        else:
            cpu = root.add("cpu", mode="custom", match="exact", check="partial")
            cpu.add("model", FREE if vm.cpu == "baseline" else vm.cpu, fallback="forbid")
        view = self.view
        topology = cpu.add("topology", sockets=str(view.sockets) if view else FREE)
        if libvirt.since(6, 1):
            topology.attributes["dies"] = str(view.dies) if view else FREE
        if libvirt.since(10, 1):
            topology.attributes["clusters"] = "1"
        topology.attributes |= {
            "cores": str(view.cores) if view else FREE,
            "threads": str(view.threads) if view else FREE,
        }
        if view and view.cache:
            cpu.add("cache", mode=view.cache)
        asked_more.cpu_features(vm, view, self.has, cpu)
        numa = cpu.add("numa")
        rows = visible.distances(self.context, self.has)
        for index in range(len(cells_of(self.has))):
            cpus = {} if index in self.alone else {"cpus": FREE}
            cell = numa.keyed("cell", ("id",), id=str(index), **cpus, memory=FREE, unit=OPEN)
            if rows is not None:
                told = cell.add("distances")
                for other, value in enumerate(rows[index]):
                    told.keyed("sibling", ("id",), id=str(other), value=str(value))

    # -- devices

    def _address(self, parent: Want, device: str) -> None:
        """The guest's own address: alone behind a root port, on the bus that the lock has."""
        address = self.lock.addresses.get(device) if self.lock else None
        bus = str(address.bus) if address else FREE
        parent.add("address", type="pci", domain="0", bus=bus, slot="0", function="0")

    def _devices(self, devices: Want) -> None:
        vm, libvirt = self.vm, self.platform.libvirt
        devices.add("emulator", self.platform.emulator)
        for disk in vm.disks.values():
            self._disk(devices, disk)
        self._controllers(devices)
        for nic in vm.nics.values():
            self._nic(devices, nic)
        port, model = ("system-serial", "pl011") if self.arm else ("isa-serial", "isa-serial")
        serial = devices.add("serial", type="pty").add("target", type=port, port="0")
        serial.add("model", name=model)
        devices.add("console", type="pty").add("target", type="serial", port="0")
        for kind in () if self.arm else ("mouse", "keyboard"):
            devices.keyed("input", ("type",), type=kind, bus="ps2")
        if libvirt.since(7, 2):
            devices.add("audio", id="1", type="none")
        for hostdev in vm.hostdevs.values():
            self._hostdev(devices, f"hostdev {hostdev.name}")
        for key, mdev in asked_more.devices(vm, self.arm, devices).items():
            self._address(mdev, key)
        if libvirt.since(9, 1) and not self.arm:
            devices.add("watchdog", model="itco", action="reset")
        balloon = vm.pinning is Pinning.SHARED and vm.pages_kib is None and not vm.locked and not self.passed
        balloon = balloon and vm.launch_security == "none"
        memory = devices.add("memballoon", model="virtio" if balloon else "none")
        if balloon:
            self._address(memory, "balloon")
        rng = devices.add("rng", model="virtio")
        rng.add("backend", "/dev/urandom", model="random")
        self._address(rng, "rng")
        if self.view and self.view.wide and not self.arm:
            passed = {"caching_mode": "on"} if self.passed else {}
            devices.add("iommu", model="intel").add("driver", intremap="on", **passed, eim="on")

    def _disk(self, devices: Want, disk: Disk) -> None:
        storage = self.site.storages[disk.storage]
        source = storage.source.replace("{vm}", self.vm.name).replace("{disk}", disk.name)
        at = "dev" if storage.type == "block" else "file"
        want = devices.keyed("disk", (f"source/{at}",), type=storage.type, device="disk")
        self.parts[f"disk {disk.name}"] = want
        options = {"cache": disk.cache, "io": disk.io, "discard": disk.discard}
        driver = want.add("driver", name="qemu", type=disk.format)
        driver.attributes |= {name: value for name, value in options.items() if value != "default"}
        asked_more.disk_driver(disk, asked_more.threads_of(self.vm, self.platform).get(disk.name, ()), driver)
        if disk.queues is not None and disk.bus == "virtio":
            driver.attributes["queues"] = str(disk.queues)
        want.add("source", **{at: source})
        target = self.lock.targets.get(disk.name, FREE) if self.lock else FREE
        # The series of names is the bus's; which of it is the lock's.
        prefix = "vd" if disk.bus == "virtio" else "sd"
        want.add("target", dev=target if target != FREE else f"{prefix}{FREE}", bus=disk.bus)
        if disk.boot is not None:
            want.add("boot", order=str(disk.boot))
        if disk.bus == "virtio":
            self._address(want, f"disk {disk.name}")
        else:
            want.add("address", type="drive", controller="0", bus="0", target="0", unit=FREE)

    def _controllers(self, devices: Want) -> None:
        def controller(kind: str, index: int, **attributes: str) -> Want:
            return devices.keyed("controller", ("type", "index"), type=kind, index=str(index), **attributes)

        def at(parent: Want, address: PciAddress, **more: str) -> None:
            domain, bus, slot, function = map(str, address)
            parent.add("address", type="pci", domain=domain, bus=bus, slot=slot, function=function, **more)

        if self.vm.usb == "none":
            controller("usb", 0, model="none")
        else:
            self._address(controller("usb", 0, model="qemu-xhci", ports="15"), "usb")
        if not self.arm:
            at(controller("sata", 0), _AHCI)
        scsi = [disk for disk in self.vm.disks.values() if disk.bus == "scsi"]
        if scsi:
            want = controller("scsi", 0, model="virtio-scsi")
            served = asked_more.threads_of(self.vm, self.platform).get(scsi[0].name, ())
            asked_more.scsi_driver(scsi, served, want)
            self._address(want, "scsi")
        controller("pci", 0, model="pcie-root")
        on = self._expanders()
        for number in range(1, self._last_port() + 1):
            slot, function = divmod(number - 1, 8)
            above = next((bus for bus in on if bus <= number < bus + 8), None)
            if above == number:
                # Eight buses each, from the highest down, so that none moves when another is added.
                expander = controller("pci", number, model="pcie-expander-bus")
                expander.add("model", name="pxb-pcie")
                expander.add("target", busNr=str(256 - 8 * (slot + 1))).add("node", str(on[number]))
                at(expander, PciAddress(0, 0, slot + 1, 0))
                continue
            port = controller("pci", number, model="pcie-root-port")
            port.add("model", name="pcie-root-port")
            if above is not None:
                port.add("target", chassis=str(number), port=str((number - above - 1) << 3))
                at(port, PciAddress(0, above, number - above - 1, 0))
                continue
            port.add("target", chassis=str(number), port=str((slot + 1) << 3 | function))
            # The first function of a slot tells that there are more.
            more = {} if function else {"multifunction": "on"}
            at(port, PciAddress(0, 0, slot + 1, function), **more)

    def _expanders(self) -> dict[int, int]:
        """The guest node of each expander bus: by the lock, else as the domain has it, which is judged by where devices are."""
        if self.lock:
            names = ((name.split(" "), address.bus) for name, address in self.lock.addresses.items())
            return {bus: int(words[1]) for words, bus in names if words[0] == "expander" and words[1].isdecimal()}
        return {bus: one.node or 0 for bus, one in expanders.read(self.has).expanders.items()}

    def _last_port(self) -> int:
        """The highest bus that a device is to be on: by the lock, else by the devices that are there."""
        if self.lock and self.lock.addresses:
            buses = [address.bus for address in self.lock.addresses.values()]
        else:
            nodes = self.has.root.all("devices")
            addresses = [one.child("address") for all in nodes for one in all.elements() if one.tag != "controller"]
            addresses += [
                one.child("address")
                for one in self.has.root.all("devices", "controller")
                if one.get("type") in ("scsi", "usb")
            ]
            buses = [_number(one.get("bus")) for one in addresses if one is not None and one.get("type") == "pci"]
        return min(max(buses, default=0), _PORTS)

    def _nic(self, devices: Want, nic: Nic) -> None:
        mac = self.known.macs[nic.name]
        if nic.device is not None and not self._virtual(nic.device):
            self._hostdev(devices, f"nic {nic.name}")
            return
        key = ("mac/address",)
        if nic.device is not None:
            want = devices.keyed("interface", key, type="hostdev", managed="yes")
            want.add("mac", address=mac)
            want.add("driver", name="vfio")
            self._function(want.add("source"), f"nic {nic.name}", typed=True)
        else:
            want = asked_more.virtual_nic(self.vm, nic, mac, self.site.networks, devices)
        self.parts[f"nic {nic.name}"] = want
        self._address(want, f"nic {nic.name}")

    def _virtual(self, pool: str) -> bool:
        """Whether the functions of a pool are virtual ones, whose MAC libvirt can set."""
        devices = self.host.devices[pool]
        known = [self.context.device(address) for address in devices.addresses]
        return devices.parent is not None or any(one is not None and one.parent_pf is not None for one in known)

    def _hostdev(self, devices: Want, device: str) -> None:
        want = devices.add("hostdev", mode="subsystem", type="pci", managed="yes")
        if self.lock and device in self.lock.devices:
            want.key = ("source/address/bus", "source/address/slot", "source/address/function")
        one = self.vm.hostdevs.get(device.removeprefix("hostdev "))
        self.parts[device] = want
        want.add("driver", name="vfio", **({"iommufd": "yes"} if one is not None and one.iommufd else {}))
        self._function(want.add("source"), device, typed=False)
        self._address(want, device)

    def _function(self, source: Want, device: str, *, typed: bool) -> None:
        function = self.lock.devices.get(device) if self.lock else None
        parts = map(str, function) if function else [FREE] * 4
        names = ("domain", "bus", "slot", "function")
        source.add("address", **({"type": "pci"} if typed else {}), **dict(zip(names, parts, strict=True)))


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0


def placement(context: Context, vm: Vm, domain: Domain, known: Known) -> Iterator[Difference]:
    """Pins, nodes and the emulator's mask against the lock. I/O threads beside a controller are judged by that."""
    lock = known.locked
    if lock is None:
        return
    vcpus = [vcpu for cell in cells_of(domain) for vcpu in cell.value.vcpus]
    for vcpu, wanted in zip(vcpus, lock.pins, strict=False):
        pin = domain.pins.get(vcpu)
        if pin is not None and pin.value != wanted:
            yield Difference(pin.span, f"has vCPU {vcpu} on CPU {pin.value}, and its lock on {wanted}")
    beside = asked_devices.iothread_nodes(context, vm, domain)
    helpers = [domain.emulator, *(pin for id, pin in domain.iothread_pins.items() if id not in beside)]
    for mask in helpers:
        if mask is not None and mask.value != lock.emulator:
            yield Difference(mask.span, f"has helper threads on CPUs {mask.value}, and its lock on {lock.emulator}")
    if domain.mask is not None and domain.mask.value != union(lock.pins):
        yield Difference(domain.mask.span, f"has vCPUs on CPUs {domain.mask.value}, and its lock on {union(lock.pins)}")
    bound = {at.value.cell: at for at in domain.numa if at.value.cell is not None}
    for cell, node in enumerate(lock.nodes):
        at = bound.get(cell)
        if at is not None and at.value.mode != "interleave" and at.value.nodes != CpuSet.of([node]):
            yield Difference(at.span, f"has cell {cell} on node {at.value.nodes}, and its lock on {node}")
    if len(vcpus) != len(lock.pins) and domain.vcpus is not None:
        yield Difference(domain.vcpus.span, f"has {len(vcpus)} vCPUs, and {len(lock.pins)} in its lock")


def identity(domain: Domain, known: Known) -> Iterator[Difference]:
    """The uuid and the MAC addresses."""
    if domain.uuid is not None and domain.uuid.value != known.uuid:
        yield Difference(domain.uuid.span, f"is to have the uuid {known.uuid} and has {domain.uuid.value[:40]}")
    wanted = set(known.macs.values())
    for nic in domain.nics:
        if nic.value.mac is not None and nic.value.mac.value not in wanted:
            yield Difference(
                nic.value.mac.span, f"has the MAC address {nic.value.mac.value[:40]}, which none of its NICs is to have"
            )
