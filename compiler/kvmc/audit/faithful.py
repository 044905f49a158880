"""Each guest against what the site asks for it. Findings of one place are one finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kvmc.audit.context import Context, cells_of, nodes_for
from kvmc.audit.domain import DEFAULT_PAGE, Domain
from kvmc.audit.pages import page_of
from kvmc.audit.source import At
from kvmc.diagnostics import Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import L3, DevicePool, Emulator, Host, Iothread, Isolation, Pinning, Scheduler, Site, Threads, Vm
from kvmc.model.values import PciAddress, size_text

Difference = tuple[Span, str]


def check(context: Context) -> None:
    site = context.site
    if site is None:
        return
    host = site.hosts.get(context.files.host)
    for domain in context.files.domains:
        vm = site.vms.get(domain.name)
        if vm is None:
            context.bag.error(
                codes.GUEST_EXTRA,
                f"`{domain.name}` on host `{context.files.host}` is no guest of the site",
                domain.head,
            )
            continue
        blamed = context.blamed()
        found: dict[Span, list[str]] = {}
        for place, text in _differences(context, site, host, vm, domain):
            if place not in blamed:
                found.setdefault(place, []).append(text)
        for place, texts in found.items():
            context.bag.error(codes.GUEST_DIFFERS, f"`{vm.name}` {'; '.join(texts)}", place)


def _differences(context: Context, site: Site, host: Host | None, vm: Vm, domain: Domain) -> Iterator[Difference]:
    yield from _size(context, vm, domain)
    yield from _machine(vm, domain)
    yield from _pinning(context, vm, domain)
    yield from _emulator(context, vm, domain)
    yield from _scheduler(vm, domain)
    yield from _disks(site, vm, domain)
    yield from _nics(site, vm, domain)
    if host is not None:
        yield from _devices(context, host, vm, domain)
        if vm.host is not None and vm.host != host.name:
            yield domain.head, f"belongs on host `{vm.host}` and is on `{host.name}`"
        if vm.pool is not None and host.pool != vm.pool:
            yield domain.head, f"belongs on a host of pool `{vm.pool}`, and `{host.name}` is of `{host.pool}`"


def _size(context: Context, vm: Vm, domain: Domain) -> Iterator[Difference]:
    if domain.vcpus is not None and domain.count != vm.vcpus:
        yield domain.vcpus.span, f"asks for {vm.vcpus} vCPUs and has {domain.count}"
    if domain.memory is not None and domain.memory.value != vm.memory_kib:
        yield (
            domain.memory.span,
            f"asks for {size_text(vm.memory_kib)} of memory and has {size_text(domain.memory.value)}",
        )
    cells = cells_of(domain)
    for cell in cells:
        page = page_of(domain, cell.value)
        size = page.value.size_kib if page else None
        size = context.files.default_page_kib if size == DEFAULT_PAGE else size
        if size != vm.pages_kib:
            asked = size_text(vm.pages_kib) if vm.pages_kib else "normal pages"
            yield (
                (page.span if page else domain.head),
                f"asks for {asked} and has {size_text(size) if size else 'normal pages'}",
            )
    wheres = [where for cell in cells if (where := nodes_for(domain, cell.value.id)) is not None]
    nodes = union(where.value for where in wheres)
    wanted = min(vm.nodes, len(context.topology.nodes))
    if wheres and len(nodes) != wanted:
        yield wheres[0].span, f"asks for {vm.nodes} nodes and has memory of {len(nodes)}: {nodes}"
    if vm.nodes > 1 and len(cells) != vm.nodes:
        yield domain.head, f"asks for {vm.nodes} nodes and has {len(cells)} cells"
    if vm.locked and not domain.locked:
        yield domain.head, "asks for locked memory and has none"


def _machine(vm: Vm, domain: Domain) -> Iterator[Difference]:
    if domain.type != vm.type:
        yield domain.head, f"asks for type `{vm.type}` and has `{domain.type}`"
    if domain.machine is None or domain.machine.value != vm.machine:
        has = domain.machine.value if domain.machine else "none"
        yield (
            (domain.machine.span if domain.machine else domain.head),
            f"asks for machine `{vm.machine}` and has `{has}`",
        )
    if domain.cpu is None or domain.cpu.value != vm.cpu:
        has = domain.cpu.value if domain.cpu else "none"
        yield (domain.cpu.span if domain.cpu else domain.head), f"asks for CPU `{vm.cpu}` and has `{has}`"
    if vm.uuid is not None and (domain.uuid is None or domain.uuid.value != vm.uuid.lower().replace("-", "")):
        yield (domain.uuid.span if domain.uuid else domain.head), f"asks for the uuid {vm.uuid} and has another"
    if domain.pmu and not vm.pmu:
        yield domain.head, "asks for no PMU and has one"
    if vm.pmu and not domain.pmu:
        yield domain.head, "asks for a PMU and has none"
    if domain.uefi != (vm.firmware == "uefi"):
        yield domain.head, f"asks for firmware `{vm.firmware}` and has the other"


def _pinning(context: Context, vm: Vm, domain: Domain) -> Iterator[Difference]:
    pins = {vcpu: pin for vcpu, pin in sorted(domain.pins.items()) if vcpu < domain.count}
    if vm.pinning is Pinning.SHARED:
        for vcpu, pin in pins.items():
            if pin.value & context.pool:
                yield (
                    pin.span,
                    f"shares its CPUs, and vCPU {vcpu} may run on the dedicated CPUs {pin.value & context.pool}",
                )
            elif pin.value & context.files.housekeeping:
                both = pin.value & context.files.housekeeping
                yield pin.span, f"shares its CPUs, and vCPU {vcpu} may run on the housekeeping CPUs {both}"
        return
    for vcpu, pin in pins.items():
        if len(pin.value) != 1:
            yield pin.span, f"asks for CPUs of its own, and vCPU {vcpu} may run on {pin.value}"
        elif vm.isolation is Isolation.BOOT and not pin.value & (context.files.isolated | context.pool):
            yield pin.span, f"asks for isolated CPUs, and vCPU {vcpu} is on CPU {pin.value}, which is not"
        elif vm.isolation is Isolation.NONE and pin.value & context.firm:
            yield pin.span, f"asks for CPUs that are not isolated, and vCPU {vcpu} is on CPU {pin.value}, which is"
    if any(len(pin.value) != 1 for pin in pins.values()) or any(pin.span in context.blamed() for pin in pins.values()):
        return
    yield from _threads(context, vm, pins)
    if vm.l3 is L3.REQUIRE and context.topology.l3 is not None:
        yield from _one_l3(context, context.topology.l3, domain, pins)


def _threads(context: Context, vm: Vm, pins: dict[int, At[CpuSet]]) -> Iterator[Difference]:
    if context.topology.cores is None:
        return
    taken = union(pin.value for pin in pins.values())
    for vcpu, pin in pins.items():
        core = context.core(pin.value.first) & context.topology.usable
        if vm.threads is Threads.REQUIRE and core - taken:
            yield (
                pin.span,
                f"asks for whole cores, and vCPU {vcpu} is on CPU {pin.value} without its sibling {core - taken}",
            )
            return
        if vm.threads is Threads.ISOLATE and len(core & taken) > 1:
            yield pin.span, f"asks for a core a vCPU, and vCPU {vcpu} shares that of CPUs {core & taken}"
            return


def _one_l3(
    context: Context, l3: tuple[CpuSet, ...], domain: Domain, pins: dict[int, At[CpuSet]]
) -> Iterator[Difference]:
    for cell in cells_of(domain):
        mine = [pins[vcpu] for vcpu in cell.value.vcpus if vcpu in pins]
        counts = Counter(next((cache for cache in l3 if pin.value.issubset(cache)), pin.value) for pin in mine)
        if len(counts) < 2:
            continue
        most = counts.most_common(1)[0][0]
        stray = next(pin for pin in mine if not pin.value.issubset(most))
        yield stray.span, f"asks for one L3 cache a node, and runs on CPU {stray.value} beside {most}"


def _emulator(context: Context, vm: Vm, domain: Domain) -> Iterator[Difference]:
    helpers = [("the emulator", domain.emulator)] if domain.emulator else []
    helpers += [(f"I/O thread {id}", pin) for id, pin in sorted(domain.iothread_pins.items())]
    services = context.files.housekeeping
    for who, mask in helpers:
        if vm.emulator is Emulator.HOUSEKEEPING:
            if services and not mask.value.issubset(services):
                yield mask.span, f"asks for helpers on housekeeping CPUs {services}, and {who} may run on {mask.value}"
            continue
        if mask.value & services:
            yield (
                mask.span,
                f"asks for helpers on cores of its own, and {who} may run on housekeeping CPUs {mask.value & services}",
            )
        for other in context.floating():
            if other.domain.name != domain.name and other.mask.value & mask.value:
                yield (
                    mask.span,
                    f"asks for helpers on cores of its own, and shares CPUs with {other.who} of `{other.domain.name}`",
                )
                break


def _scheduler(vm: Vm, domain: Domain) -> Iterator[Difference]:
    fifo = union(sched.value.vcpus for sched in domain.scheds if sched.value.policy == "fifo")
    if vm.scheduler is Scheduler.FIFO:
        every = CpuSet.of(range(domain.count))
        if every - fifo:
            place = domain.scheds[0].span if domain.scheds else domain.head
            yield place, f"asks for the scheduler `fifo`, and vCPUs {every - fifo} have another"
        for sched in domain.scheds:
            if sched.value.policy == "fifo" and sched.value.priority != vm.priority:
                yield sched.span, f"asks for priority {vm.priority} and has {sched.value.priority}"
        return
    for sched in domain.scheds:
        if sched.value.policy in ("fifo", "rr"):
            yield (
                sched.span,
                f"asks for the scheduler `other` and has `{sched.value.policy}` for vCPUs {sched.value.vcpus}",
            )


def _disks(site: Site, vm: Vm, domain: Domain) -> Iterator[Difference]:
    found = {disk.value.source: disk for disk in domain.disks}
    own: Counter[int] = Counter()
    asked: set[str] = set()
    for name, disk in vm.disks.items():
        storage = site.storages.get(disk.storage)
        if storage is None:
            continue
        source = storage.source.replace("{vm}", vm.name).replace("{disk}", name)
        asked.add(source)
        if source not in found:
            yield domain.head, f"asks for disk `{name}` on {source} and has no such"
            continue
        at = found[source]
        if at.value.kind != storage.type:
            yield at.span, f"asks for a {storage.type} as disk `{name}` and has a {at.value.kind}"
        thread = at.value.iothread
        if disk.iothread is Iothread.NONE and thread is not None:
            yield at.span, f"asks for no I/O thread for disk `{name}` and has {thread}"
        elif disk.iothread is not Iothread.NONE and disk.bus == "virtio":
            if thread is None:
                yield at.span, f"asks for an I/O thread for disk `{name}` and has none"
                continue
            own[thread] += 1
            others = [other for other in domain.disks if other.value.iothread == thread and other is not at]
            if disk.iothread is Iothread.OWN and others:
                yield (
                    at.span,
                    f"asks for an I/O thread of its own for disk `{name}`, and {others[0].value.source} shares it",
                )
    for source, at in found.items():
        if source not in asked:
            yield at.span, f"has disk {source[:100]}, for which it does not ask"


def _nics(site: Site, vm: Vm, domain: Domain) -> Iterator[Difference]:
    wanted = Counter(
        site.networks[nic.network].bridge
        for nic in vm.nics.values()
        if nic.network is not None and nic.network in site.networks
    )
    has = Counter(nic.value.source for nic in domain.nics if nic.value.device is None)
    for bridge in wanted | has:
        if wanted[bridge] > has[bridge]:
            yield domain.head, f"asks for {wanted[bridge]} NICs on `{bridge}` and has {has[bridge]}"
        elif has[bridge] > wanted[bridge]:
            last = [nic for nic in domain.nics if nic.value.source == bridge][-1]
            yield last.span, f"asks for {wanted[bridge]} NICs on `{bridge}` and has {has[bridge]}"
    macs = {nic.value.mac.value for nic in domain.nics if nic.value.mac is not None}
    for name, nic in vm.nics.items():
        if nic.mac is not None and nic.mac.lower() not in macs:
            yield domain.head, f"asks for the MAC address {nic.mac} on NIC `{name}` and has no such"


def pool_of(context: Context, host: Host, address: PciAddress) -> DevicePool | None:
    """The device pool of the host that a function belongs to."""
    device = context.device(address)
    for pool in host.devices.values():
        if address in pool.addresses or (
            pool.parent is not None and device is not None and device.parent_pf == pool.parent
        ):
            return pool
    return None


def _devices(context: Context, host: Host, vm: Vm, domain: Domain) -> Iterator[Difference]:
    if context.topology.pci is None:
        return
    wanted = Counter(nic.device for nic in vm.nics.values() if nic.device is not None)
    wanted += Counter(hostdev.device for hostdev in vm.hostdevs.values())
    has: Counter[str] = Counter()
    for function in domain.functions:
        pool = pool_of(context, host, function.value)
        if pool is None:
            yield function.span, f"has {function.value}, which is in no device pool of host `{host.name}`"
            continue
        has[pool.name] += 1
        if has[pool.name] > wanted[pool.name]:
            asked = wanted[pool.name]
            yield function.span, f"has {function.value} of device pool `{pool.name}`, from which it asks for {asked}"
    for name in wanted:
        if name is not None and has[name] < wanted[name]:
            yield domain.head, f"asks for {wanted[name]} functions of device pool `{name}` and has {has[name]}"
