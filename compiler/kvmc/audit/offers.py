"""Each host against what the site says that it offers: pages, isolated cores, VFs."""

from __future__ import annotations

from collections.abc import Iterator

from kvmc.audit import tuning, vswitch
from kvmc.audit.context import Context
from kvmc.audit.hostfiles import Role
from kvmc.audit.pages import kept, source_of
from kvmc.audit.source import integer
from kvmc.diagnostics import Label
from kvmc.diagnostics.codes import audit as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, named, union
from kvmc.model.site import Host, Isolation
from kvmc.model.values import size_text


def check(context: Context) -> None:
    host = context.site.hosts.get(context.files.host) if context.site else None
    if host is None:
        return
    _pages(context, host)
    _cores(context, host)
    _services(context, host)
    _interrupts(context)
    _vfs(context, host)
    tuning.offered(context, host)
    vswitch.offered(context, host)
    _budget(context, host)
    _floating(context, host)


def _floating(context: Context, host: Host) -> None:
    """vCPUs that float over the shared CPUs of each node: no more a CPU than the site says for that node."""
    nodes = [node for node, _ in _node_cores(context)]
    ratios = host.shared_overcommits
    each = dict(zip(nodes, ratios, strict=False)) if ratios else dict.fromkeys(nodes, host.shared_overcommit)
    used: dict[CpuSet, int] = {}
    blamed = context.blamed()
    for thread in context.floating():
        mask = thread.mask
        vm = context.vm(thread.domain)
        if vm is None or not thread.who.startswith("vCPU ") or mask.span in blamed:
            continue
        used[mask.value] = used.get(mask.value, 0) + 1
        here = [each[node] for node in context.nodes_of(mask.value) if node in each]
        allowed = len(mask.value) * max(here, default=host.shared_overcommit)
        if used[mask.value] > allowed:
            context.bag.error(
                codes.SHARED_FULL,
                f"{used[mask.value]} vCPUs float over CPUs {mask.value} of host `{host.name}` with `{thread.domain.name}`; "
                f"{allowed} are allowed",
                mask.span,
            )
            return


def _boot(context: Context) -> Label | None:
    return Label(context.files.boot_place, "the boot line begins here") if context.files.boot_place else None


def _pages(context: Context, host: Host) -> None:
    usual = (*host.pages, *host.reserve_pages)
    special = {kind: offer.pages for kind, offer in host.memories.items()}
    blamed = context.blamed()
    sizes = {count.size_kib for count in (*usual, *(one for pages in special.values() for one in pages))}
    sizes |= {supply.size_kib for supply in context.files.pages}
    for size in sorted(sizes, reverse=True):
        for id, (has, source) in sorted(kept(context, size).items()):
            node = context.topology.node(id)
            offers = node is not None and bool(node.cpus & context.topology.usable) and node.memory_kib != 0
            alone = node is not None and not node.cpus and node.memory is not None and bool(node.memory_kib)
            counts = usual if offers else special.get(str(node.memory), ()) if alone and node is not None else ()
            wanted = sum(count.number for count in counts if count.size_kib == size)
            place = source_of(context, size, source)
            if has != wanted and place not in blamed:
                context.bag.error(
                    codes.OFFER_BROKEN,
                    f"host `{host.name}` is to keep {counted(wanted, 'page')} of {size_text(size)} on node {id}, offered and "
                    f"reserved; "
                    f"its files keep {has}",
                    place,
                )


def _cores(context: Context, host: Host) -> None:
    """The number of whole cores that are kept for guests, node by node: which of them is the resolver's choice."""
    boot = host.isolation is Isolation.BOOT
    if context.files.isolated and not boot:
        text = f"host `{host.name}` is to isolate no CPU; its boot line isolates {context.files.isolated}"
        context.bag.error(codes.OFFER_BROKEN, text, context.files.of(Role.ISOLATED)[0].label())
        return
    places = context.files.of(Role.ISOLATED if boot else Role.BANNED)
    if context.topology.cores is None or (not boot and not places) or {one.span for one in places} & context.blamed():
        return
    free = union(one.cpus for one in places)
    for node, cores in _node_cores(context):
        wanted = dedicated_cores(context, host)[node]
        has = sum(core.issubset(free) for core in cores)
        halves = [core for core in cores if core & free and not core.issubset(free)]
        if has != wanted or halves:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` is to keep {wanted} of {counted(len(cores), 'core')} of node {node} for guests; "
                f"its files keep {has}" + (f" and half of the core of CPUs {halves[0]}" if halves else ""),
                places[0].label() if places else _boot(context),
            )


def dedicated_cores(context: Context, host: Host) -> dict[int, int]:
    """How many cores of each node are kept for guests that own theirs, and for the vswitch."""
    return {
        node: max(len(cores) - max(host.housekeeping_cores, 1) - host.shared_cores, 0)
        for node, cores in _node_cores(context)
    }


def _node_cores(context: Context) -> Iterator[tuple[int, list[CpuSet]]]:
    """The usable cores of each node that has any."""
    usable = context.topology.usable
    for node in context.topology.nodes:
        cores = [core & usable for core in context.topology.cores or () if core & node.cpus & usable]
        if cores:
            yield node.id, cores


def _services(context: Context, host: Host) -> None:
    """The system's services have the boot CPU and the node's number of whole cores."""
    topology, services = context.topology, context.services
    places = context.files.of(Role.SERVICES)
    if not services or topology.cores is None or topology.online.first not in topology.usable:
        return
    wanted = max(host.housekeeping_cores, 1)
    wrong = []
    if (topology.online.first in services) is not host.boot_cpu:
        verb = "leave out" if host.boot_cpu else "have"
        wrong = [f"{verb} CPU {topology.online.first}, on which the host boots"]
    for node, cores in _node_cores(context):
        has = sum(core.issubset(services) for core in cores)
        halves = [core for core in cores if core & services and not core.issubset(services)]
        if has != min(wanted, len(cores)):
            wrong.append(f"have {has} whole cores of node {node}, and {wanted} are to be theirs")
        elif halves:
            wrong.append(f"have half of the core of CPUs {halves[0]}")
    if wrong:
        text = f"services of host `{host.name}` run on {named(services)}: they {' and '.join(wrong)}"
        context.bag.error(codes.OFFER_BROKEN, text, places[0].label())


def _interrupts(context: Context) -> None:
    """Interrupts and unbound work may use every CPU that is not kept free."""
    kept_free = context.pool
    sources = {one.span for one in context.files.of(Role.ISOLATED, Role.NOHZ_FULL, Role.TUNED_ISOLATED, Role.BANNED)}
    if not kept_free or sources & context.blamed():
        return
    for one in context.files.of(Role.IRQ, Role.WORKQUEUE):
        left = context.topology.usable - kept_free - one.cpus
        if left and one.span not in context.blamed():
            context.bag.error(
                codes.SETS_UNEQUAL,
                f"`{one.setting}` is {one.cpus} and leaves out {named(left)}, which no guest owns",
                one.label(),
            )


def _script(context: Context) -> Label | None:
    """Where VFs are made, for one that is not."""
    head = next((one.span for one in context.files.vfs), context.files.heads.get("etc/kvmc/make-vfs"))
    return Label(head) if head else None


def _vfs(context: Context, host: Host) -> None:
    asked = [(parent, pool.vfs) for pool in host.devices.values() for parent in pool.parents]
    for parent, vfs in asked:
        made = [one for one in context.files.vfs if one.parent == parent]
        has = max((one.count for one in made), default=0)
        if has != vfs:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` is to make {vfs} VFs of {parent}; its files make {has}",
                Label(made[0].span) if made else _script(context),
            )
    parents = {parent for parent, _ in asked}
    for one in context.files.vfs:
        if one.parent not in parents:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` makes {one.count} VFs of {one.parent}, which the site does not ask for",
                one.span,
            )


def _budget(context: Context, host: Host) -> None:
    """QEMU's main loops, I/O threads, and a vhost thread for each queue of each virtio NIC, which has the emulator's mask."""
    services = context.services
    if not services:
        return
    count = 0
    labels: list[Label] = []
    for domain in context.files.domains:
        mask = domain.emulator
        if mask is None or not mask.value & services:
            continue
        kernels = [nic.value for nic in domain.nics if nic.value.device is None and nic.value.kind != "vhostuser"]
        queues = [integer(nic.queues) or 1 for nic in kernels]
        mine = 1 + sum(queues) + (len(domain.iothreads.value) if domain.iothreads else 0)
        count += mine
        labels.append(mask.label(counted(mine, "thread")))
    allowed = len(services) * host.housekeeping_threads
    if count > allowed:
        context.bag.error(
            codes.HOUSEKEEPING_FULL,
            f"guests of host `{host.name}` run {count} emulator, I/O and vhost threads on {len(services)} housekeeping CPUs; "
            f"{allowed} are budgeted",
            labels[0],
            secondary=[*labels[1:], context.files.of(Role.SERVICES)[0].label()],
        )
