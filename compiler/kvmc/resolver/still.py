"""Whether a locked placement still is what its guest asks for and lies within its host's pools, all other guests aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kvmc.diagnostics.text import counted
from kvmc.model.cpuset import CpuSet, named, union
from kvmc.model.site import L3, Cores, MemoryMode, Near, Threads
from kvmc.model.values import size_text
from kvmc.resolver.demand import Cell, Demand, DeviceKey
from kvmc.resolver.devices import Function
from kvmc.resolver.pins import own_pins
from kvmc.resolver.placement import CellPlacement, GuestPlacement
from kvmc.resolver.pools import NodeCpus
from kvmc.resolver.state import CellChoice, Choice, Machine, State, Take


@dataclass(frozen=True, slots=True)
class Broken:
    """Why it no longer holds, in a few words."""

    why: str


def still_holds(
    demand: Demand, entry: GuestPlacement, machine: Machine | None, state: State | None
) -> tuple[GuestPlacement, Choice] | Broken:
    """The placement, and how it counts against the host; or why it no longer holds. state: who it is related to; None: nobody.

    Which host, nodes, cores and devices is the lock's word. What follows from them (masks on shared and housekeeping CPUs, idle
    siblings) is derived anew, so that pools may change under a guest that need not move.
    """
    if machine is None:
        return Broken(f"host `{entry.host}` is gone")
    if entry.host in demand.refused:
        return Broken(f"`{entry.host}`: {demand.refused[entry.host].text}")
    for claim in demand.hosts[entry.host] if state is not None else ():
        if state is not None and claim in state.claims:
            return Broken(f"`place apart {claim[0]}` keeps it from `{state.claims[claim]}`")
    asked = len(demand.cells) + len(demand.memory_cells)
    if len(entry.cells) != asked:
        return Broken(f"locked on {counted(len(entry.cells), 'node')}, {asked} asked for")
    positions = {cpus.node: position for position, cpus in enumerate(machine.nodes)}
    alone = entry.cells[len(demand.cells) :]
    nodes = [cell.node for cell in entry.cells[: len(demand.cells)]]
    if any(node not in positions for node in nodes) or len(set(nodes)) != len(nodes):
        return Broken(f"nodes {', '.join(map(str, nodes))} are not nodes with CPUs of `{entry.host}`, each once")
    cells: list[CellPlacement] = []
    choices: list[CellChoice] = []
    used = CpuSet()
    first = 0
    for cell, locked in zip(demand.cells, entry.cells, strict=False):
        position = positions[locked.node]
        found = _cell(demand, cell, locked, machine, position, first, entry.emulator if demand.own else CpuSet())
        if isinstance(found, Broken):
            return found
        cells.append(found[0])
        choices.append(found[1])
        used |= found[2]
        first += cell.vcpus + cell.floating
    if demand.own and any(choice.own is None for choice in choices):
        return Broken("the emulator has no whole core in each of its nodes")
    if demand.own and not entry.emulator.issubset(used):
        return Broken(f"its emulator is on {named(entry.emulator - used)}, outside its own cores")
    devices = _devices(demand, entry, machine, nodes)
    if devices is not None:
        return devices
    emulator = entry.emulator if demand.own else union(machine.nodes[positions[node]].housekeeping for node in nodes)
    stores = _stores(demand, alone, machine, nodes)
    if isinstance(stores, Broken):
        return stores
    guest = replace(entry, vm=demand.vm, cells=(*cells, *alone), emulator=emulator)
    idle = used - own_pins(guest, demand) - (emulator if demand.own else CpuSet())
    guest = replace(guest, idle=idle)
    choice = Choice(entry.host, tuple(choices), tuple(entry.devices.items()), stores)
    if demand.tunes and machine.resctrl is not None:
        from kvmc.resolver.resctrl import caches_of, room

        if not room(machine.resctrl).holds(demand, choice, machine):
            caches = ", ".join(f"CPU {l3}" for l3 in caches_of(demand, choice, machine))
            return Broken(f"`{entry.host}`: the L3 cache of {caches} cannot give what it asks for of it")
    if demand.relations:
        from kvmc.resolver.relations import broken

        breaks = broken(demand, machine, choice, state.groups if state is not None else {})
        if breaks is not None:
            relation, other = breaks
            with_whom = f" with `{other}`" if other != demand.vm else ""
            return Broken(f"`{relation.title}` no longer holds{with_whom}")
    return guest, choice


def _stores(
    demand: Demand, alone: Sequence[CellPlacement], machine: Machine, nodes: Sequence[int]
) -> tuple[int, ...] | Broken:
    """Where the nodes without vCPUs lie, by position."""
    positions = {store.node: position for position, store in enumerate(machine.stores)}
    if len({*nodes, *(cell.node for cell in alone)}) != len(nodes) + len(alone):
        return Broken("two of its nodes are on one of the host's")
    for cell, locked in zip(demand.memory_cells, alone, strict=True):
        where = f"`{machine.host.name}` node {locked.node}"
        store = machine.stores[positions[locked.node]] if locked.node in positions else None
        if store is None or locked.vcpus:
            return Broken(f"{where} is no node for memory alone")
        if store.kind != cell.kind:
            return Broken(f"{where}: its memory is not of `memory_kind = {cell.kind}`")
        if locked.memory_kib != cell.memory_kib:
            return Broken(
                f"locked with {size_text(locked.memory_kib)} on {where}, {size_text(cell.memory_kib)} asked for"
            )
        if cell.memory_kib > store.memory.normal_kib:
            return Broken(
                f"{where}: needs {size_text(cell.memory_kib)} of its memory, {size_text(store.memory.normal_kib)} offered"
            )
    return tuple(positions[locked.node] for locked in alone)


def _cell(
    demand: Demand, cell: Cell, locked: CellPlacement, machine: Machine, position: int, first: int, emulator: CpuSet
) -> tuple[CellPlacement, CellChoice, CpuSet] | Broken:
    """One cell, how it counts, and the whole cores that are its own (the emulator's too)."""
    where = f"`{machine.host.name}` node {locked.node}"
    number = cell.vcpus + cell.floating
    if len(locked.pins) != len(locked.vcpus):
        return Broken(f"{where}: {counted(len(locked.vcpus), 'vCPU')} with pins for {len(locked.pins)}")
    if locked.vcpus != tuple(range(first, first + number)):
        return Broken(f"locked with {counted(len(locked.vcpus), 'vCPU')} on {where}, {number} asked for")
    if locked.memory_kib != cell.memory_kib:
        return Broken(f"locked with {size_text(locked.memory_kib)} on {where}, {size_text(cell.memory_kib)} asked for")
    memory = machine.memory[position]
    parts = _memory(demand, cell, locked, machine)
    if isinstance(parts, Broken):
        return parts
    if demand.pages_kib is not None and not demand.spread:
        need, have = cell.memory_kib // demand.pages_kib, memory.pages.get(demand.pages_kib, 0)
        if need > have:
            return Broken(f"{where}: needs {counted(need, 'page')} of {size_text(demand.pages_kib)}, {have} offered")
    if cell.normal_kib > memory.normal_kib:
        return Broken(
            f"{where}: needs {size_text(cell.normal_kib)} of normal memory, {size_text(memory.normal_kib)} left"
        )
    node = machine.nodes[position]
    takes: tuple[Take, ...] = ()
    used = CpuSet()
    shared, allowed = demand.shared(cell), node.floats
    if shared > allowed:
        return Broken(f"{where}: needs {shared} shared vCPUs, {allowed} allowed")
    if demand.dedicated and cell.vcpus:
        found = _cores(demand, locked, node, machine, where)
        if isinstance(found, Broken):
            return found
        takes, used = found
    own: int | None = None
    for index, slot in enumerate(node.slots):
        for core in slot.cores:
            if emulator and core.issubset(emulator) and own is None:
                if core & used:
                    return Broken(f"{where}: {named(core & used)} for the emulator and a vCPU")
                own, used = index, used | core
    pins = tuple(
        pin if demand.dedicated and vcpu not in demand.floating else node.shared
        for vcpu, pin in zip(locked.vcpus, locked.pins, strict=True)
    )
    return replace(locked, pins=pins), CellChoice(position, takes, own, parts), used


def _memory(
    demand: Demand, cell: Cell, locked: CellPlacement, machine: Machine
) -> tuple[tuple[int, int], ...] | Broken:
    """The nodes of its memory by position: none where all of it is on its own node, else what its mode allows."""
    if not demand.spread and not locked.memory:
        return ()
    from kvmc.resolver.spread import interleaved, of_kind, share  # few guests need it

    where = f"`{machine.host.name}` node {locked.node}"
    if bool(locked.memory) != demand.spread:
        return Broken(f"{where}: not locked with the memory of `numatune = {demand.numatune}`")
    positions = {store.node: index for index, store in enumerate(machine.stores)}
    if any(node not in positions for node, _ in locked.memory):
        return Broken(f"{where}: its memory is on a node that is gone")
    parts = tuple((positions[node], kib) for node, kib in locked.memory)
    over = interleaved(machine)
    total = sum(kib for _, kib in parts)
    if demand.numatune is MemoryMode.INTERLEAVE:
        if parts != tuple((one, share(demand, cell, len(over))) for one in over):
            return Broken(f"{where}: its memory is not in equal shares on the {counted(len(over), 'node')} of its host")
    elif total != (cell.memory_kib if demand.spread else 0) or len({one for one, _ in parts}) != len(parts):
        return Broken(f"{where}: locked with {size_text(total)} on its nodes, {size_text(cell.memory_kib)} asked for")
    if demand.kind is not None and (
        len(parts) != 1 or parts[0][0] not in of_kind(demand, machine, positions[locked.node])
    ):
        return Broken(f"{where}: its memory is not on one node of `memory_kind = {demand.kind}`")
    for one, kib in parts:
        unit = demand.pages_kib or 1
        memory = machine.stores[one].memory
        have = memory.pages.get(unit, 0) * unit if demand.pages_kib else memory.normal_kib
        if kib % unit or kib > have:
            at = machine.stores[one].node
            return Broken(
                f"`{machine.host.name}` node {at}: needs {size_text(kib)} of its memory, {size_text(have)} offered"
            )
    return parts


def _cores(
    demand: Demand, locked: CellPlacement, node: NodeCpus, machine: Machine, where: str
) -> tuple[tuple[Take, ...], CpuSet] | Broken:
    """Check the pins core by core: siblings side by side, at most the last core in part, none twice."""
    core_of = {cpu: (index, core) for index, slot in enumerate(node.slots) for core in slot.cores for cpu in core}
    pins = [pin for vcpu, pin in zip(locked.vcpus, locked.pins, strict=True) if vcpu not in demand.floating]
    if any(len(pin) != 1 for pin in pins):
        return Broken(f"{where}: {counted(len(pins), 'vCPU')} need one CPU each")
    outside = union(pins) - CpuSet.of(core_of)
    if outside:
        return Broken(f"{where}: {named(outside)} outside the dedicated pool")
    runs: list[tuple[int, CpuSet, int]] = []
    for pin in pins:
        index, core = core_of[pin.first]
        if runs and runs[-1][1] == core:
            runs[-1] = (index, core, runs[-1][2] + 1)
        else:
            runs.append((index, core, 1))
    used = union(core for _, core, _ in runs)
    if len({core for _, core, _ in runs}) != len(runs) or len(union(pins)) != len(pins):
        return Broken(f"{where}: the vCPUs of a core are not side by side")
    for number, (index, core, vcpus) in enumerate(runs):
        if demand.cores is not Cores.ANY and node.slots[index].kind is not demand.cores:
            return Broken(f"{where}: the core of CPUs {core} is not of the kind `cores = {demand.cores}`")
        per = machine.vcpus_a_core(demand, node.slots[index])
        last = number == len(runs) - 1 and demand.threads is Threads.PREFER
        if vcpus > per or (vcpus < per and not last):
            return Broken(
                f"{where}: {counted(vcpus, 'vCPU')} on the core of CPUs {core}, not what `threads = {demand.threads}` asks for"
            )
    slots = {index for index, _, _ in runs}
    if demand.l3 is L3.REQUIRE and (len(slots) > 1 or not all(node.slots[index].l3_known for index in slots)):
        return Broken(f"{where}: locked over {len(slots)} L3 caches, one asked for")
    takes = tuple(
        Take(slot, sum(n for index, _, n in runs if index == slot), sum(index == slot for index, _, _ in runs))
        for slot in sorted(slots)
    )
    return takes, used


def _devices(demand: Demand, entry: GuestPlacement, machine: Machine, nodes: list[int]) -> Broken | None:
    if set(entry.devices) != {key for key, _ in demand.devices}:
        return Broken(f"locked with {counted(len(entry.devices), 'device')}, {len(demand.devices)} asked for")
    mine = set(entry.devices.values())
    taken: dict[tuple[str, str], Function] = {}
    if len(mine) != len(entry.devices):
        return Broken("one device is locked for two of its own")
    for key, pool in demand.devices:
        address = entry.devices[key]
        function = next((one for one in machine.functions.get(pool, ()) if one.address == address), None)
        if function is None:
            return Broken(f"`{address}` is not in `{pool}` of `{entry.host}`")
        taken[key] = function
        must = demand.near_of(key) is Near.REQUIRE
        if must and function.node is not None and function.node not in _reach(demand, key, machine, nodes):
            return Broken(f"`{address}` is on node {function.node} of `{entry.host}`, not on its own")
        if not set(function.group) <= mine:
            return Broken(f"`{address}` shares its IOMMU group with devices that are not the guest's")
    if demand.beside:
        from kvmc.resolver.near import far_from

        far = far_from(demand, taken)
        if far is not None:
            return Broken(f"`{taken[far[0]].address}` and `{taken[far[1]].address}` are not on one root complex")
    if demand.close:
        from kvmc.resolver.near import not_close

        for one in not_close(demand, machine, nodes, required=True):
            return Broken(
                f"nodes {', '.join(map(str, nodes))} of `{entry.host}` are not near the device of `near {one.label}`"
            )
    return None


def _reach(demand: Demand, key: DeviceKey, machine: Machine, nodes: list[int]) -> Iterable[int]:
    if key not in demand.package:
        return nodes
    from kvmc.resolver.near import package_nodes

    return package_nodes(machine, nodes)
