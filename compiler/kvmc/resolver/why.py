"""Why a placed guest is where it is, and what each other place would have cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Cores, Emulator, Near, Site, Threads
from kvmc.model.values import size_text
from kvmc.resolver.best import best_choice
from kvmc.resolver.choices import pick_devices
from kvmc.resolver.demand import Demand, Relation
from kvmc.resolver.explain import reason, shortage_on
from kvmc.resolver.leftover import measure
from kvmc.resolver.placement import GuestPlacement
from kvmc.resolver.relations import held_by_others
from kvmc.resolver.state import Choice, HostState, State, domains
from kvmc.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another host, or other nodes of the guest's own, and what they would have cost or why they can't be had."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Why:
    """facts: host, nodes, L3s, cores and emulator, a line each with its reason, by name."""

    facts: tuple[tuple[str, str], ...]
    elsewhere: tuple[Elsewhere, ...]


def why(
    site: Site, topology: Topology, guest: GuestPlacement, state: State, demands: dict[str, Demand], *, locked: bool
) -> Why:
    """Explain one guest of a placement that `state` holds. topology: of its host. locked: it was there before this run."""
    demand = demands[guest.vm]
    choice = state.remove(demand)
    try:
        elsewhere = [*_other_nodes(demand, choice, state), *_other_hosts(site, demand, choice, state)]
        able = [host for host in demand.hosts if best_choice(demand, state, host, strict=False)]
    finally:
        state.place(demand, choice)
    facts = [
        ("host", _host(site, guest, demand, able, locked=locked)),
        ("node", _node(guest, demand)),
        *([("L3", _l3(site, guest, topology))] if demand.dedicated else []),
        *_parts(site, demand, choice, state),
        ("cpus", _cpus(site, guest)),
        ("emulator", _emulator(site, guest)),
        *[(relation.title, _relation(demand, relation, choice, state)) for relation in demand.relations],
    ]
    return Why(tuple(facts), tuple(elsewhere))


def _host(site: Site, guest: GuestPlacement, demand: Demand, able: Sequence[str], *, locked: bool) -> str:
    vm = site.vms[guest.vm]
    if vm.host is not None:
        return f"{guest.host}: its `host` says so"
    kept = "; its lock keeps it there" if locked else ""
    if len(demand.hosts) == 1:
        return f"{guest.host}: the only one that meets its settings{kept}"
    if len(able) == 1:
        return f"{guest.host}: the only one of {len(demand.hosts)} with room beside the other guests{kept}"
    return f"{guest.host}: one of {len(able)} with room beside the other guests{kept}"


def _node(guest: GuestPlacement, demand: Demand) -> str:
    nodes = " + ".join(str(cell.node) for cell in guest.cells)
    asked = counted(len(guest.cells), "node")
    near = [key[1] for key, _ in demand.devices if demand.near_of(key) is Near.REQUIRE]
    near += [f"near {one.label}" for one in demand.close if one.required]
    devices = ", ".join(f"`{label}`" for label in near)
    return f"{nodes}: {asked} asked for" + (f", beside {devices}" if devices else "") + _memory(guest, demand)


def _memory(guest: GuestPlacement, demand: Demand) -> str:
    """Where its memory is, if that is not said by its nodes."""
    alone = zip(guest.cells[len(demand.cells) :], demand.memory_cells, strict=True)
    more = "".join(
        f"; {size_text(cell.memory_kib)} on node {cell.node}: `memory_kind = {asked.kind}`" for cell, asked in alone
    )
    parts = [(node, kib) for cell in guest.cells for node, kib in cell.memory]
    if not parts:
        return more
    why = f"memory_kind = {demand.kind}" if demand.kind else f"numatune = {demand.numatune}"
    return f"; memory {', '.join(f'{size_text(kib)} on node {node}' for node, kib in parts)}: `{why}`"


def _l3(site: Site, guest: GuestPlacement, topology: Topology) -> str:
    pins = union(pin for cell in guest.cells for pin in cell.pins)
    groups = [cpus for cpus in topology.l3 or () if cpus & pins]
    if not groups:
        return "not told by the topology"
    shown = ", ".join(f"{pins & cpus} of the one of CPUs {cpus}" for cpus in groups[:4])
    more = f" and {len(groups) - 4} more" if len(groups) > 4 else ""
    return f"{shown}{more}: `l3 = {site.vms[guest.vm].l3}`"


def _parts(site: Site, demand: Demand, choice: Choice, state: State) -> list[tuple[str, str]]:
    """Its parts of L3 caches and limits of bandwidth, with what is left beside them."""
    here = state.hosts[choice.host]
    if not demand.tunes or here.room is None:
        return []
    from kvmc.resolver.resctrl import caches_of

    room, vm, found = here.room, site.vms[demand.vm], []
    caches = caches_of(demand, choice, here.machine)
    if vm.cachetune is not None:
        ways = room.offer.ways_for(vm.cachetune)
        left = min(room.ways[l3] for l3 in caches) if caches else 0
        text = f"{ways} ways ({size_text(ways * room.offer.way_bytes // 1024)}) of each of {counted(len(caches), 'L3 cache')}"
        found.append(
            (
                "cachetune",
                f"{text}, {left} of the {room.offer.ways} offered left: `cachetune = {size_text(vm.cachetune)}`",
            )
        )
    if vm.memorytune is not None:
        percent = room.offer.percent_for(vm.memorytune)
        found.append(
            (
                "memorytune",
                f"{percent} % behind each of {counted(len(caches), 'L3 cache')}: `memorytune = {vm.memorytune}`",
            )
        )
    return found


def _cpus(site: Site, guest: GuestPlacement) -> str:
    vm = site.vms[guest.vm]
    pins = [(vcpu, pin) for cell in guest.cells for vcpu, pin in zip(cell.vcpus, cell.pins, strict=True)]
    cpus = union(pin for vcpu, pin in pins if vcpu not in vm.floating)
    over = union(pin for vcpu, pin in pins if vcpu in vm.floating)
    if not cpus:
        return f"{vm.vcpus} vCPUs float over {over}: `pinning = shared`"
    idle = f", {guest.idle} idle: `threads = {vm.threads}`" if guest.idle else ""
    whole = "one a core" if vm.threads is Threads.ISOLATE else "siblings side by side"
    floats = f"; vCPUs {vm.floating} float over {over}: `pinning = mixed`" if over else ""
    kind = f", `cores = {vm.cores}`" if vm.cores is not Cores.ANY else ""
    return f"{cpus}: {vm.vcpus - len(vm.floating)} vCPUs, {whole}{kind}{idle}{floats}"


def _emulator(site: Site, guest: GuestPlacement) -> str:
    own = site.vms[guest.vm].emulator is Emulator.OWN
    what = "its own cores, a core a node" if own else "housekeeping CPUs of its nodes"
    return f"{guest.emulator or CpuSet()}: {what}"


def _relation(demand: Demand, relation: Relation, choice: Choice, state: State) -> str:
    """Whether a relation holds, and with whom."""
    machine = state.hosts[choice.host].machine
    mine = domains(machine, relation, choice.cells)
    others = held_by_others(demand, relation, state.groups)
    missed = [vm for vm, held in others.items() if (held != mine if relation.together else held & mine)]
    strength = "" if relation.required else ", preferred"
    where = ", ".join(sorted(mine))
    if missed:
        return f"in {where}; not met with {', '.join(f'`{vm}`' for vm in missed[:6])}{strength}"
    return f"in {where}, {'with' if relation.together else 'without'} {', '.join(f'`{vm}`' for vm in others)}{strength}"


def _other_nodes(demand: Demand, own: Choice, state: State) -> list[Elsewhere]:
    here = state.hosts[own.host]
    if len(demand.cells) > 1 or len(here.nodes) < 2:
        return []
    found: list[Elsewhere] = []
    for position, cpus in enumerate(here.machine.nodes):
        if position == own.cells[0].node:
            continue
        other = best_choice(demand, state, own.host, strict=False, only=(position,))
        text = _cost(demand, own, other[1], state) if other else _no_room(demand, here, position)
        found.append(Elsewhere(f"{own.host} node {cpus.node}", text))
    return found


def _no_room(demand: Demand, here: HostState, position: int) -> str:
    """What keeps a guest of one cell off a node of its host."""
    short = shortage_on(demand, demand.cells[0], here, position)
    if short is not None:
        return f"{short.need}, {short.free} free"
    node = here.machine.nodes[position].node
    lacking = [
        pool
        for key, pool in demand.devices
        if pick_devices(replace(demand, devices=((key, pool),)), here, [node]) is None
    ]
    if lacking:
        return f"no free function of {', '.join(f'`{pool}`' for pool in dict.fromkeys(lacking))} there"
    titles = [f"`{one.title}`" for one in demand.relations if one.required] + [
        f"`near {one.label}`" for one in demand.close if one.required
    ]
    return f"not with {', '.join(titles)}" if titles else "no room"


def _other_hosts(site: Site, demand: Demand, own: Choice, state: State) -> list[Elsewhere]:
    found: list[Elsewhere] = []
    for host in site.hosts:
        if host == own.host:
            continue
        if site.hosts[host].drained:
            found.append(Elsewhere(host, "it is drained"))
            continue
        if host in demand.refused:
            found.append(Elsewhere(host, demand.refused[host].text))
            continue
        other = best_choice(demand, state, host, strict=False)
        text = _cost(demand, own, other[1], state) if other else reason(demand, state, host).text.strip()
        found.append(Elsewhere(host, text))
    return found


def _cost(demand: Demand, own: Choice, other: Choice, state: State) -> str:
    """What is worse there, the weightiest first."""
    mine, its = state.hosts[own.host], state.hosts[other.host]
    here = (*measure(demand, own, mine), _left(own, mine))
    there = (*measure(demand, other, its), _left(other, its))
    words = (
        "{} avoidable L3 caches, {} here",
        "{} nodes with devices that it does not need, {} here",
        "{} of distance between its nodes, {} here",
        "{} cores left free in its L3s, {} here",
    )
    for a, b, text in zip(there, here, words, strict=True):
        if a > b:
            return "worse: " + text.format(a, b)
        if a < b:
            return "by itself better: " + text.format(a, b)
    return "as good: the order of hosts and nodes decides"


def _left(choice: Choice, host: HostState) -> int:
    return sum(host.nodes[cell.node].free[take.slot] - take.cores for cell in choice.cells for take in cell.takes)
