"""Why a guest found no place: for each host the true reason, with the numbers of its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import placement as codes
from kvmc.diagnostics.model import Code
from kvmc.diagnostics.text import counted
from kvmc.model.origins import Origins, Path
from kvmc.model.site import L3, Cores, MemoryMode
from kvmc.model.values import size_text
from kvmc.resolver.best import best_choice
from kvmc.resolver.choices import fit_cell, pick_devices
from kvmc.resolver.demand import Cell, Close, Demand, arrangements, uneven
from kvmc.resolver.near import device_nodes, near_nodes
from kvmc.resolver.spread import interleaved, lay_memory, of_kind, share, stores_of
from kvmc.resolver.state import HostState, NodeState, State

_SHOWN = 6
_NODES_SHOWN = 4
_NODE_SETS = 64
"""Sets of nodes that memory is laid on, to tell whether it is too little."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """What one node has too little of. need: in words; have: of the same; asks: the guest's setting; gives: the host's, if one."""

    kind: str
    need: str
    have: int
    asks: str
    gives: Path | None
    help: str

    @property
    def free(self) -> str:
        return size_text(self.have) if self.kind == "normal" else str(self.have)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one host can't have the guest."""

    host: str
    text: str
    blame: Path | None
    gives: Path | None = None
    help: str | None = None


def reasons(demand: Demand, state: State, empty: State) -> tuple[Code, list[Reason]]:
    """What kind of failure it is that the guest is not in `state`, and why each host can't have it; `empty` holds no guest."""
    tied = [one for one in demand.refused.values() if one.path[-1] in ("host", "pool")]
    refused = {host: one for host, one in demand.refused.items() if one not in tied} or demand.refused
    found = [Reason(host, one.text, one.path, None, one.help) for host, one in refused.items()]
    if not demand.hosts:
        return codes.INTENT, found
    alone = any(best_choice(demand, empty, host, strict=False) for host in demand.hosts)
    seen = state if alone else empty
    return codes.NOT_PLACED if alone else codes.TOO_LARGE, [reason(demand, seen, host) for host in demand.hosts] + found


def report(
    demand: Demand,
    also: Sequence[str],
    code: Code,
    reasons: Sequence[Reason],
    lines: Sequence[Label],
    notes: Sequence[str],
    help: Sequence[str],
    origins: Origins,
    bag: Bag,
) -> None:
    """One error for a guest, and for those that have no place for the same cause (`also`). lines: what conflicts."""
    guests = f"`{demand.vm}`" + (f" and {counted(len(also), 'more guest')}" if also else "")
    what = {
        codes.INTENT: f"no host can have {guests}",
        codes.TOO_LARGE: f"{guests} {'do' if also else 'does'} not fit on any host, even an empty one",
        codes.NOT_PLACED: f"no placement found for {guests}",
    }[code]
    first = reasons[0] if reasons else Reason("", "the site has no host", None)
    message = f"{what}: {reasons_text(reasons) or first.text}"
    blames = {one.blame for one in reasons}
    asks = origins.label(first.blame, "asked for here") if first.blame and len(blames) == 1 else None
    gives = origins.label(first.gives, "offered here") if first.gives and len(reasons) == 1 else None
    primary = origins.label(("vm", demand.vm))
    if code is codes.INTENT and asks is not None:
        primary, asks = Label(asks.span), None
    known = {} if primary is None else {primary.span: primary}
    for label in (asks, gives, *lines):
        if label is not None:
            known.setdefault(label.span, label)
    secondary = [label for label in known.values() if label is not primary]
    bag.error(code, message, primary, secondary=secondary, notes=notes, help=help)


def reasons_text(reasons: Sequence[Reason]) -> str:
    """The reasons with the hosts that have them, hosts of the same one together; at most `_SHOWN` hosts by name."""
    groups: dict[str, list[str]] = {}
    for one in reasons[:_SHOWN]:
        groups.setdefault(one.text, []).append(f"`{one.host}`")
    shown = [f"{', '.join(hosts)}{'' if text.startswith(' ') else ': '}{text}" for text, hosts in groups.items()]
    more = len(reasons) - _SHOWN
    return "; ".join(shown) + (f"; and {more} more hosts" if more > 0 else "")


def reason(demand: Demand, state: State, host: str) -> Reason:
    for claim in demand.hosts[host]:
        if claim in state.claims:
            place, domain = claim
            other = state.claims[claim]
            where = "is on it" if domain == host or domain == f"host {host}" else f"is in {domain}"
            path = ("place", place)
            return Reason(
                host, f"`{other}` {where}, and `place apart {place}` keeps them apart", path, None, "add a host for it"
            )
    here = state.hosts[host]
    if demand.tunes and here.room is not None:
        plain = replace(demand, cachetune=0, memorytune=0, tunes=False)
        if best_choice(plain, state, host, strict=False) is not None:
            from kvmc.resolver.resctrl import lacking

            text, setting = lacking(demand, here.room)
            gives = ("host", host, "resctrl", "l3" if setting == "cachetune" else "memory_bandwidth")
            return Reason(host, text, ("vm", demand.vm, setting), gives, f"offer more in `resctrl` of `{host}`")
    if demand.relations:
        related = _relation_reason(demand, state, host)
        if related is not None:
            return related
    if len(here.nodes) < len(demand.cells):
        return Reason(
            host,
            f"needs {counted(len(demand.cells), 'node')} with CPUs, it has {len(here.nodes)}",
            ("vm", demand.vm, "nodes"),
        )
    slots = [slot for node in here.nodes for slot in node.slots]
    if demand.dedicated and demand.l3 is L3.REQUIRE and slots and not any(slot.l3_known for slot in slots):
        help = "give a topology that tells L3 caches (a sysfs tree), or `l3 = prefer`"
        return Reason(host, "needs one L3 cache, the topology tells none", ("vm", demand.vm, "l3"), None, help)
    shortages = max((_shortages(demand, here, cell) for cell in _kinds(demand)), key=len)
    able = len(here.nodes) - len(shortages)
    if able >= len(demand.cells) and demand.memory_cells and (why := _alone_reason(demand, here)) is not None:
        return why
    if able >= len(demand.cells) and demand.spread and (why := _spread_reason(demand, here)) is not None:
        return why
    if able >= len(demand.cells):
        return _device_reason(demand, here)
    return _node_reason(demand, here, shortages, able)


def _kind_reason(demand: Demand, here: HostState) -> Reason:
    """What the nodes of the kind that a guest's memory is to be of have too little of."""
    unit = demand.pages_kib or 1
    stores = {one: here.stores[one] for at in range(len(here.nodes)) for one in of_kind(demand, here.machine, at)}
    have = {one: node.pages.get(unit, 0) if demand.pages_kib else max(node.normal, 0) for one, node in stores.items()}
    amount = demand.cells[0].memory_kib
    what = f"{counted(amount // unit, 'page')} of {size_text(unit)}" if demand.pages_kib else size_text(amount)
    if not have:
        text = f"needs {what} of {demand.kind} memory, no node has that kind"
        return Reason(here.machine.host.name, text, ("vm", demand.vm, "memory_kind"))
    most = max(have, key=lambda one: have[one])
    free_there = str(have[most]) if demand.pages_kib else size_text(have[most])
    text = f"needs {what} of {demand.kind} memory, most free is {free_there} on node {here.machine.stores[most].node}"
    more = (
        "huge pages are kept on nodes with CPUs alone: `pages = none`" if demand.pages_kib and not have[most] else None
    )
    return Reason(here.machine.host.name, text, ("vm", demand.vm, "memory"), None, more)


def _spread_reason(demand: Demand, here: HostState) -> Reason | None:
    """Whether it is the memory of all nodes together, or of one of those in turn, that is too little."""
    sets = arrangements(demand.cells, range(len(here.nodes)))
    if any(lay_memory(demand, here, nodes) is not None for nodes in islice(sets, _NODE_SETS)):
        return None
    unit = demand.pages_kib or 1
    free = [node.pages.get(unit, 0) if demand.pages_kib else max(node.normal, 0) for node in here.nodes]
    if demand.kind is not None:
        return _kind_reason(demand, here)
    over = interleaved(here.machine)
    need = sum(cell.memory_kib for cell in demand.cells)
    if demand.numatune is MemoryMode.INTERLEAVE and over:
        need = max(share(demand, cell, len(over)) for cell in demand.cells)
        least = min(over, key=lambda position: free[position])
        where, have = f" on each of {counted(len(over), 'node')}", free[least]
        rest = f"node {here.machine.nodes[least].node} has {have if demand.pages_kib else size_text(have)} free"
    else:
        where, have = " over all nodes", sum(free)
        rest = f"{have if demand.pages_kib else size_text(have)} free"
    what = (
        f"{counted(need // unit, 'page')} of {size_text(unit)}" if demand.pages_kib else f"{size_text(need)} of memory"
    )
    help = f"offer more on `{here.machine.host.name}`, or ask for less `memory`"
    return Reason(here.machine.host.name, f"needs {what}{where}, {rest}", ("vm", demand.vm, "memory"), None, help)


def _kinds(demand: Demand) -> tuple[Cell, ...]:
    """The cells that differ; of those that are alike the first, which is the largest."""
    return demand.cells if uneven(demand.cells) else demand.cells[:1]


def _shortages(demand: Demand, here: HostState, cell: Cell) -> dict[int, Shortage]:
    """What each node of the host that cannot hold the cell has too little of."""
    return {
        position: shortage
        for position in range(len(here.nodes))
        if (shortage := shortage_on(demand, cell, here, position)) is not None
    }


def _relation_reason(demand: Demand, state: State, host: str) -> Reason | None:
    """The first relation that keeps the guest from the host, if it had a place there without it."""
    alone = best_choice(replace(demand, relations=()), state, host, strict=False)
    if alone is None:
        return None
    from kvmc.resolver.relations import broken

    choice = alone[1]
    breaks = broken(demand, state.hosts[host].machine, choice, state.groups)
    if breaks is None:
        return None
    relation, other = breaks
    path = ("place", relation.place)
    if other == demand.vm:
        return Reason(host, f"`{relation.title}`: no one {relation.domain.text} has room for all of it", path)
    where = state.chosen[other].host if other in state.chosen else host
    at = f"`{other}` is on `{where}`" if where != host else f"`{other}` is there"
    if relation.together:
        more = "" if where != host else f", and its {relation.domain.text} has no room left"
        return Reason(host, f"{at}{more}; `{relation.title}` keeps them in one {relation.domain.text}", path)
    return Reason(
        host, f"{at}; `{relation.title}` keeps them in different {relation.domain.text}s, and no other has room", path
    )


def _node_reason(demand: Demand, here: HostState, shortages: Mapping[int, Shortage], able: int) -> Reason:
    host = here.machine.host.name
    nearest = max(shortages.values(), key=lambda one: one.have)
    kinds = {one.kind for one in shortages.values()}
    ids = {position: here.machine.nodes[position].node for position in shortages}
    blame: Path | None = ("vm", demand.vm, nearest.asks) if len(kinds) == 1 else None
    several = f"{counted(len(demand.cells), 'node')} needed, {able} can have it: " if len(demand.cells) > 1 else ""
    if len(here.nodes) == 1:
        position = next(iter(shortages))
        text = f" node {ids[position]}: {nearest.need}, {nearest.free} free"
    elif len(kinds) == 1 and len({one.need for one in shortages.values()}) == 1:
        at = next(ids[position] for position, one in shortages.items() if one is nearest)
        text = f"{several}{nearest.need} in one node, most free is {nearest.free} on node {at}"
    else:
        parts = [f"node {ids[position]}: {one.need}, {one.free} free" for position, one in shortages.items()]
        more = f", and {len(parts) - _NODES_SHOWN} more nodes" if len(parts) > _NODES_SHOWN else ""
        text = f"{several}{', '.join(parts[:_NODES_SHOWN])}{more}"
        if not several:
            text = " " + text
    gives = nearest.gives if len(kinds) == 1 else None
    return Reason(host, text, blame, gives, nearest.help)


def shortage_on(demand: Demand, cell: Cell, here: HostState, position: int) -> Shortage | None:
    """What the node has too little of for the cell."""
    node = here.nodes[position]
    host = here.machine.host.name
    if demand.pages_kib is not None and not demand.spread:
        need, free = cell.memory_kib // demand.pages_kib, node.pages.get(demand.pages_kib, 0)
        if need > free:
            size = size_text(demand.pages_kib)
            path: Path = ("host", host, "pages")
            help = f"offer more pages of {size} on `{host}` (host reboot), or ask for less `memory`"
            return Shortage("pages", f"needs {counted(need, 'page')} of {size}", free, "memory", path, help)
    if cell.normal_kib > node.normal:
        what = "overhead" if demand.pages_kib is not None else "memory and overhead"
        help = f"offer fewer huge pages on `{host}`, or ask for less `memory`"
        return Shortage(
            "normal",
            f"needs {size_text(cell.normal_kib)} of normal pages for {what}",
            node.normal,
            "memory",
            ("host", host, "pages"),
            help,
        )
    if demand.shared(cell) > node.shared:
        path = ("host", host, "shared", "cores")
        help = f"give `{host}` more `shared` cores, or a higher `overcommit`"
        return Shortage(
            "shared", f"needs {counted(demand.shared(cell), 'vCPU')} on shared CPUs", node.shared, "vcpus", path, help
        )
    if fit_cell(demand, cell, node, here.machine) is None:
        return _cpu_shortage(demand, cell, node, here)
    return None


def _cpu_shortage(demand: Demand, cell: Cell, node: NodeState, here: HostState) -> Shortage:
    host = here.machine.host.name
    per = [here.machine.vcpus_a_core(demand, slot) for slot in node.slots]
    most = max(per, default=1) or 1
    cores = -(-cell.vcpus // most) if demand.dedicated else 0
    whole = f"{counted(cores + demand.own, 'free core')} for {counted(cell.vcpus, 'vCPU')}"
    whole += " and its emulator" if demand.own else ""
    if demand.cores is not Cores.ANY:
        whole = whole.replace("free core", f"free {demand.cores} core", 1)
    usable = sum(free for free, threads in zip(node.free, per, strict=True) if threads)
    if usable >= cores + demand.own and demand.l3 is L3.REQUIRE:
        most_free = max(
            (free for free, slot, n in zip(node.free, node.slots, per, strict=True) if slot.l3_known and n), default=0
        )
        help = "`l3 = prefer` lets it use several L3 caches"
        return Shortage(
            "l3",
            f"needs {counted(cores, 'free core')} of one L3 for {counted(cell.vcpus, 'vCPU')}",
            most_free,
            "l3",
            None,
            help,
        )
    help = f"ask for fewer `vcpus`, or give `{host}` fewer cores for `shared`, `vswitch` or `housekeeping`"
    return Shortage("cores", f"needs {whole}", usable, "vcpus", None, help)


def _ids(here: HostState) -> list[int]:
    return [cpus.node for cpus in here.machine.nodes]


def _device_reason(demand: Demand, here: HostState) -> Reason:
    """Nodes enough have CPUs and memory: it is the devices, which are not free or not near them."""
    host = here.machine.host.name
    for close in demand.close:
        why = _close_reason(demand, close, here) if close.required else None
        if why is not None:
            return why
    beside = [pair for pair in demand.beside if pick_devices(replace(demand, beside=(pair,)), here, _ids(here)) is None]
    if beside and pick_devices(replace(demand, beside=()), here, _ids(here)) is not None:
        pools, ((kind, name), (_, partner)) = dict(demand.devices), beside[0]
        return Reason(
            host,
            f"no free function of `{pools[kind, name]}` is on one root complex with that of `{partner}`",
            ("vm", demand.vm, kind, name, "beside"),
        )
    counts: dict[str, int] = {}
    for _, pool in demand.devices:
        counts[pool] = counts.get(pool, 0) + 1
    everywhere = [cpus.node for cpus in here.machine.nodes]
    for pool, need in counts.items():
        functions = here.machine.functions.get(pool, ())
        free = [one for one in functions if one.address not in here.used]
        label = next(key for key, name in demand.devices if name == pool)
        blame: Path = ("vm", demand.vm, *label, "device")
        gives: Path = ("host", host, "devices", pool)
        help = f"give `{pool}` of `{host}` more functions"
        if len(free) < need:
            return Reason(
                host,
                f"needs {counted(need, 'function')} of `{pool}`, {len(free)} of {len(functions)} free",
                blame,
                gives,
                help,
            )
        nodes = sorted({one.node for one in free if one.node is not None})
        able = [node for node in nodes if pick_devices(demand, here, everywhere) is not None]
        lacking = next((position for position, cpus in enumerate(here.machine.nodes) if cpus.node in nodes), None)
        shortage = shortage_on(demand, demand.cells[0], here, lacking) if lacking is not None else None
        if shortage is not None:
            at = here.machine.nodes[lacking or 0].node
            text = f" node {at}: {shortage.need}, {shortage.free} free; the functions of `{pool}` are there"
            return Reason(host, text, ("vm", demand.vm, shortage.asks), shortage.gives, shortage.help)
        if lacking is None and nodes:
            return Reason(host, f"`{pool}` is on node {nodes[0]}, which has no CPUs for guests", blame, gives, None)
        if not able:
            return Reason(
                host,
                f"free functions of `{pool}` share IOMMU groups with devices that the guest does not take",
                blame,
                gives,
                None,
            )
    names = ", ".join(f"`{pool}`" for pool in counts)
    return Reason(
        host, f"no set of {counted(len(demand.cells), 'node')} has its CPUs, memory and {names} together", None
    )


def _close_reason(demand: Demand, close: Close, here: HostState) -> Reason | None:
    """What keeps a guest from the nodes of a device that it is to be near without owning it."""
    machine = here.machine
    path: Path = ("vm", demand.vm, "near", close.label)
    if not device_nodes(close, machine):
        one = ", ".join(f"`{address}`" for address in close.addresses) or f"`{close.pool}` with a function"
        return Reason(machine.host.name, f"has no {one}, and `near {close.label}` asks for it", path)
    near = near_nodes(close, machine)
    there = [index for index, cpus in enumerate(machine.nodes) if cpus.node in near]
    where = f"near the device of `near {close.label}`"
    if not there:
        return Reason(machine.host.name, f"no node {where} has CPUs for guests", path)
    short = [shortage_on(demand, demand.cells[0], here, index) for index in there]
    if len(demand.cells) > 1 or None in short:
        return None
    first = next(one for one in short if one is not None)
    text = f" node {machine.nodes[there[0]].node}: {first.need}, {first.free} free; it alone is {where}"
    if len(there) > 1:
        text = f" node {machine.nodes[there[0]].node}: {first.need}, {first.free} free; {len(there)} nodes are {where}"
    return Reason(machine.host.name, text, path, first.gives, "`strength = prefer`")


def _alone_reason(demand: Demand, here: HostState) -> Reason | None:
    """What the nodes of a kind have too little of for the guest's nodes without vCPUs."""
    name = here.machine.host.name
    for cell in demand.memory_cells:
        stores = stores_of(cell, here.machine, ())
        path: Path = ("vm", demand.vm, "node")
        if not stores:
            return Reason(name, f"has no node of {cell.kind} memory", path, None, None)
        if all(here.stores[one].normal < cell.memory_kib for one in stores):
            most = max(here.stores[one].normal for one in stores)
            text = (
                f"needs {size_text(cell.memory_kib)} of {cell.kind} memory on one node, {size_text(max(most, 0))} free"
            )
            return Reason(name, text, path, None, None)
    return None
