"""What hosts have too little of, by sums alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvmc.resolver.demand import Demand, fewest_cores
from kvmc.resolver.state import HostState, State


def too_much(wanted: Sequence[str], demands: Mapping[str, Demand], state: State) -> bool:
    """Whether all of them together need more cores or pages than all hosts have free: then no search can help."""
    smt = max((host.machine.smt for host in state.hosts.values()), default=0)
    nodes = [node for host in state.hosts.values() for node in host.nodes]
    cores = 0
    pages: dict[int, int] = {}
    for vm in wanted:
        demand = demands[vm]
        for cell in demand.cells:
            cores += fewest_cores(demand, cell, smt)
            if demand.pages_kib is not None:
                pages[demand.pages_kib] = pages.get(demand.pages_kib, 0) + cell.memory_kib // demand.pages_kib
    return cores > sum(node.cores for node in nodes) or any(
        number > sum(node.pages.get(size, 0) for node in nodes) for size, number in pages.items()
    )


def lacks_of(demand: Demand, host: HostState, nodes: Sequence[int]) -> dict[str, int]:
    """What these nodes have too little of for the guest, at least: cores, KiB of pages, normal KiB, shared vCPUs."""
    lacks: dict[str, int] = {}
    for cell, position in zip(demand.cells, nodes, strict=True):
        node = host.nodes[position]
        needs = [("normal", cell.normal_kib - node.normal)]
        if demand.pages_kib is not None and not demand.spread:
            needs.append(("pages", cell.memory_kib - node.pages.get(demand.pages_kib, 0) * demand.pages_kib))
        needs.append(("cores", fewest_cores(demand, cell, host.machine.smt) - node.cores))
        needs.append(("shared", demand.shared(cell) - max(node.shared, 0)))
        for kind, short in needs:
            if short > 0:
                lacks[kind] = lacks.get(kind, 0) + short
    return lacks
