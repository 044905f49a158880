"""A guest as a domain of libvirt, in the order in which libvirt writes a domain back.

Everything that libvirt would add by itself is here where the platform's release knows it (controllers, addresses, the PS/2 devices,
the machine's own watchdog), so what it keeps is what was reviewed. It adds one thing beside: for UEFI, since 9.2, the paths of the
firmware that it finds on the host.

There is no `hard_limit`, though `<locked/>` lifts the limit of locked memory: a limit has to hold all of QEMU's address space,
which nobody can compute, and one too low kills the guest (libvirt, "hard_limit"). Guest memory itself is bounded by its pages.
"""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from kvmc.hostconfig.plan import GuestPlan
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.values import VersionRange
from kvmc_targets.libvirt.devices import ARM, X86, devices
from kvmc_targets.libvirt.raws import put_raws

METADATA = "urn:kvmc:domain:1"
"""Namespace of what a domain says of its source."""


def domain_text(guest: GuestPlan, libvirt: VersionRange) -> str:
    """The document, without an XML declaration (a comment may come before it), two spaces a level."""
    root = domain(guest, libvirt)
    etree.indent(root, space="  ")
    return etree.tostring(root, encoding="unicode") + "\n"


def domain(guest: GuestPlan, libvirt: VersionRange) -> etree._Element:
    """The domain as a tree."""
    root = etree.Element("domain", type=guest.type)
    _text(root, "name", guest.name)
    _text(root, "uuid", guest.uuid)
    _text(root, "title", guest.title)
    _metadata(root, guest)
    _text(root, "memory", guest.memory_kib, unit="KiB")
    _text(root, "currentMemory", guest.memory_kib, unit="KiB")
    _memory_backing(root, guest)
    _text(root, "vcpu", guest.vcpus, placement="static", cpuset=union(guest.pins))
    if guest.iothreads:
        _text(root, "iothreads", guest.iothreads)
    _cputune(root, guest)
    _numatune(root, guest)
    _os(root, guest)
    _features(root, guest, libvirt)
    _cpu(root, guest, libvirt)
    _clock(root, guest)
    _text(root, "on_poweroff", "destroy")
    _text(root, "on_reboot", "restart")
    _text(root, "on_crash", "destroy")
    if guest.arch == X86:
        # ACPI's S3 and S4 are the PC's.
        power = _add(root, "pm")
        _add(power, "suspend-to-mem", enabled="no")
        _add(power, "suspend-to-disk", enabled="no")
    root.append(devices(guest, libvirt))
    _launch_security(root, guest)
    put_raws(root, guest)
    return root


def _add(parent: etree._Element, tag: str, **attributes: object) -> etree._Element:
    return etree.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})


def _text(parent: etree._Element, tag: str, text: object, **attributes: object) -> None:
    _add(parent, tag, **attributes).text = str(text)


def _metadata(root: etree._Element, guest: GuestPlan) -> None:
    """The blocks that the guest comes from: libvirt drops comments, but keeps this."""
    source = etree.SubElement(_add(root, "metadata"), f"{{{METADATA}}}guest", nsmap={"kvmc": METADATA})
    for block in guest.blocks:
        etree.SubElement(source, f"{{{METADATA}}}block").text = block
    if guest.reason is not None:
        etree.SubElement(source, f"{{{METADATA}}}reason").text = guest.reason
    for raw in guest.raws:
        told = etree.SubElement(source, f"{{{METADATA}}}raw", name=raw.name)
        told.text = raw.reason or None


def _memory_backing(root: etree._Element, guest: GuestPlan) -> None:
    if guest.pages_kib is None and not guest.dedicated and not guest.locked and not guest.shared_memory:
        return
    backing = _add(root, "memoryBacking")
    if guest.pages_kib is not None:
        # The pool's pages are on nodes with CPUs.
        nodes = CpuSet.of(cell.id for cell in guest.cells if cell.vcpus)
        _add(_add(backing, "hugepages"), "page", size=guest.pages_kib, unit="KiB", nodeset=nodes)
    if guest.dedicated:
        _add(backing, "nosharepages")
    if guest.locked:
        _add(backing, "locked")
    if guest.shared_memory:
        _add(backing, "source", type="memfd")
        _add(backing, "access", mode="shared")


def _cputune(root: etree._Element, guest: GuestPlan) -> None:
    tune = _add(root, "cputune")
    for vcpu, pin in enumerate(guest.pins):
        _add(tune, "vcpupin", vcpu=vcpu, cpuset=pin)
    _add(tune, "emulatorpin", cpuset=guest.emulator)
    for iothread in range(1, guest.iothreads + 1):
        _add(tune, "iothreadpin", iothread=iothread, cpuset=guest.iothread_mask(iothread))
    if guest.scheduler != "other":
        vcpus = CpuSet.of(range(guest.vcpus)) - guest.floating
        _add(tune, "vcpusched", vcpus=vcpus, scheduler=guest.scheduler, priority=guest.priority)
    every = CpuSet.of(range(guest.vcpus))
    if guest.cachetune:
        caches = _add(tune, "cachetune", vcpus=every)
        for part in guest.cachetune:
            size, unit = _pretty(part.bytes)
            _add(caches, "cache", id=part.id, level=3, type=part.type, size=size, unit=unit)
    if guest.memorytune:
        nodes = _add(tune, "memorytune", vcpus=every)
        for id, percent in guest.memorytune:
            _add(nodes, "node", id=id, bandwidth=percent)


def _pretty(size: int) -> tuple[int, str]:
    """A size as libvirt writes it back: in the largest unit that it is whole in."""
    units = ["B", "KiB", "MiB", "GiB"]
    while size % 1024 == 0 and len(units) > 1:
        size //= 1024
        del units[0]
    return size, units[0]


def _numatune(root: etree._Element, guest: GuestPlan) -> None:
    tune = _add(root, "numatune")
    first = guest.cells[0]
    # QEMU's own memory follows; libvirt refuses to start with several preferred nodes for it where libnuma has no preferred-many
    own = CpuSet.of(cell.host_node for cell in guest.cells)
    whole = first.memory_nodes if first.mode == "preferred" else own | union(cell.memory_nodes for cell in guest.cells)
    _add(tune, "memory", mode=first.mode, nodeset=whole)
    for cell in guest.cells:
        _add(tune, "memnode", cellid=cell.id, mode=cell.mode, nodeset=cell.memory_nodes)


def _os(root: etree._Element, guest: GuestPlan) -> None:
    os = _add(root, "os")
    if guest.firmware == "uefi":
        os.set("firmware", "efi")
    _text(os, "type", "hvm", arch=guest.arch, machine=guest.machine)
    if guest.firmware == "uefi":
        firmware = _add(os, "firmware")
        secure = "yes" if guest.secure_boot else "no"
        _add(firmware, "feature", enabled=secure, name="enrolled-keys")
        _add(firmware, "feature", enabled=secure, name="secure-boot")
    if all(disk.boot is None for disk in guest.disks):
        _add(os, "boot", dev="hd")


def _features(root: etree._Element, guest: GuestPlan, libvirt: VersionRange) -> None:
    features = _add(root, "features")
    _add(features, "acpi")
    if guest.arch == X86:
        _add(features, "apic")
    if guest.hyperv:
        _hyperv(features, libvirt)
    alone = guest.dedicated and not guest.floating
    if guest.arch == X86 and alone and guest.type == "kvm" and guest.cpu == "host-passthrough":
        # The guest then spins on locks natively, so no vCPU may wait for a CPU; libvirt takes the hint with the host's own CPU
        # model only.
        _add(_add(features, "kvm"), "hint-dedicated", state="on")
    _add(features, "pmu", state="on" if guest.pmu else "off")
    if guest.arch == X86:
        _add(features, "vmport", state="off")
    if guest.secure_boot:
        # The firmware keeps its variables where system management mode alone can write.
        _add(features, "smm", state="on")
    if guest.arch == ARM:
        _add(features, "gic", version="host" if guest.type == "kvm" else "3")
    if guest.viommu and guest.type == "kvm":
        # Interrupts can be remapped only where QEMU has the I/O APIC.
        _add(features, "ioapic", driver="qemu")


def _cpu(root: etree._Element, guest: GuestPlan, libvirt: VersionRange) -> None:
    if guest.cpu in ("host-passthrough", "maximum"):
        cpu = _add(root, "cpu", mode=guest.cpu, check="none")
        if libvirt.since(6, 5):
            cpu.set("migratable", "on" if guest.migratable else "off")
    elif guest.cpu == "host-model":
        cpu = _add(root, "cpu", mode="host-model", check="partial")
    else:
        cpu = _add(root, "cpu", mode="custom", match="exact", check="partial")
        _text(cpu, "model", guest.cpu, fallback="forbid")
    levels = [("sockets", guest.topology.sockets)]
    if libvirt.since(6, 1):
        levels.append(("dies", guest.topology.dies))
    if libvirt.since(10, 1):
        levels.append(("clusters", 1))
    levels += [("cores", guest.topology.cores), ("threads", guest.topology.threads)]
    _add(cpu, "topology", **dict(levels))
    if guest.cache is not None:
        _add(cpu, "cache", mode=guest.cache)
    if guest.maxphysaddr:
        _add(cpu, "maxphysaddr", mode="passthrough")
    for feature, policy in guest.cpu_features:
        _add(cpu, "feature", policy=policy, name=feature)
    numa = _add(cpu, "numa")
    for cell in guest.cells:
        cpus = {"cpus": CpuSet.of(cell.vcpus)} if cell.vcpus else {}
        element = _add(numa, "cell", id=cell.id, **cpus, memory=cell.memory_kib, unit="KiB")
        if cell.distances:
            _distances(element, cell.distances)


def _distances(cell: etree._Element, values: Iterable[int]) -> None:
    distances = _add(cell, "distances")
    for sibling, value in enumerate(values):
        _add(distances, "sibling", id=sibling, value=value)


def _clock(root: etree._Element, guest: GuestPlan) -> None:
    """virt-install's choice for Linux guests: lost ticks of the RTC are caught up, those of the PIT delayed; no HPET, which costs
    exits and is no better than kvmclock or the TSC. Arm has its own timer and none of these."""
    clock = _add(root, "clock", offset=guest.clock)
    if guest.arch == X86:
        _add(clock, "timer", name="rtc", tickpolicy="catchup")
        _add(clock, "timer", name="pit", tickpolicy="delay")
        _add(clock, "timer", name="hpet", present="no")
    if guest.hyperv:
        _add(clock, "timer", name="hypervclock", present="yes")


def _hyperv(features: etree._Element, libvirt: VersionRange) -> None:
    """What every Windows since Server 2012 uses and what QEMU's own page on these asks for together; none is the maker's alone."""
    hyperv = _add(features, "hyperv")
    if libvirt.since(8, 0):
        hyperv.set("mode", "custom")
    for name in ("relaxed", "vapic"):
        _add(hyperv, name, state="on")
    _add(hyperv, "spinlocks", state="on", retries=8191)
    for name in ("vpindex", "runtime", "synic"):
        _add(hyperv, name, state="on")
    _add(_add(hyperv, "stimer", state="on"), "direct", state="on")
    for name in ("frequencies", "tlbflush", "ipi"):
        _add(hyperv, name, state="on")


def _launch_security(root: etree._Element, guest: GuestPlan) -> None:
    """SEV: no debugging, and no key that another guest has too; SEV-ES is a bit of the same policy. SEV-SNP: sibling threads
    are allowed, debugging is not. TDX: no exception where the host takes a page away."""
    policies = {"sev": "0x0003", "sev-es": "0x0007", "sev-snp": "0x00030000", "tdx": "0x10000000"}
    if guest.launch_security != "none":
        kind = "sev" if guest.launch_security == "sev-es" else guest.launch_security
        security = _add(root, "launchSecurity", type=kind)
        _text(security, "policy", policies[guest.launch_security])
