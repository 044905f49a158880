"""From a plan to its picture. Pure; what was before is what the locks hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kvmc.driver.changes import change_rows, reboots
from kvmc.driver.outcome import Outcome
from kvmc.driver.places import placement_rows
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.settings import settings
from kvmc.model.site import Pinning
from kvmc.resolver.leftover import state_of, stranded
from kvmc.resolver.placement import GuestPlacement, HostPools
from kvmc.resolver.pools import ordered_cores
from kvmc.resolver.state import HostState
from kvmc.topology.model import Node, Topology
from kvmc.view.model import CacheView, DeviceView, FleetView, GuestView, HostView, NodeView, PagesView, Thread, Use

_NONE = "-"


def fleet_view(outcome: Outcome) -> FleetView:
    """The picture of a plan without errors."""
    site, placement = outcome.site, outcome.placement
    assert site is not None and placement is not None
    found = state_of(site, outcome.topologies, placement, outcome.origins)
    assert found is not None, "a plan's placement holds"
    state, demands = found
    wasted: dict[str, list[str]] = {}
    for one in stranded(state, demands, placement):
        wasted.setdefault(one.host, []).append(f"node {one.node}: {one.what}: {one.why}")
    on_host = _by_host(placement.guests)
    was_on_host = _by_host(
        {vm: guest.placement for lock in outcome.locks.values() for vm, guest in lock.guests.items()}
    )
    hosts: list[HostView] = []
    before: list[HostView] = []
    for name, topology in outcome.topologies.items():
        if name not in site.hosts:
            continue
        pools, host = placement.pools[name], state.hosts[name]
        hosts.append(
            _host(outcome, name, _nodes(topology, pools, on_host.get(name, {}), host), host, wasted.get(name, []))
        )
        if name in outcome.locks:
            nodes = _nodes(topology, pools, was_on_host.get(name, {}), None)
            if [node.caches for node in nodes] != [node.caches for node in hosts[-1].nodes]:
                before.append(_host(outcome, name, nodes, None, [], tuple(was_on_host.get(name, {}))))
    return FleetView(site.name, tuple(hosts), tuple(before), tuple(_guests(outcome)), tuple(reboots(outcome)))


def _by_host(guests: Mapping[str, GuestPlacement]) -> dict[str, dict[str, GuestPlacement]]:
    found: dict[str, dict[str, GuestPlacement]] = {}
    for vm, guest in guests.items():
        found.setdefault(guest.host, {})[vm] = guest
    return found


def _host(
    outcome: Outcome,
    name: str,
    nodes: tuple[NodeView, ...],
    state: HostState | None,
    wasted: list[str],
    guests: tuple[str, ...] | None = None,
) -> HostView:
    assert outcome.site is not None and outcome.placement is not None
    host, topology = outcome.site.hosts[name], outcome.topologies[name]
    if guests is None:
        guests = tuple(vm for vm, one in outcome.placement.guests.items() if one.host == name)
    model = topology.cpu.model or topology.cpu.vendor or topology.arch
    loose = tuple(device for node, device in _devices(state) if node is None)
    mixed = frozenset(vm for vm in guests if vm in outcome.site.vms and outcome.site.vms[vm].pinning is Pinning.MIXED)
    return HostView(name, host.pool, host.rack, model, nodes, loose, guests, tuple(wasted), mixed)


def _nodes(
    topology: Topology, pools: HostPools, guests: Mapping[str, GuestPlacement], state: HostState | None
) -> tuple[NodeView, ...]:
    owners = _owners(topology, pools, guests)
    return tuple(_node(node, topology, owners, state) for node in topology.nodes)


def _owners(topology: Topology, pools: HostPools, guests: Mapping[str, GuestPlacement]) -> dict[int, Thread]:
    uses = {
        Use.HOUSEKEEPING: pools.housekeeping,
        Use.SHARED: pools.shared,
        Use.VSWITCH: pools.vswitch,
        Use.SPARE: pools.dedicated,
        Use.UNUSED: topology.online - topology.usable,
    }
    owners = {cpu: Thread(cpu, use) for use, cpus in uses.items() for cpu in cpus}
    for vm, guest in guests.items():
        mine = union(pin for cell in guest.cells for pin in cell.pins if len(pin) == 1)
        for use, cpus in ((Use.GUEST, mine), (Use.IDLE, guest.idle), (Use.EMULATOR, guest.emulator)):
            owners.update({cpu: Thread(cpu, use, vm) for cpu in cpus & pools.dedicated})
    return owners


def _shares(l3: CpuSet | None, state: HostState | None) -> str:
    room = state.room if state is not None else None
    if room is None or l3 is None or l3.first not in room.ways:
        return ""
    offer = room.offer
    parts = [f"{offer.ways - room.ways[l3.first]} of {offer.ways} ways"] if offer.ways else []
    parts += (
        [f"{offer.bandwidth - room.percent[l3.first]} of {offer.bandwidth} % of bandwidth"] if offer.bandwidth else []
    )
    return ", ".join(parts)


def _node(node: Node, topology: Topology, owners: Mapping[int, Thread], state: HostState | None) -> NodeView:
    caches: dict[CpuSet | None, list[tuple[Thread, ...]]] = {}
    for core, l3 in ordered_cores(topology, node.cpus):
        caches.setdefault(l3, []).append(tuple(owners.get(cpu, Thread(cpu, Use.UNUSED)) for cpu in core))
    numbers = {cache: index for index, cache in enumerate(topology.l3 or ())}
    views = tuple(
        CacheView(numbers.get(l3) if l3 else None, tuple(cores), _shares(l3, state)) for l3, cores in caches.items()
    )
    devices = tuple(device for where, device in _devices(state) if where == node.id)
    index = next((i for i, cpus in enumerate(state.machine.nodes) if cpus.node == node.id), None) if state else None
    if state is None or index is None:
        return NodeView(node.id, node.kind, node.memory_kib or 0, views, (), 0, 0, 0, 0, devices)
    memory, free = state.machine.memory[index], state.nodes[index]
    pages = tuple(
        PagesView(size, offered, offered - free.pages[size]) for size, offered in sorted(memory.pages.items())[::-1]
    )
    most = state.machine.nodes[index].floats
    return NodeView(
        node.id,
        node.kind,
        node.memory_kib or 0,
        views,
        tuple(one for one in pages if one.offered),
        memory.normal_kib,
        memory.normal_kib - free.normal,
        most - free.shared,
        most,
        devices,
    )


def _devices(state: HostState | None) -> Iterator[tuple[int | None, DeviceView]]:
    """Each function that the host offers, with its node."""
    if state is None:
        return
    for pool, functions in state.machine.functions.items():
        for function in functions:
            yield (
                function.node,
                DeviceView(str(function.address), pool, state.used.get(function.address)),
            )


def _guests(outcome: Outcome) -> Iterator[GuestView]:
    assert outcome.site is not None
    changes = {row["guest"]: row for row in change_rows(outcome) if row["guest"] != _NONE}
    for row in placement_rows(outcome):
        name = row["guest"]
        change = changes.get(name, {})
        yield GuestView(
            name=name,
            host=row["host"],
            source=_source(outcome, name),
            classes=outcome.site.vms[name].lineage,
            intent=tuple(_intent(outcome, name)),
            nodes=row["node"],
            cpus=row["cpus"],
            emulator=row["emulator"],
            memory=row["memory"],
            pages=row["pages"],
            devices=row["devices"],
            change=change.get("change", ""),
            before=change.get("from", _NONE),
            cost=change.get("cost", ""),
        )
    for name, change in changes.items():
        if change["change"] == "gone":
            nothing = ("",) * 6
            yield GuestView(name, "", "", (), (), *nothing, "gone", change["from"], change["cost"])


def _source(outcome: Outcome, vm: str) -> str:
    origin = outcome.origins.find("vm", vm)
    if origin is None:
        return ""
    return f"{origin.span.file}:{outcome.sources.position(origin.span.file, origin.span.start)[0]}"


def _intent(outcome: Outcome, vm: str) -> Iterator[tuple[str, str]]:
    """What the source sets for the guest, in the table's order, as it is written there."""
    for name in settings("vm"):
        origin = outcome.origins.table.get(("vm", vm, name))
        if origin is not None:
            text = outcome.texts[origin.value.file][origin.value.start : origin.value.end]
            yield name, " ".join(text.split())
