"""Each guest against what the site asks for it. Findings of one place are one finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kvmc.audit import asked_devices, asked_more, asked_near, asked_raw, expanders, tuning
from kvmc.audit.context import Context, cells_of, nodes_for
from kvmc.audit.difference import Difference
from kvmc.audit.domain import DEFAULT_PAGE, Domain
from kvmc.audit.hostfiles import Role
from kvmc.audit.nodes import home_nodes
from kvmc.audit.pages import page_of
from kvmc.audit.source import At
from kvmc.diagnostics import Label, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, named, union
from kvmc.model.site import (
    L3,
    Cores,
    Emulator,
    Host,
    Isolation,
    MemoryKind,
    MemoryMode,
    Pinning,
    Platform,
    Scheduler,
    Site,
    Threads,
    Vm,
)
from kvmc.model.values import size_text


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
        found: dict[Span, list[Difference]] = {}
        for difference in _differences(context, site, host, vm, domain):
            if difference.place not in blamed:
                found.setdefault(difference.place, []).append(difference)
        for place, some in found.items():
            text = "; ".join(one.text for one in some)
            also = [Label(one.also) for one in some if one.also is not None]
            context.bag.error(codes.GUEST_DIFFERS, f"`{vm.name}` {text}", place, secondary=also)


def _differences(context: Context, site: Site, host: Host | None, vm: Vm, domain: Domain) -> Iterator[Difference]:
    platform = site.platforms.get(host.platform) if host else None
    yield from _size(context, vm, domain)
    yield from _machine(vm, platform, domain)
    yield from asked_more.check_cpu(context, vm, platform, domain)
    yield from _pinning(context, vm, domain)
    yield from _emulator(context, vm, domain)
    yield from _scheduler(vm, domain)
    asked = asked_raw.without(vm, domain) if vm.raws else domain
    yield from asked_devices.disks(site, vm, asked)
    yield from asked_devices.nics(site, vm, asked)
    if host is not None:
        yield from asked_devices.functions(context, host, vm, domain)
        yield from tuning.asked(context, vm, domain)
        yield from asked_near.near(context, host, vm, domain)
        yield from expanders.asked(context, vm, domain)
        if vm.host is not None and vm.host != host.name:
            yield Difference(domain.head, f"belongs on host `{vm.host}` and is on `{host.name}`")
        if vm.pool is not None and host.pool != vm.pool:
            yield Difference(
                domain.head, f"belongs on a host of pool `{vm.pool}`, and `{host.name}` is of `{host.pool}`"
            )


def _size(context: Context, vm: Vm, domain: Domain) -> Iterator[Difference]:
    if domain.vcpus is not None and domain.count != vm.vcpus:
        yield Difference(domain.vcpus.span, f"asks for {counted(vm.vcpus, 'vCPU')} and has {domain.count}")
    if domain.memory is not None and domain.memory.value != vm.memory_kib:
        yield Difference(
            domain.memory.span,
            f"asks for {size_text(vm.memory_kib)} of memory and has {size_text(domain.memory.value)}",
        )
    if domain.current is not None and domain.memory is not None and domain.current.value != domain.memory.value:
        has = size_text(domain.current.value)
        yield Difference(domain.current.span, f"asks for {size_text(vm.memory_kib)} of memory and begins with {has}")
    cells = cells_of(domain)
    alone = {int(name): node.memory_kind for name, node in vm.cells.items() if node.memory_kind is not None}
    for cell in cells:
        page = page_of(domain, cell.value)
        pages_kib = None if cell.value.id in alone else vm.pages_kib
        size = page.value.size_kib if page else None
        size = context.files.default_page_kib if size == DEFAULT_PAGE else size
        if size != pages_kib:
            asked = size_text(pages_kib) if pages_kib else "normal pages"
            yield Difference(
                (page.span if page else domain.head),
                f"asks for {asked} and has {size_text(size) if size else 'normal pages'}",
            )
    wheres = [where for cell in cells if (where := nodes_for(domain, cell.value.id)) is not None]
    nodes = union(where.value for where in wheres)
    wanted = min(vm.nodes, len(context.topology.nodes))
    if vm.numatune is MemoryMode.INTERLEAVE:
        every = {node.id for node in context.topology.nodes if node.cpus & context.topology.usable and node.memory_kib}
        if wheres and every != set(nodes):
            yield Difference(
                wheres[0].span, f"asks for memory of nodes {CpuSet.of(every)} in turn and has it of {nodes}"
            )
    elif vm.memory_kind is not None:
        for where in wheres:
            yield from _of_kind(context, vm.memory_kind, where)
    elif wheres and len(nodes) != wanted:
        yield Difference(
            wheres[0].span, f"asks for {counted(vm.nodes, 'node')} and has memory of {len(nodes)}: {nodes}"
        )
    if vm.nodes > 1 and len(cells) != vm.nodes:
        yield Difference(domain.head, f"asks for {counted(vm.nodes, 'node')} and has {counted(len(cells), 'cell')}")
    yield from _parts(vm, domain)
    for id, kind in alone.items():
        at = nodes_for(domain, id)
        if at is not None:
            yield from _of_kind(context, kind, at)
    if vm.locked and not domain.locked:
        yield Difference(domain.head, "asks for locked memory and has none")


def _of_kind(context: Context, kind: MemoryKind, where: At[CpuSet]) -> Iterator[Difference]:
    kinds = {node.id: node.memory for node in context.topology.nodes}
    if len(where.value) != 1 or kinds.get(where.value.first) != kind.value:
        yield Difference(where.span, f"asks for {kind} memory and has that of node {where.value}")


def _parts(vm: Vm, domain: Domain) -> Iterator[Difference]:
    """What each cell has of the guest: as its node blocks say, else the vCPUs as even as can be."""
    cells = cells_of(domain)
    if len(cells) != vm.nodes:
        return
    each, rest = divmod(vm.vcpus, vm.nodes)
    wanted = [node.vcpus for node in vm.cells.values()] or [each + (index < rest) for index in range(vm.nodes)]
    memory = [node.memory_kib for node in vm.cells.values()]
    first = 0
    for index, (cell, count) in enumerate(zip(cells, wanted, strict=True)):
        asked = CpuSet.of(range(first, first + count))
        first += count
        if cell.value.vcpus != asked:
            yield Difference(cell.span, f"asks for vCPUs {asked} in cell {index} and has {cell.value.vcpus} there")
        if memory and cell.value.memory_kib != memory[index]:
            has = size_text(cell.value.memory_kib)
            yield Difference(cell.span, f"asks for {size_text(memory[index])} in cell {index} and has {has} there")


def _machine(vm: Vm, platform: Platform | None, domain: Domain) -> Iterator[Difference]:
    if domain.uuid is None:
        yield Difference(domain.head, "has no uuid, and libvirt would make one up")
    if platform is not None and (domain.binary is None or domain.binary.value != platform.emulator):
        has = f"`{domain.binary.value}`" if domain.binary else "none"
        place = domain.binary.span if domain.binary else domain.head
        yield Difference(place, f"asks for the emulator `{platform.emulator}` and has {has}")
    if vm.pinning is not Pinning.SHARED and domain.topology is None:
        yield Difference(domain.head, "has no CPU topology, and QEMU would make one up")
    if domain.type != vm.type:
        yield Difference(domain.head, f"asks for type `{vm.type}` and has `{domain.type}`")
    if domain.machine is None or domain.machine.value != vm.machine:
        has = domain.machine.value if domain.machine else "none"
        yield Difference(
            (domain.machine.span if domain.machine else domain.head),
            f"asks for machine `{vm.machine}` and has `{has}`",
        )
    if vm.uuid is not None and (domain.uuid is None or domain.uuid.value != vm.uuid.lower().replace("-", "")):
        yield Difference(
            (domain.uuid.span if domain.uuid else domain.head), f"asks for the uuid {vm.uuid} and has another"
        )
    if domain.pmu and not vm.pmu:
        yield Difference(domain.head, "asks for no PMU and has one")
    if vm.pmu and not domain.pmu:
        yield Difference(domain.head, "asks for a PMU and has none")
    if domain.uefi != (vm.firmware == "uefi"):
        yield Difference(domain.head, f"asks for firmware `{vm.firmware}` and has the other")


def _pinning(context: Context, vm: Vm, domain: Domain) -> Iterator[Difference]:
    if domain.mask is not None and domain.pins and not set(range(domain.count)) - set(domain.pins):
        every = union(pin.value for pin in domain.pins.values())
        if domain.mask.value != every and not any(pin.span in context.blamed() for pin in domain.pins.values()):
            yield Difference(
                domain.mask.span, f"runs on {named(every)} by its pins and on {domain.mask.value} by its mask"
            )
    pins = {vcpu: pin for vcpu, pin in sorted(domain.pins.items()) if vcpu < domain.count}
    if vm.pinning is Pinning.SHARED:
        yield from _shared(context, domain, pins)
        return
    if vm.floating:
        yield from _shared(context, domain, {vcpu: pin for vcpu, pin in pins.items() if vcpu in vm.floating})
        pins = {vcpu: pin for vcpu, pin in pins.items() if vcpu not in vm.floating}
    for vcpu, pin in pins.items():
        if len(pin.value) != 1:
            yield Difference(pin.span, f"asks for CPUs of its own, and vCPU {vcpu} may run on {pin.value}")
        elif vm.isolation is Isolation.BOOT and not pin.value & (context.files.isolated | context.pool):
            yield Difference(pin.span, f"asks for isolated CPUs, and vCPU {vcpu} is on CPU {pin.value}, which is not")
        elif vm.isolation is Isolation.NONE and pin.value & context.firm:
            yield Difference(
                pin.span, f"asks for CPUs that are not isolated, and vCPU {vcpu} is on CPU {pin.value}, which is"
            )
    kinds = {str(kind): cpus for kind, cpus in (context.topology.core_kinds or {}).items()}
    for vcpu, pin in pins.items():
        if vm.cores is not Cores.ANY and pin.value - kinds.get(str(vm.cores), CpuSet()):
            yield Difference(
                pin.span, f"asks for {vm.cores} cores, and vCPU {vcpu} is on CPU {pin.value}, which is none"
            )
    blamed = context.blamed()
    if len(pins) + len(vm.floating) < domain.count or any(
        len(pin.value) != 1 or pin.span in blamed for pin in pins.values()
    ):
        return
    yield from _threads(context, vm, pins)
    if vm.l3 is L3.REQUIRE and context.topology.l3 is not None:
        yield from _one_l3(context.topology.l3, domain, pins)


def _shared(context: Context, domain: Domain, pins: dict[int, At[CpuSet]]) -> Iterator[Difference]:
    """Shared vCPUs float over all CPUs of their node that are neither dedicated nor the services'."""
    pool, services = context.narrow, context.services
    told = {one.span for one in context.files.of(Role.ISOLATED, Role.NOHZ_FULL, Role.BANNED)}
    if not services or pool != context.pool or told & context.blamed():
        return
    shared = context.topology.usable - pool - services
    every = context.cpus_of(home_nodes(context, domain)) or context.topology.online
    beside = {
        vcpu: context.cpus_of(where.value)
        for cell in cells_of(domain)
        # Of memory of several nodes in turn its vCPUs are on one, which the pins tell.
        if (where := nodes_for(domain, cell.value.id)) is not None and len(where.value) == 1
        for vcpu in cell.value.vcpus
    }
    for vcpu, pin in pins.items():
        near = beside.get(vcpu) or every
        if pin.value - shared:
            text = f"shares its CPUs, and vCPU {vcpu} may run on {pin.value - shared}, which is not of the shared CPUs {shared}"
            yield Difference(pin.span, text)
        elif pool and pin.value != shared & near and pin.value.issubset(near):
            yield Difference(pin.span, f"shares CPUs {shared & near}, and vCPU {vcpu} may run on {pin.value} alone")


def _threads(context: Context, vm: Vm, pins: dict[int, At[CpuSet]]) -> Iterator[Difference]:
    if context.topology.cores is None:
        return
    taken = union(pin.value for pin in pins.values())
    for vcpu, pin in pins.items():
        core = context.core(pin.value.first) & context.topology.usable
        if vm.threads is Threads.REQUIRE and core - taken:
            yield Difference(
                pin.span,
                f"asks for whole cores, and vCPU {vcpu} is on CPU {pin.value} without its sibling {core - taken}",
            )
            return
        other = next((one for one in pins.values() if one is not pin and one.value & core), None)
        if vm.threads is Threads.ISOLATE and other is not None:
            text = f"asks for a core a vCPU, and vCPU {vcpu} shares that of CPUs {core & taken}"
            yield Difference(pin.span, text, other.span)
            return


def _one_l3(l3: tuple[CpuSet, ...], domain: Domain, pins: dict[int, At[CpuSet]]) -> Iterator[Difference]:
    for cell in cells_of(domain):
        mine = [pins[vcpu] for vcpu in cell.value.vcpus if vcpu in pins]
        counts = Counter(next((cache for cache in l3 if pin.value.issubset(cache)), pin.value) for pin in mine)
        if len(counts) < 2:
            continue
        most = counts.most_common(1)[0][0]
        stray = next(pin for pin in mine if not pin.value.issubset(most))
        yield Difference(stray.span, f"asks for one L3 cache a node, and runs on CPU {stray.value} beside {most}")


def _emulator(context: Context, vm: Vm, domain: Domain) -> Iterator[Difference]:
    helpers = [("the emulator", domain.emulator)] if domain.emulator else []
    threads = sorted(domain.iothread_pins.items())
    beside = asked_devices.iothread_nodes(context, vm, domain)
    for id, pin in threads:
        cpus = context.cpus_of(beside.get(id, ()))
        able = cpus & (context.services if vm.emulator is Emulator.HOUSEKEEPING else _own(domain))
        if able and pin.value != able:
            text = f"asks for I/O thread {id} beside its controller, on {named(able)}, and it may run on {pin.value}"
            yield Difference(pin.span, text)
        if not able:
            helpers.append((f"I/O thread {id}", pin))
    services = context.services
    if domain.emulator is None:
        yield Difference(domain.head, "has no pin for the emulator")
    ids = domain.iothreads.value if domain.iothreads else frozenset()
    if domain.iothreads is not None and ids - set(domain.iothread_pins):
        yield Difference(domain.iothreads.span, f"has no pin for I/O thread {min(ids - set(domain.iothread_pins))}")
    nodes = home_nodes(context, domain)
    near = services & context.cpus_of(nodes) or services
    moved = any(at.span in context.blamed() for at in domain.numa)
    for who, mask in helpers:
        if vm.emulator is Emulator.HOUSEKEEPING:
            if services and not moved and (mask.value != near if nodes else mask.value - services):
                text = (
                    f"asks for helpers on the housekeeping CPUs {near} of its nodes, and {who} may run on {mask.value}"
                )
                yield Difference(mask.span, text)
            continue
        if mask.value & services:
            yield Difference(
                mask.span,
                f"asks for helpers on cores of its own, and {who} may run on housekeeping CPUs {mask.value & services}",
            )
        own = [pin.value.first for owner, _, pin in context.owned() if owner is domain]
        taken = union(map(context.core, own)) & mask.value
        if taken:
            text = f"asks for helpers on cores of its own, and {who} may run on {named(taken)}, cores of its vCPUs"
            yield Difference(mask.span, text)
        for other in context.floating():
            if other.domain.name != domain.name and other.mask.value & mask.value:
                yield Difference(
                    mask.span,
                    f"asks for helpers on cores of its own, and shares CPUs with {other.who} of `{other.domain.name}`",
                )
                break


def _own(domain: Domain) -> CpuSet:
    return domain.emulator.value if domain.emulator is not None else CpuSet()


def _scheduler(vm: Vm, domain: Domain) -> Iterator[Difference]:
    fifo = union(sched.value.vcpus for sched in domain.scheds if sched.value.policy == "fifo")
    if vm.scheduler is Scheduler.FIFO:
        every = CpuSet.of(range(domain.count)) - vm.floating
        if every - fifo:
            place = domain.scheds[0].span if domain.scheds else domain.head
            yield Difference(place, f"asks for the scheduler `fifo`, and vCPUs {every - fifo} have another")
        if fifo & vm.floating:
            place = domain.scheds[0].span
            yield Difference(place, f"has the scheduler `fifo` for vCPUs {fifo & vm.floating}, which share their CPUs")
        for sched in domain.scheds:
            if sched.value.policy == "fifo" and sched.value.priority != vm.priority:
                yield Difference(sched.span, f"asks for priority {vm.priority} and has {sched.value.priority}")
        return
    for sched in domain.scheds:
        if sched.value.policy in ("fifo", "rr"):
            yield Difference(
                sched.span,
                f"asks for the scheduler `other` and has `{sched.value.policy}` for vCPUs {sched.value.vcpus}",
            )
