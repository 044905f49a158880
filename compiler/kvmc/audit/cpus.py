"""Who runs where: no CPU owned twice, floating threads off the owned and the isolated ones, pins inside their pool."""

from __future__ import annotations

from kvmc.audit.context import Context
from kvmc.audit.domain import Domain
from kvmc.audit.hostfiles import Role
from kvmc.audit.source import At
from kvmc.diagnostics import Label
from kvmc.diagnostics.codes import audit as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, named, union


def check(context: Context) -> None:
    for domain in context.files.domains:
        _present(context, domain)
    _owned_twice(context)
    _housekeeping(context)
    for domain in context.files.domains:
        _unpinned(context, domain)
    _floating(context)
    _starved(context)
    _pool(context)
    _cores(context)


def _present(context: Context, domain: Domain) -> None:
    """Pins for vCPUs and threads that are there, on CPUs that are there."""
    bag, online = context.bag, context.topology.online
    for vcpu, pin in sorted(domain.pins.items()):
        if domain.vcpus is not None and vcpu >= domain.count:
            bag.error(
                codes.STRAY,
                f"`{domain.name}` has a pin for vCPU {vcpu}, and {counted(domain.count, 'vCPU')} from 0",
                pin.span,
                secondary=[domain.vcpus.label("vCPUs")],
            )
    ids = domain.iothreads.value if domain.iothreads else frozenset()
    for id, pin in sorted(domain.iothread_pins.items()):
        if id not in ids:
            bag.error(codes.STRAY, f"`{domain.name}` has a pin for I/O thread {id}, which is not there", pin.span)
    for disk in domain.disks:
        unknown = [id for id in disk.value.iothreads if id not in ids]
        if unknown:
            bag.error(
                codes.STRAY,
                f"a disk of `{domain.name}` wants I/O thread {unknown[0]}, which is not there",
                disk.span,
            )
    for sched in domain.scheds:
        stray = CpuSet.of(vcpu for vcpu in sched.value.vcpus if vcpu >= domain.count)
        if stray and domain.vcpus is not None:
            bag.error(
                codes.STRAY,
                f"`{domain.name}` has a scheduler for vCPUs {stray}, and {counted(domain.count, 'vCPU')} from 0",
                sched.span,
            )
    masks = [*domain.pins.values(), *domain.iothread_pins.values(), domain.emulator, domain.mask]
    for mask in masks:
        absent = mask.value - online if mask else CpuSet()
        if mask is not None and absent:
            bag.error(
                codes.CPU_ABSENT,
                f"`{domain.name}` is put on CPU {absent}; host `{context.files.host}` has {online} online",
                mask.span,
            )


def _missing(domain: Domain) -> CpuSet:
    return CpuSet.of(vcpu for vcpu in range(domain.count) if vcpu not in domain.pins) - domain.unplugged


def _unpinned(context: Context, domain: Domain) -> None:
    """vCPUs, the emulator and I/O threads that no file pins float over the guest's mask, or over all CPUs.

    People who pin one guest leave the threads of another to the scheduler, which keeps them off isolated CPUs: of their files a
    guest is told that has pins for some of its vCPUs alone.
    """
    bag = context.bag
    missing = _missing(domain)
    if missing and domain.vcpus is not None and (context.dedicated(domain) or domain.pins or domain.mask is None):
        danger = context.dedicated(domain) or context.firm or any(True for _ in context.owned())
        if domain.pins or (danger and not context.files.handwritten):
            bag.error(
                codes.PIN_MISSING,
                f"`{domain.name}` has pins for {domain.count - len(missing)} of {counted(domain.count, 'vCPU')}, "
                f"none for v{named(missing)}",
                domain.vcpus.span,
            )
    if context.files.handwritten:
        return
    mask = domain.mask.value if domain.mask else context.topology.online
    others = CpuSet.of(pin.value.first for owner, _, pin in context.owned() if owner.name != domain.name)
    bad = mask & (others | context.firm)
    if not bad:
        return
    if domain.emulator is None:
        bag.error(
            codes.HELPER_UNPINNED,
            f"the emulator of `{domain.name}` has no pin and may run on {named(bad)}, isolated or others' own",
            domain.head,
        )
    ids = domain.iothreads.value if domain.iothreads else frozenset()
    loose = CpuSet.of(id for id in ids if id not in domain.iothread_pins and id <= 8191)
    if loose and domain.iothreads is not None:
        bag.error(
            codes.HELPER_UNPINNED,
            f"I/O threads {loose} of `{domain.name}` have no pin and may run on {named(bad)}, isolated or others' own",
            domain.iothreads.span,
        )


def _owned_twice(context: Context) -> None:
    first: dict[int, tuple[Domain, int, At[CpuSet]]] = {}
    for domain, vcpu, pin in context.owned():
        cpu = pin.value.first
        if cpu not in first:
            first[cpu] = (domain, vcpu, pin)
            continue
        other, number, place = first[cpu]
        context.bag.error(
            codes.CPU_OWNED_TWICE,
            f"CPU {cpu} is given to vCPU {number} of `{other.name}` and to vCPU {vcpu} of `{domain.name}`",
            pin.label(f"vCPU {vcpu} of `{domain.name}`"),
            secondary=[place.label(f"vCPU {number} of `{other.name}`")],
        )


def _housekeeping(context: Context) -> None:
    """Owned CPUs that the host's own work may use. What is in the pool is the fault of the host's list, said elsewhere."""
    blamed = context.blamed()
    for domain, vcpu, pin in context.owned():
        if pin.span in blamed or pin.value.issubset(context.pool):
            continue
        for one in context.files.of(Role.SERVICES, Role.IRQ):
            if one.cpus & pin.value:
                context.bag.error(
                    codes.GUEST_ON_HOUSEKEEPING,
                    f"vCPU {vcpu} of `{domain.name}` owns CPU {pin.value}, which `{one.setting}` leaves to the host: {one.cpus}",
                    pin.span,
                    secondary=[one.label()],
                )
                break


def _floating(context: Context) -> None:
    blamed = context.blamed()
    owners = [(domain, vcpu, pin) for domain, vcpu, pin in context.owned() if pin.span not in blamed]
    isolated = context.firm
    for thread in context.floating():
        domain, mask = thread.domain, thread.mask
        if mask.span in blamed:
            continue
        where = mask.value & isolated
        alone = context.files.handwritten and len(mask.value) == 1
        if where and not alone:
            context.bag.error(
                codes.FLOATING_IN_ISOLATED,
                f"{thread.who} of `{domain.name}` may run on {named(mask.value)}; {where} are isolated from balancing",
                mask.span,
                secondary=[one.label() for one in context.files.of(Role.ISOLATED)],
                notes=["the scheduler does not move threads between isolated CPUs"],
            )
            continue
        for other, vcpu, pin in owners:
            if other.name == domain.name:
                continue
            if pin.value & mask.value:
                context.bag.error(
                    codes.HELPER_ON_GUEST,
                    f"{thread.who} of `{domain.name}` may run on CPU {pin.value}, which is vCPU {vcpu} of `{other.name}`",
                    mask.span,
                    secondary=[pin.label(f"vCPU {vcpu} of `{other.name}`")],
                )
                break
            if context.core(pin.value.first) & mask.value:
                context.bag.error(
                    codes.CORE_SHARED,
                    f"{thread.who} of `{domain.name}` may run on CPU {context.core(pin.value.first) & mask.value}, "
                    f"a sibling of CPU {pin.value}, which is vCPU {vcpu} of `{other.name}`",
                    mask.span,
                    secondary=[pin.label(f"vCPU {vcpu} of `{other.name}`")],
                )
                break


def _starved(context: Context) -> None:
    """Helpers that have no CPU but those of their own guest's real-time vCPUs, which leave them no time."""
    blamed = context.blamed()
    for thread in context.floating():
        domain, mask = thread.domain, thread.mask
        busy = union(sched.value.vcpus for sched in domain.scheds if sched.value.policy in ("fifo", "rr"))
        pins = {vcpu: domain.pins[vcpu] for vcpu in busy if vcpu in domain.pins and len(domain.pins[vcpu].value) == 1}
        mine = [(vcpu, pin) for vcpu, pin in pins.items() if pin.value & mask.value]
        if thread.helper and mask.span not in blamed and mask.value.issubset(union(pin.value for _, pin in mine)):
            context.bag.error(
                codes.HELPER_ON_GUEST,
                f"{thread.who} of `{domain.name}` may run on {named(mask.value)} alone, where its own real-time vCPUs run",
                mask.span,
                secondary=[pin.label(f"vCPU {vcpu}") for vcpu, pin in mine],
            )


def _pool(context: Context) -> None:
    pool = context.pool
    if not pool:
        return
    blamed = context.blamed()
    inside = {domain.name for domain, _, pin in context.owned() if pin.value & pool}
    sources: list[Label] = [one.label() for one in context.files.of(Role.ISOLATED)]
    sources = sources or [one.label() for one in context.files.of(Role.TUNED_ISOLATED, Role.BANNED)]
    for domain, vcpu, pin in context.owned():
        if context.files.handwritten and domain.name not in inside:
            continue  # its owner may have left it outside on purpose: a CPU of its own need not be isolated
        if pin.span not in blamed and not pin.value.issubset(pool):
            context.bag.error(
                codes.OUTSIDE_POOL,
                f"vCPU {vcpu} of `{domain.name}` owns CPU {pin.value}, outside the dedicated CPUs {pool}",
                pin.span,
                secondary=sources[:1],
            )


def _cores(context: Context) -> None:
    """A core with a dedicated vCPU belongs to that guest."""
    blamed = context.blamed()
    first: dict[CpuSet, tuple[Domain, int, At[CpuSet]]] = {}
    for domain, vcpu, pin in context.owned():
        if pin.span in blamed:
            continue
        core = context.core(pin.value.first)
        other, number, place = first.setdefault(core, (domain, vcpu, pin))
        if other.name != domain.name:
            context.bag.error(
                codes.CORE_SHARED,
                f"vCPU {number} of `{other.name}` and vCPU {vcpu} of `{domain.name}` are on one core: {named(core)}",
                pin.label(f"vCPU {vcpu} of `{domain.name}`"),
                secondary=[place.label(f"vCPU {number} of `{other.name}`")],
            )
