"""From counts to CPUs: which cores of a slot a guest gets, and the masks of its threads."""

from __future__ import annotations

from collections.abc import Sequence

from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import Threads
from kvmc.resolver.demand import Demand
from kvmc.resolver.placement import CellPlacement, GuestPlacement
from kvmc.resolver.pools import Slot
from kvmc.resolver.state import Choice, Machine, Take


def owned(guest: GuestPlacement, demand: Demand) -> CpuSet:
    """The CPUs that are the guest's alone: pins with their idle siblings, and the emulator's own cores."""
    return own_pins(guest, demand) | guest.idle | (guest.emulator if demand.own else CpuSet())


def own_pins(guest: GuestPlacement, demand: Demand) -> CpuSet:
    """The CPUs of its vCPUs that have one each."""
    if not demand.dedicated:
        return CpuSet()
    return union(
        pin
        for cell in guest.cells
        for vcpu, pin in zip(cell.vcpus, cell.pins, strict=True)
        if vcpu not in demand.floating
    )


def settle(
    demand: Demand, choice: Choice, machine: Machine, busy: CpuSet, before: GuestPlacement | None
) -> tuple[GuestPlacement, CpuSet]:
    """The placement of a choice on the cores that are not busy, and what is busy then. Cores that were the guest's come first."""
    mine = _all_cpus(before) if before is not None and before.host == choice.host else CpuSet()
    first = 0
    cells: list[CellPlacement] = []
    idle = emulator = CpuSet()
    for cell, where in zip(demand.cells, choice.cells, strict=True):
        node = machine.nodes[where.node]
        pins: list[CpuSet] = [] if demand.dedicated else [node.shared] * cell.vcpus
        number = cell.vcpus + cell.floating
        for take in sorted(where.takes, key=lambda one: (_partial(one, node.slots[one.slot], demand), one.slot)):
            cores = _free(node.slots[take.slot], busy, mine)[: take.cores]
            threads = [cpu for core in cores for cpu in (list(core)[:1] if demand.threads is Threads.ISOLATE else core)]
            pins.extend(CpuSet.of((cpu,)) for cpu in threads[: take.vcpus])
            busy |= union(cores)
            idle |= union(cores) - CpuSet.of(threads[: take.vcpus])
        if where.own is not None:
            core = _free(node.slots[where.own], busy, mine)[0]
            busy |= core
            emulator |= core
        if not demand.own:
            emulator |= node.housekeeping
        vcpus = tuple(range(first, first + number))
        if cell.floating:
            own = iter(pins)
            pins = [node.shared if vcpu in demand.floating else next(own) for vcpu in vcpus]
        # by node, as a lock gives it back
        memory = tuple(sorted((machine.stores[position].node, kib) for position, kib in where.memory))
        cells.append(CellPlacement(node.node, vcpus, tuple(pins), cell.memory_kib, memory))
        first += number
    for alone, position in zip(demand.memory_cells, choice.stores, strict=True):
        cells.append(CellPlacement(machine.stores[position].node, (), (), alone.memory_kib))
    return GuestPlacement(demand.vm, choice.host, tuple(cells), emulator, idle, dict(choice.devices)), busy


def _all_cpus(guest: GuestPlacement) -> CpuSet:
    return union(pin for cell in guest.cells for pin in cell.pins) | guest.idle | guest.emulator


def _partial(take: Take, slot: Slot, demand: Demand) -> bool:
    """Whether its last core is used in part: then it comes last, so that siblings stay neighbours."""
    return demand.threads is not Threads.ISOLATE and take.vcpus < take.cores * slot.threads


def _free(slot: Slot, busy: CpuSet, mine: CpuSet) -> Sequence[CpuSet]:
    free = [core for core in slot.cores if not core & busy]
    return [core for core in free if core & mine] + [core for core in free if not core & mine]
