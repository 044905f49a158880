"""Memory that is not bound to the node of its vCPUs: where it is counted, node by node.

- `preferred` takes of its own node what is free there, and the rest of the others, nearest first. The kernel does the same when the
  guest starts, with what is free then.
- Memory of a kind (HBM, CXL, ...) comes from one node of that kind, the nearest that has room for it; such nodes have no CPUs as a
  rule. A node of vCPUs that is of the kind itself is the only one.
- `interleave` goes round the nodes of the host page by page (mempolicy MPOL_INTERLEAVE), so each holds an equal share.

The overhead of a guest, its page tables and QEMU's own memory, stays on the nodes of its cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from kvmc.model.site import MemoryMode
from kvmc.resolver.demand import Cell, Demand, MemoryCell
from kvmc.resolver.state import HostState, Machine

Parts = tuple[tuple[int, int], ...]
"""Positions of nodes, each with the KiB of a cell's memory that count there."""


def interleaved(machine: Machine) -> tuple[int, ...]:
    """Positions of the nodes that interleaved memory goes round: those that have any for guests."""
    return tuple(
        position
        for position, memory in enumerate(machine.memory)
        if memory.normal_kib > 0 or any(memory.pages.values())
    )


def share(demand: Demand, cell: Cell, nodes: int) -> int:
    """What each of so many nodes holds of interleaved memory at most, in KiB."""
    unit = demand.pages_kib or 4
    return -(-cell.memory_kib // (unit * nodes)) * unit


def lay_memory(demand: Demand, here: HostState, nodes: Sequence[int]) -> tuple[Parts, ...] | None:
    """Where the memory of each cell counts, with its vCPUs on these nodes; None where the host has too little."""
    unit = demand.pages_kib or 1
    left: dict[int, int] = {}
    for position, node in enumerate(here.stores if demand.kind else here.nodes):
        if demand.pages_kib is not None:
            left[position] = node.pages.get(unit, 0) * unit
        else:
            left[position] = node.normal - sum(
                cell.normal_kib for cell, at in zip(demand.cells, nodes, strict=True) if at == position
            )
    found: list[Parts] = []
    for cell, at in zip(demand.cells, nodes, strict=True):
        if demand.numatune is MemoryMode.INTERLEAVE:
            over = interleaved(here.machine)
            parts = tuple((position, share(demand, cell, len(over))) for position in over)
        elif demand.kind is not None:
            able = (one for one in of_kind(demand, here.machine, at) if left[one] >= cell.memory_kib)
            parts = tuple((one, cell.memory_kib) for one in islice(able, 1))
        else:
            parts = _nearest(cell.memory_kib, at, here.machine, left, unit)
        for position, kib in parts:
            left[position] -= kib
        if sum(kib for _, kib in parts) < cell.memory_kib or any(kib < 0 for kib in left.values()):
            return None
        found.append(parts)
    return tuple(found)


def of_kind(demand: Demand, machine: Machine, at: int) -> list[int]:
    """Positions of the nodes that have the memory of a guest which asks for a kind, with its vCPUs at a node; nearest first."""
    found = [position for position, store in enumerate(machine.stores) if store.kind == demand.kind]
    if at in found:
        return [at]
    distances = machine.distances.get(machine.nodes[at].node, {})
    return sorted(found, key=lambda one: (distances.get(machine.stores[one].node, 0), one))


def _nearest(need: int, at: int, machine: Machine, left: dict[int, int], unit: int) -> Parts:
    distances = machine.distances.get(machine.nodes[at].node, {})
    order = sorted(left, key=lambda one: (one != at, distances.get(machine.nodes[one].node, 0), one))
    parts: list[tuple[int, int]] = []
    for position in order:
        some = min(need, max(left[position], 0) // unit * unit)
        if some:
            parts.append((position, some))
            need -= some
    return tuple(parts)


def distance(demand: Demand, here: HostState, parts: Sequence[Parts], nodes: Sequence[int]) -> int:
    """How far memory is from its vCPUs: the distance of memory of a kind, the KiB of preferred memory that are elsewhere."""
    away = [
        (at, position, kib) for one, at in zip(parts, nodes, strict=True) for position, kib in one if position != at
    ]
    if demand.kind is None:
        return 0 if demand.numatune is MemoryMode.INTERLEAVE else sum(kib for _, _, kib in away)
    machine = here.machine
    rows = machine.distances
    return sum(rows.get(machine.nodes[at].node, {}).get(machine.stores[one].node, 0) for at, one, _ in away)


def lay_alone(demand: Demand, here: HostState, nodes: Sequence[int]) -> tuple[int, ...] | None:
    """A node of the host for each memory cell of a guest whose vCPUs are on these nodes; None where one finds none."""
    found: list[int] = []
    for cell in demand.memory_cells:
        able = (
            one
            for one in stores_of(cell, here.machine, nodes)
            if one not in found and one not in nodes and here.stores[one].normal >= cell.memory_kib
        )
        best = next(able, None)
        if best is None:
            return None
        found.append(best)
    return tuple(found)


def stores_of(cell: MemoryCell, machine: Machine, nodes: Sequence[int]) -> list[int]:
    """Positions of the nodes that have memory of a cell's kind, the nearest to all of these nodes first."""
    rows = [machine.distances.get(machine.nodes[at].node, {}) for at in nodes]
    found = [position for position, store in enumerate(machine.stores) if store.kind == cell.kind]
    return sorted(found, key=lambda one: (sum(row.get(machine.stores[one].node, 0) for row in rows), one))


def far_alone(machine: Machine, nodes: Sequence[int], stores: Sequence[int]) -> int:
    """How far memory cells are from the vCPUs' nodes, in all."""
    rows = [machine.distances.get(machine.nodes[at].node, {}) for at in nodes]
    return sum(row.get(machine.stores[one].node, 0) for one in stores for row in rows)
