"""Each host against what the site says that it offers: pages, isolated cores, VFs."""

from __future__ import annotations

from kvmc.audit.context import Context
from kvmc.audit.hostfiles import Role
from kvmc.audit.pages import kept
from kvmc.diagnostics import Label
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.site import Host, Isolation
from kvmc.model.values import size_text


def check(context: Context) -> None:
    host = context.site.hosts.get(context.files.host) if context.site else None
    if host is None:
        return
    _pages(context, host)
    _cores(context, host)
    _interrupts(context)
    _vfs(context, host)


def _boot(context: Context) -> Label | None:
    return Label(context.files.boot_place, "the boot line begins here") if context.files.boot_place else None


def _pages(context: Context, host: Host) -> None:
    asked: dict[int, int] = {}
    for count in (*host.pages, *host.reserve_pages):
        asked[count.size_kib] = asked.get(count.size_kib, 0) + count.number
    blamed = context.blamed()
    sizes = set(asked) | {supply.size_kib for supply in context.files.pages}
    for size in sorted(sizes, reverse=True):
        for id, (has, source) in sorted(kept(context, size).items()):
            node = context.topology.node(id)
            offers = node is not None and bool(node.cpus & context.topology.usable) and node.memory_kib != 0
            wanted = asked.get(size, 0) if offers else 0
            if has != wanted and (source is None or source.span not in blamed):
                context.bag.error(
                    codes.OFFER_BROKEN,
                    f"host `{host.name}` is to keep {wanted} pages of {size_text(size)} on node {id}, offered and reserved; "
                    f"its files keep {has}",
                    Label(source.span) if source else _boot(context),
                )


def _cores(context: Context, host: Host) -> None:
    """The number of whole cores that are isolated, node by node: which of them is the resolver's choice."""
    if context.topology.cores is None:
        return
    isolated = context.files.isolated
    places = context.files.of(Role.ISOLATED)
    if places and places[0].span in context.blamed():
        return
    for node in context.topology.nodes:
        cores = [
            core & context.topology.usable
            for core in context.topology.cores
            if core & node.cpus & context.topology.usable
        ]
        if not cores:
            continue
        # Vswitch cores are isolated with the dedicated ones.
        wanted = (
            len(cores) - max(host.housekeeping_cores, 1) - host.shared_cores if host.isolation is Isolation.BOOT else 0
        )
        has = sum(core.issubset(isolated) for core in cores)
        halves = [core for core in cores if core & isolated and not core.issubset(isolated)]
        if has != wanted or halves:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` is to isolate {wanted} whole cores of node {node.id} of {len(cores)}; its boot line isolates "
                f"{has}" + (f" and half of the core of CPUs {halves[0]}" if halves else ""),
                places[0].label() if places else _boot(context),
            )


def _interrupts(context: Context) -> None:
    """Interrupts and unbound work may use every CPU that is not kept free."""
    kept_free = context.pool
    if not kept_free:
        return
    for one in context.files.of(Role.IRQ, Role.WORKQUEUE):
        left = context.topology.usable - kept_free - one.cpus
        if left and one.span not in context.blamed():
            context.bag.error(
                codes.SETS_UNEQUAL,
                f"`{one.setting}` is {one.cpus} and leaves out CPUs {left}, which no guest owns",
                one.label(),
            )


def _vfs(context: Context, host: Host) -> None:
    for pool in host.devices.values():
        if pool.parent is None:
            continue
        made = [one for one in context.files.vfs if one.parent == pool.parent]
        has = max((one.count for one in made), default=0)
        if has != pool.vfs:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` is to make {pool.vfs} VFs of {pool.parent}; its files make {has}",
                Label(made[0].span) if made else None,
            )
    parents = {pool.parent for pool in host.devices.values()}
    for one in context.files.vfs:
        if one.parent not in parents:
            context.bag.error(
                codes.OFFER_BROKEN,
                f"host `{host.name}` makes {one.count} VFs of {one.parent}, which the site does not ask for",
                one.span,
            )
