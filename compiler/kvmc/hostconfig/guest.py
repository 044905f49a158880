"""A guest's plan from its site, placement and identity, with the gates that only a platform can decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import host as codes
from kvmc.diagnostics.text import counted
from kvmc.hostconfig.expanders import expanders as expanders_of
from kvmc.hostconfig.expanders import port_address
from kvmc.hostconfig.fleet import Baseline
from kvmc.hostconfig.guest_gates import Gate, check_cpu, check_machine
from kvmc.hostconfig.guest_io import check_machine_parts, disk_threads, fill, needs_shared_memory
from kvmc.hostconfig.guest_topology import CpuShape, cell_distances, cpu_shape, highest_apic_id
from kvmc.hostconfig.identity import MAX_PORTS, root_port, target_index
from kvmc.hostconfig.plan import DiskPlan, GuestCell, GuestPlan, HostdevPlan, MdevPlan, NicPlan, RawElement
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.origins import Origins, Path
from kvmc.model.site import (
    Disk,
    Emulator,
    Host,
    Iothread,
    IrqAffinity,
    MemoryMode,
    Pinning,
    Platform,
    Scheduler,
    Site,
    Vm,
)
from kvmc.resolver.locks import Identity
from kvmc.resolver.placement import CellPlacement, GuestPlacement
from kvmc.topology import Topology

DIRECT_CACHES = ("none", "directsync")
"""Cache modes that open the disk with O_DIRECT, which QEMU's aio=native needs."""

_AMD = ("AuthenticAMD", "HygonGenuine")
_FIRST_WIDE_APIC_ID = 255
"""xAPIC's broadcast id: this and above need x2APIC, and interrupts remapped to reach it."""


def derive_guest(
    vm: Vm,
    guest: GuestPlacement,
    identity: Identity,
    host: Host,
    platform: Platform,
    topology: Topology,
    site: Site,
    origins: Origins,
    baseline: Baseline | None = None,
    housekeeping: CpuSet = CpuSet(),  # noqa: B008 - immutable
) -> tuple[GuestPlan, Bag]:
    """All that a guest's definition says. Errors: what its host's platform is too old for or its devices cannot do, each at the
    setting that asked; the plan is whole even then, but not to be rendered. baseline: the CPU for `cpu = baseline`."""
    gate = Gate(vm, host, platform, origins)
    check_machine(gate, topology.arch)
    check_cpu(gate)
    check_machine_parts(gate)
    return _Guest(gate, guest, identity, topology, site, baseline, housekeeping).derive(), gate.bag


class _Guest:
    """One derivation: what its steps share."""

    def __init__(
        self,
        gate: Gate,
        guest: GuestPlacement,
        identity: Identity,
        topology: Topology,
        site: Site,
        baseline: Baseline | None,
        housekeeping: CpuSet,
    ) -> None:
        self.housekeeping = housekeeping
        self.gate = gate
        self.vm = gate.vm
        self.guest = guest
        self.identity = identity
        self.topology = topology
        self.site = site
        self.baseline = baseline

    def derive(self) -> GuestPlan:
        vm, guest = self.vm, self.guest
        dedicated = vm.pinning is not Pinning.SHARED
        shape = self._shape(dedicated)
        iothreads = disk_threads(self.gate)
        disks = tuple(self._disk(disk, iothreads) for disk in vm.disks.values())
        nics, hostdevs = self._passed_and_nics()
        addresses = self.identity.addresses
        expanders = expanders_of(addresses)
        last = max((address.bus for address in addresses.values()), default=0)
        return GuestPlan(
            name=vm.name,
            uuid=self.identity.uuid,
            title=f"{vm.name} ({self.site.name})",
            type=vm.type,
            machine=vm.machine,
            firmware=vm.firmware,
            emulator_path=self.gate.platform.emulator,
            vcpus=vm.vcpus,
            memory_kib=vm.memory_kib,
            pages_kib=vm.pages_kib,
            locked=vm.locked,
            dedicated=dedicated,
            floating=self._floating(),
            pins=tuple(pin for _, pin in sorted(self._pins())),
            emulator=guest.emulator,
            iothreads=max((max(ids) for ids in iothreads.values()), default=0),
            iothread_masks=self._iothread_masks(iothreads),
            scheduler=vm.scheduler.value,
            priority=vm.priority if vm.scheduler is Scheduler.FIFO else 0,
            isolated=vm.isolation.value == "boot",
            cells=self._cells(),
            topology=shape.topology,
            cpu=self.baseline.model if self.baseline is not None else vm.cpu,
            cache=shape.cache,
            pmu=vm.pmu,
            disks=disks,
            nics=nics,
            hostdevs=hostdevs,
            root_ports=tuple(
                port_address(number, expanders) or root_port(number) for number in range(1, min(last, MAX_PORTS) + 1)
            ),
            expanders=expanders,
            scsi_address=addresses.get("scsi"),
            balloon_address=addresses.get("balloon"),
            rng_address=addresses["rng"],
            blocks=(f"vm {vm.name}", *(f"class {name}" for name in vm.lineage)),
            cpu_features=self._features(shape),
            viommu=self.topology.arch != "aarch64" and highest_apic_id(shape.topology) >= _FIRST_WIDE_APIC_ID,
            arch=self.topology.arch,
            migratable=vm.migratable,
            maxphysaddr=vm.maxphysaddr == "passthrough",
            reason=vm.reason,
            shared_memory=needs_shared_memory(vm),
            clock=vm.clock,
            hyperv=vm.hyperv,
            tpm=vm.tpm,
            usb_address=addresses.get("usb"),
            secure_boot=vm.secure_boot,
            launch_security=vm.launch_security,
            mdevs=tuple(MdevPlan(one.name, one.uuid, addresses[f"mdev {one.name}"]) for one in vm.mdevs.values()),
            irqs=self._irqs(),
            raws=self._raws(),
        )

    def _irqs(self) -> CpuSet:
        if self.vm.irq_affinity is IrqAffinity.DEVICE:
            return CpuSet()
        from kvmc.hostconfig.irqs import asked_irqs

        return asked_irqs(self.gate, self.guest, self.topology, self.housekeeping)

    def _raws(self) -> tuple[RawElement, ...]:
        if not self.vm.raws:
            return ()
        from kvmc.hostconfig.raw_places import stands_instead
        from kvmc.hostconfig.raw_xml import parse

        found = []
        for raw in self.vm.raws.values():
            at, text = raw.at or "", raw.value or ""
            element = parse(text, at)
            instead = stands_instead(at, element) if not isinstance(element, str) else None
            found.append(RawElement(raw.key, at, text, raw.reason or "", instead))
        return tuple(found)

    def _features(self, shape: CpuShape) -> tuple[tuple[str, str], ...]:
        """What differs from the model's features: those of the shape win, since the topology depends on them."""
        asked = dict(self.baseline.features) if self.baseline is not None else {}
        asked |= dict.fromkeys(self.vm.require, "require") | dict.fromkeys(self.vm.disable, "disable")
        return tuple(sorted((asked | dict(shape.features)).items()))

    # -- CPUs and memory

    def _pins(self) -> Iterable[tuple[int, CpuSet]]:
        for cell in self.guest.cells:
            yield from zip(cell.vcpus, cell.pins, strict=True)

    def _floating(self) -> CpuSet:
        return self.vm.floating if self.vm.pinning is Pinning.MIXED else CpuSet()

    def _shape(self, dedicated: bool) -> CpuShape:
        shape = cpu_shape(
            [cell for cell in self.guest.cells if cell.vcpus],
            self.topology,
            pinned=dedicated,
            floating=self._floating(),
            host_cpu=self.vm.cpu == "host-passthrough",
            amd=self.vm.type == "kvm" and self._amd_cpu(),
            dies_known=self.gate.platform.libvirt.since(6, 1),
            arm=self.topology.arch == "aarch64",
        )
        if shape.hidden:
            self.gate.tell(
                codes.TOPOLOGY_FLAT,
                f"guest `{self.vm.name}` is not shown all that its vCPUs share on host `{self.gate.host.name}`",
                self.gate.path(),
                notes=shape.hidden,
            )
        return shape

    def _amd_cpu(self) -> bool:
        """Whether the guest's CPU is AMD's or Hygon's: the host's, of which KVM guests cannot have another. SVM tells where the
        vendor is not known."""
        cpu = self.topology.cpu
        return cpu.vendor in _AMD if cpu.vendor is not None else "svm" in cpu.features or self.vm.cpu.startswith("EPYC")

    def _cells(self) -> tuple[GuestCell, ...]:
        cells, mode = self.guest.cells, self.vm.numatune
        if not all(cell.vcpus for cell in cells):
            self.gate.need("a guest node without vCPUs", self.gate.path("node"), libvirt=(6, 6), qemu=(2, 7))
        distances = cell_distances([cell.node for cell in cells], self.topology)
        return tuple(
            GuestCell(index, cell.vcpus, cell.memory_kib, cell.node, row, mode.value, self._memory_nodes(cell))
            for index, (cell, row) in enumerate(zip(cells, distances, strict=True))
        )

    def _iothread_masks(self, iothreads: Mapping[str, tuple[int, ...]]) -> tuple[CpuSet, ...]:
        """Each I/O thread beside the controllers of its disks; empty where none has one to be beside."""
        nodes: dict[int, CpuSet] = {}
        for disk, ids in iothreads.items():
            found = self._controller_nodes(disk)
            for number in ids:
                # who serves a disk that may be anywhere stays where the emulator is
                nodes[number] = nodes.get(number, found) | found if found and nodes.get(number, found) else CpuSet()
        if not any(nodes.values()):
            return ()
        own = self.vm.emulator is Emulator.OWN
        choose_from = self.guest.emulator if own else self.housekeeping
        masks = []
        for number in sorted(nodes):
            near = union(node.cpus for node in self.topology.nodes if node.id in nodes[number]) & choose_from
            masks.append(near or self.guest.emulator)
        return tuple(masks)

    def _controller_nodes(self, disk: str) -> CpuSet:
        """The nodes of a disk's controllers that the host has."""
        name = self.vm.disks[disk].storage
        controllers = self.site.storages[name].controller or ()
        pci = self.topology.pci or {}
        here = [pci[address] for address in controllers if address in pci]
        if controllers and not here:
            self.gate.tell(
                codes.CONTROLLER_ABSENT,
                f"host `{self.gate.host.name}` has no PCI device {' or '.join(f'`{one}`' for one in controllers)}, the controller "
                f"of storage `{name}`, where disk `{disk}` of guest `{self.vm.name}` is",
                ("storage", name, "controller"),
                help=["name the controllers of all hosts, as in `controller = [A, B]`"],
            )
        return CpuSet.of(device.node for device in here if device.node is not None)

    def _memory_nodes(self, cell: CellPlacement) -> CpuSet:
        """The nodes that interleaved memory goes round, or the one of its kind; preferred memory names its own node alone, and
        takes others' as it needs."""
        if self.vm.numatune is MemoryMode.PREFERRED:
            return CpuSet()
        return CpuSet.of(node for node, _ in cell.memory)

    # -- devices

    def _check_queues(self, queues: int | None, path: Path) -> None:
        if queues is not None and queues > self.vm.vcpus:
            self.gate.tell(
                codes.QUEUES_OVER_VCPUS,
                f"`{' '.join(path[2:4])}` of guest `{self.vm.name}` has {counted(queues, 'queue')}, the guest "
                f"{counted(self.vm.vcpus, 'vCPU')}",
                (*path, "queues"),
                help=[f"set `queues = {self.vm.vcpus}`"],
            )

    def _disk(self, disk: Disk, iothreads: Mapping[str, tuple[int, ...]]) -> DiskPlan:
        path = self.gate.path("disk", disk.name)
        assert disk.io != "native" or disk.cache in DIRECT_CACHES, "the schema pass refuses it"
        if disk.io == "io_uring":
            self.gate.need("`io = io_uring`", (*path, "io"), libvirt=(6, 3), qemu=(5, 0))
        if disk.queues is not None:
            self.gate.need("`queues` of a disk", (*path, "queues"), libvirt=(3, 9), qemu=(2, 7))
        self._check_queues(disk.queues, path)
        storage = self.site.storages[disk.storage]
        threads = iothreads.get(disk.name, ())
        target = self.identity.targets[disk.name]
        virtio = disk.bus == "virtio"
        return DiskPlan(
            name=disk.name,
            type=storage.type,
            source=fill(storage.source, {"vm": self.vm.name, "disk": disk.name}),
            bus=disk.bus,
            format=disk.format,
            cache=disk.cache,
            io=disk.io,
            discard=disk.discard,
            queues=disk.queues if disk.bus != "sata" else None,
            iothread=threads[0] if len(threads) == 1 else None,
            boot=disk.boot,
            target=target,
            address=self.identity.addresses[f"disk {disk.name}"] if virtio else None,
            unit=None if virtio else target_index(target),
            own_iothread=disk.iothread is Iothread.OWN and disk.name in iothreads,
            iothreads=threads if len(threads) > 1 else (),
            queue_size=disk.queue_size,
            cmd_per_lun=disk.cmd_per_lun,
            max_sectors=disk.max_sectors,
        )

    def _passed_and_nics(self) -> tuple[tuple[NicPlan, ...], tuple[HostdevPlan, ...]]:
        """NICs and passed functions. libvirt sets a MAC on virtual functions alone: a NIC that is a whole device is a hostdev."""
        nics: list[NicPlan] = []
        hostdevs: list[HostdevPlan] = []
        for nic in self.vm.nics.values():
            path = self.gate.path("nic", nic.name)
            address = self.identity.addresses[f"nic {nic.name}"]
            device = self.guest.devices.get(("nic", nic.name))
            whole = nic.device is not None and not self._is_vf(nic.device, nic.name)
            if whole and nic.mac is not None:
                self.gate.tell(
                    codes.DEVICE_KEEPS,
                    f"`mac` cannot be set: `nic {nic.name}` of guest `{self.vm.name}` is the whole device `{device}`",
                    (*path, "mac"),
                    secondary=[
                        self.gate.origins.label(("host", self.gate.host.name, "devices", nic.device or ""), "its pool")
                    ],
                    help=["drop `mac`: the device has its own"],
                )
            if device is not None and whole:
                hostdevs.append(HostdevPlan(nic.name, device, address))
                continue
            network = self.site.networks[nic.network] if nic.network is not None else None
            self._check_queues(nic.queues, path)
            socket = fill(nic.socket, {"vm": self.vm.name, "nic": nic.name}) if nic.socket is not None else None
            nics.append(
                NicPlan(
                    nic.name,
                    self.identity.macs[nic.name],
                    network.bridge if network else None,
                    device,
                    nic.queues,
                    address,
                    socket,
                    network.mode if network and network.direct else nic.mode,
                    nic.rx_queue_size,
                    nic.tx_queue_size,
                    network.network if network else None,
                    network.direct if network else None,
                    nic.model,
                )
            )
        for hostdev in self.vm.hostdevs.values():
            function = self.guest.devices["hostdev", hostdev.name]
            if hostdev.iommufd:
                path = self.gate.path("hostdev", hostdev.name, "iommufd")
                self.gate.need("`iommufd = true`", path, libvirt=(12, 1), qemu=(9, 0), kernel=(6, 6))
            address = self.identity.addresses[f"hostdev {hostdev.name}"]
            hostdevs.append(HostdevPlan(hostdev.name, function, address, hostdev.iommufd))
        return tuple(nics), tuple(hostdevs)

    def _is_vf(self, pool: str, nic: str) -> bool:
        """Whether the function behind a NIC is a virtual one: made from the pool's parent, or known as one by the topology."""
        device = (self.topology.pci or {}).get(self.guest.devices["nic", nic])
        return self.gate.host.devices[pool].parent is not None or (device is not None and device.parent_pf is not None)
