"""Huge pages of each node and size, and normal memory: what guests take is no more than what the host keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kvmc.audit.context import Context, bound, cells_of, nodes_for
from kvmc.audit.domain import DEFAULT_PAGE, Cell, Domain, Page
from kvmc.audit.hostfiles import PageSupply
from kvmc.audit.source import At
from kvmc.diagnostics import Label, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import size_text


@dataclass(frozen=True, slots=True)
class Demand:
    """Memory that one cell takes: pages of a size, or normal memory where `size_kib` is 0. `count`: pages, or KiB."""

    domain: Domain
    nodes: CpuSet
    size_kib: int
    count: int
    place: At[Page] | At[int]

    @property
    def label(self) -> Label:
        what = f"{counted(self.count, 'page')}" if self.size_kib else size_text(self.count)
        return Label(self.place.span, f"`{self.domain.name}` takes {what}")


def check(context: Context) -> None:
    _sizes(context)
    demands = [demand for domain in context.files.domains for demand in _demands(context, domain)]
    if context.files.has_host_half:
        _pages(context, demands)
        _memory(context, demands)


def page_of(domain: Domain, cell: Cell) -> At[Page] | None:
    """The page size of a cell; None for normal pages."""
    own = next((page for page in domain.pages if page.value.cells is not None and cell.id in page.value.cells), None)
    return own or next((page for page in domain.pages if page.value.cells is None), None)


def _demands(context: Context, domain: Domain) -> list[Demand]:
    found = []
    blamed = context.blamed()
    every = CpuSet.of(node.id for node in context.topology.nodes)
    for cell in cells_of(domain):
        memory = cell.value.memory_kib
        if domain.cells:  # a guest without cells has its modules in the memory of all
            modules = [module.value for module in domain.modules if (module.value.cell or 0) == cell.value.id]
            memory += sum(module.memory_kib for module in modules)
        where = nodes_for(domain, cell.value.id)
        if where is not None and where.span in blamed:
            continue
        nodes = where.value & every if where else every
        told = bound(domain, cell.value.id)
        mode = told.value.mode if told else ""
        if mode == "preferred":  # what its node lacks comes from any other
            nodes = every
        page = page_of(domain, cell.value)
        if page is None:
            assert domain.memory is not None or domain.cells
            place: At[int] | At[Page] = domain.memory or At(memory, cell.span)
            found += _in_turn(Demand(domain, nodes, 0, memory, place), mode)
            continue
        size = page.value.size_kib if page.value.size_kib != DEFAULT_PAGE else context.files.default_page_kib
        if page.span in blamed or not size:
            continue
        if memory % size:
            context.bag.error(
                codes.PAGES_UNEVEN,
                f"a cell of `{domain.name}` has {size_text(memory)}, no whole number of pages of {size_text(size)}",
                cell.span,
                secondary=[page.label("the size of its pages")],
            )
        found += _in_turn(Demand(domain, nodes, size, -(-memory // size), page), mode)
    return found


def _in_turn(demand: Demand, mode: str) -> list[Demand]:
    """Interleaved memory takes the same of each of its nodes."""
    if mode != "interleave" or len(demand.nodes) < 2:
        return [demand]
    share = -(-demand.count // len(demand.nodes))
    return [replace(demand, nodes=CpuSet.of([node]), count=share) for node in demand.nodes]


def _sizes(context: Context) -> None:
    """Sizes that the host has, where its topology tells them."""
    known = {size for node in context.topology.nodes for size in node.page_sizes_kib}
    if not known:
        return
    shown = ", ".join(size_text(size) for size in sorted(known))
    for domain in context.files.domains:
        for page in domain.pages:
            if page.value.size_kib not in known | {DEFAULT_PAGE}:
                context.bag.error(
                    codes.PAGE_SIZE_ABSENT,
                    f"`{domain.name}` wants pages of {size_text(page.value.size_kib)}; "
                    f"host `{context.files.host}` has pages of {shown}",
                    page.span,
                )
    for supply in context.files.pages:
        if supply.node is not None and context.topology.node(supply.node) is None:
            context.bag.error(
                codes.BOOT_NODE_ABSENT,
                f"node {supply.node} is asked for {supply.count} pages; host `{context.files.host}` has no such node",
                supply.span,
            )
        if supply.size_kib not in known:
            context.bag.error(
                codes.PAGE_SIZE_ABSENT,
                f"pages of {size_text(supply.size_kib)} are to be kept; host `{context.files.host}` has pages of {shown}",
                supply.span,
            )


def kept(context: Context, size_kib: int) -> dict[int, tuple[int, PageSupply | None]]:
    """Pages of a size by node, with what says so. A count without a node is spread evenly over the nodes with memory."""
    nodes = [node.id for node in context.topology.nodes if node.memory_kib != 0]
    found: dict[int, tuple[int, PageSupply | None]] = {node.id: (0, None) for node in context.topology.nodes}
    for supply in context.files.pages:
        if supply.size_kib != size_kib:
            continue
        for node in nodes if supply.node is None else [supply.node]:
            share = supply.count if supply.node is not None else supply.count // len(nodes)
            if supply.node is None and context.files.handwritten:
                share = -(-supply.count // len(nodes))  # which node gets one more, the files don't tell
            before = found.get(node, (0, None))[0]
            found[node] = (before + share, supply)
    return found


def source_of(context: Context, size_kib: int, supply: PageSupply | None) -> Span | None:
    """The place to blame for a node's pages: what keeps them, else what keeps such pages elsewhere, else the boot line."""
    other = supply or next((one for one in context.files.pages if one.size_kib == size_kib), None)
    return other.span if other is not None else context.files.boot_place


def _spread(demands: list[Demand], there: dict[int, int]) -> dict[int, list[Demand]]:
    """Which demands no longer fit, by node: first those of one node, then the others where most is left. Changes `there`."""
    short: dict[int, list[Demand]] = {}
    for demand in sorted(demands, key=lambda one: len(one.nodes)):
        if len(demand.nodes) == 1:
            there[demand.nodes.first] = there.get(demand.nodes.first, 0) - demand.count
            continue
        left = demand.count
        for node in sorted(demand.nodes, key=lambda id: (-there.get(id, 0), id)):
            part = min(left, max(there.get(node, 0), 0))
            there[node] = there.get(node, 0) - part
            left -= part
        if left and demand.nodes:
            there[demand.nodes.first] = there.get(demand.nodes.first, 0) - left
    for node, left in there.items():
        if left < 0:
            short[node] = [demand for demand in demands if node in demand.nodes]
    return short


def _pages(context: Context, demands: list[Demand]) -> None:
    for size in sorted({demand.size_kib for demand in demands if demand.size_kib}):
        some = [demand for demand in demands if demand.size_kib == size]
        supply = kept(context, size)
        there = {node: count for node, (count, _) in supply.items()}
        for node, guilty in sorted(_spread(some, there).items()):
            has, source = supply.get(node, (0, None))
            labels = [demand.label for demand in guilty]
            place = source_of(context, size, source)
            primary = Label(place, f"{counted(has, 'page')} on node {node}") if place else None
            context.bag.error(
                codes.PAGES_SHORT,
                f"guests take {counted(has - there[node], 'page')} of {size_text(size)} on node {node} of host "
                f"`{context.files.host}`, "
                f"which keeps {has}",
                primary or labels[0],
                secondary=labels,
            )


def _memory(context: Context, demands: list[Demand]) -> None:
    """Total of the node against its huge pages, its guests' normal memory, and the reserve that the site asks for."""
    host = context.site.hosts.get(context.files.host) if context.site else None
    reserve = host.reserve_memory_kib if host else 0
    sizes = {supply.size_kib for supply in context.files.pages}
    normal = [demand for demand in demands if not demand.size_kib]
    there: dict[int, int] = {}
    paged: dict[int, int] = {}
    unknown = CpuSet.of(node.id for node in context.topology.nodes if node.memory_kib is None)
    for node in context.topology.nodes:
        if node.memory_kib is not None:
            paged[node.id] = sum(kept(context, size)[node.id][0] * size for size in sizes)
            mine = reserve if node.cpus else 0
            there[node.id] = node.memory_kib - paged[node.id] - mine
    start = dict(there)
    known = [demand for demand in normal if not demand.nodes & unknown]
    for id, guilty in sorted(_spread(known, there).items()):
        found = context.topology.node(id)
        total = found.memory_kib if found is not None else 0
        pages = [Label(supply.span, "huge pages") for supply in context.files.pages if supply.node in (None, id)]
        labels = [demand.label for demand in guilty] + pages
        context.bag.error(
            codes.MEMORY_SHORT,
            f"node {id} of host `{context.files.host}` has {size_text(total or 0)}: {size_text(paged[id])} are huge pages, "
            f"{size_text(start[id] - there[id])} normal memory of guests, "
            f"{size_text(total - paged[id] - start[id] if total else 0)} the reserve",
            labels[0] if labels else None,
            secondary=labels[1:],
        )
