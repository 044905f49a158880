"""What a guest costs in a large fleet: CPU time of the resolver a guest, and memory, at 100 and at 1,000 hosts.

    python benchmarks/fleet.py [--hosts N ...]

Hosts have four nodes of 16 cores, 20 guests a host of mixed sizes need 97 % of them, and every tenth guest is in a group of five
that are kept apart. Prints a line a fleet: time a guest, whether all were placed and clean, memory; then how fast one is refused
that needs more cores than there are. Exits 1 if a guest in the largest fleet costs more than 1.3 times one in the smallest.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
from typing import Any

from placement import Instance, site_of

from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.resolver.solve import resolve
from kvmc.topology.model import Topology

LIMIT = 1.3
GUESTS = 20
"""Guests a host."""
_SIZES = (2, 4, 4, 4, 4, 4, 6, 6, 8, 8, 2, 4, 4, 8, 8, 8, 8, 8, 8, 8)
"""vCPUs of the guests of one host: 116 of the 120 that it has."""


def fleet(hosts: int, extra: int = 0) -> Instance:
    """The fleet as an instance; with so many guests `extra`."""
    cpus = [[thread * 64 + core, core, core // 8, core // 16, core // 32] for thread in (0, 1) for core in range(64)]
    host = {
        "id": "h",
        "cpus": cpus,
        "nodes": [{"id": node, "mem_mib": 0, "pages": {"1048576": 120}, "pci": {}} for node in range(4)],
        "reserved": [core + thread * 64 for thread in (0, 1) for core in (0, 16, 32, 48)],
        "copies": hosts,
    }
    vms: list[dict[str, Any]] = []
    for index in range(hosts * GUESTS + extra):
        vcpus = _SIZES[index * 7 % GUESTS]
        group = f"g{index // 50}" if index % 10 == 0 else None
        vms.append(
            {
                "id": f"vm{index}", "vcpus": vcpus, "smt": "prefer", "nodes": 1, "mem_mib": vcpus * 2048, "page_kib": 1048576,
                "emulator": 0, "near": None, "group": group,
            }
        )  # fmt: skip
    return {"name": f"fleet-{hosts}", "hosts": [host], "vms": vms}


def site(instance: Instance) -> tuple[Site, dict[str, Topology]]:
    found, topologies = site_of(instance, [vm["id"] for vm in instance["vms"]])
    vms = {name: vm.model_copy(update={"optional": False}) for name, vm in found.vms.items()}
    return found.model_copy(update={"vms": vms}), topologies


def run(hosts: int, *, traced: bool) -> float:
    """Place a fleet; milliseconds a guest, or with `traced` KiB a guest."""
    found, topologies = site(fleet(hosts))
    gc.collect()
    if traced:
        tracemalloc.start()
    start = time.process_time()
    placement, bag = resolve(found, topologies, {}, Origins({}), search=True)
    spent = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1] if traced else 0
    tracemalloc.stop()
    if placement is None:
        sys.exit(f"{hosts} hosts: {len(bag)} guests found no place, {next(iter(bag)).message}")
    split = sum(_split(topologies[guest.host], cell) for guest in placement.guests.values() for cell in guest.cells)
    if split:
        sys.exit(f"{hosts} hosts: {split} guests over more L3s than they need")
    return peak / 1024 / len(found.vms) if traced else spent * 1000 / len(found.vms)


def _split(topology: Topology, cell: Any) -> bool:
    return sum(any(pin & l3 for pin in cell.pins) for l3 in topology.l3 or ()) > 1


def refused(hosts: int) -> float:
    """CPU seconds to say that a fleet does not fit that needs more cores than there are."""
    found, topologies = site(fleet(hosts, extra=hosts))
    start = time.process_time()
    placement, _ = resolve(found, topologies, {}, Origins({}), search=True)
    if placement is not None:
        sys.exit("the fleet that is too much was placed")
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="time and memory of the resolver on fleets")
    parser.add_argument("--hosts", type=int, nargs="+", default=[100, 1000])
    options = parser.parse_args()
    times = []
    for hosts in options.hosts:
        times.append(min(run(hosts, traced=False) for _ in range(3 if hosts <= 200 else 1)))
        memory = run(hosts, traced=True)
        print(
            f"{hosts} hosts, {hosts * GUESTS} guests: {times[-1]:.3f} ms a guest ({times[-1] * hosts * GUESTS / 1000:.2f} s), "
            f"all placed and clean, {memory:.1f} KiB a guest",
            flush=True,
        )
    print(f"{options.hosts[0]} hosts, too many guests: refused in {refused(options.hosts[0]):.2f} s")
    ratio = times[-1] / times[0]
    print(f"a guest in the largest fleet costs {ratio:.2f} times one in the smallest (limit {LIMIT})")
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
