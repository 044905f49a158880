"""Instances of placement problems by seed, of the make that placements are scored on.

`q`: guests are laid out on a host until every core and page is used, so a clean placement of all exists. `q95`: the same with some
cores and pages to spare. `b`: guests of mixed sizes, more than fit. `c`: the same with some that need a NIC's node.
"""

from __future__ import annotations

import random
from typing import Any

Instance = dict[str, Any]

SHAPES: dict[str, tuple[int, int, int, int, int, bool]] = {
    "altra80": (1, 1, 1, 80, 1, False),
    "epyc_nps4": (2, 4, 3, 8, 2, False),
    "rome_nps1": (2, 1, 16, 4, 2, False),
    "xeon4s": (4, 1, 1, 28, 2, False),
    "xeon6338s2": (2, 2, 1, 16, 2, True),
}
"""Sockets, nodes a socket, L3s a node, cores a L3, threads a core; and whether a socket's nodes are one L3."""

KINDS = ("q", "q95", "b", "c")


def host(shape: str, rng: random.Random) -> dict[str, Any]:
    """One host without pages, its first core of each socket reserved."""
    sockets, nodes, l3s, cores, threads, whole = SHAPES[shape]
    per_node = l3s * cores
    count = sockets * nodes * per_node
    cpus = [
        [thread * count + core, core, core // per_node // nodes if whole else core // cores, core // per_node,
         core // (per_node * nodes)]
        for thread in range(threads) for core in range(count)
    ]  # fmt: skip
    first = [index * per_node * nodes for index in range(sockets)]
    reserved = [thread * count + core for thread in range(threads) for core in first]
    near = rng.sample(range(sockets * nodes), min(2 if sockets * nodes > 2 else 1, sockets * nodes))
    return {
        "id": "h",
        "cpus": cpus,
        "nodes": [
            {"id": node, "mem_mib": 0, "pages": {}, "pci": {f"nic{near.index(node)}": 64} if node in near else {}}
            for node in range(sockets * nodes)
        ],
        "reserved": sorted(reserved),
    }


def guest(index: int, vcpus: int, gib: int, smt: str = "prefer", nodes: int = 1, emulator: int = 0) -> dict[str, Any]:
    return {
        "id": f"vm{index}",
        "vcpus": vcpus,
        "smt": smt,
        "nodes": nodes,
        "mem_mib": gib * 1024,
        "page_kib": 1048576,
        "emulator": emulator,
        "near": None,
        "group": None,
    }


def _slots(one: dict[str, Any]) -> dict[tuple[int, int], int]:
    cores: dict[tuple[int, int], set[int]] = {}
    for cpu, core, l3, node, _ in one["cpus"]:
        if cpu not in one["reserved"]:
            cores.setdefault((node, l3), set()).add(core)
    return {key: len(found) for key, found in sorted(cores.items())}


def planted(shape: str, seed: int, *, spare: bool) -> Instance:
    rng = random.Random(f"{shape} {seed} {spare}")
    one = host(shape, rng)
    threads = SHAPES[shape][4]
    free = _slots(one)
    pages = dict.fromkeys((node["id"] for node in one["nodes"]), 0)
    vms: list[dict[str, Any]] = []
    keep = round(0.05 * sum(free.values())) if spare else 0

    def lay(vm: dict[str, Any], takes: list[tuple[int, int]]) -> None:
        """Count the guest's cores and pages, and let it be near where it lies sometimes."""
        for key in takes:
            pages[key[0]] += vm["mem_mib"] // 1024 // len(takes)
        nics = [nic for node, _ in takes for nic in one["nodes"][node]["pci"]]
        if nics and rng.random() < 0.3:
            vm["near"] = rng.choice(nics)
        vms.append(vm)

    nodes = sorted(pages)
    for _ in range(rng.randint(1, 3) if len(nodes) > 1 else 0):
        cores = min(rng.choice([2, 2, 3, 4, 6]), max(free.values()))
        able = [key for key in free if free[key] >= cores]
        first = rng.choice(able)
        others = [key for key in able if key[0] != first[0]]
        if others:
            second = rng.choice(others)
            free[first] -= cores
            free[second] -= cores
            vcpus = 2 * cores * threads
            lay(guest(len(vms), vcpus, vcpus * rng.choice([1, 2, 2]) // 2 * 2, nodes=2), sorted((first, second)))
    while sum(free.values()) > keep:
        key = rng.choice([key for key in free if free[key]])
        whole = [other for other in free if other[0] == key[0] and free[other] == SHAPES[shape][3]]
        if SHAPES[shape][3] < 8 and len(whole) > 1 and sum(free.values()) - keep >= 8 and rng.random() < 0.1:
            free[whole[0]] = free[whole[1]] = 0
            lay(guest(len(vms), 8 * threads, 8 * threads * rng.choice([1, 2])), whole[:1])
            continue
        most = free[key] if not spare else min(free[key], sum(free.values()) - keep)
        cores = min(most, rng.choice([2, 2, 2, 3, 4, 4, 5, 6, 8, 8, 12, 14]))
        if most - cores == 1 and rng.random() < 0.7:
            cores = most
        free[key] -= cores
        each = rng.choice([1, 1, 2, 2, 3, 4])
        kind = rng.random()
        if kind < 0.15 or cores == 1:
            vm = guest(len(vms), cores, cores * each, "isolate")
        elif kind < 0.35 and threads > 1:
            vm = guest(len(vms), cores * threads - 1, (cores * threads - 1) * each, emulator=1)
        else:
            smt = "require" if threads > 1 and rng.random() < 0.15 else "prefer"
            vm = guest(len(vms), cores * threads, cores * threads * each, smt)
        lay(vm, [key])
    for node in one["nodes"]:
        extra = rng.randint(0, 6) if spare else 0
        node["pages"] = {"1048576": pages[node["id"]] + extra}
        node["mem_mib"] = node["pages"]["1048576"] * 1024
    rng.shuffle(vms)
    for index, vm in enumerate(vms):
        vm["id"] = f"vm{index}"
    return {"name": f"{shape}-{'q95' if spare else 'q'}-{seed}", "hosts": [one], "vms": vms, "planted": True}


def mixed(shape: str, seed: int, *, near: bool) -> Instance:
    rng = random.Random(f"{shape} {seed} {near} mixed")
    one = host(shape, rng)
    threads = SHAPES[shape][4]
    target = sum(_slots(one).values()) * rng.uniform(1.1, 1.25)
    nics = [nic for node in one["nodes"] for nic in node["pci"]]
    several = len(one["nodes"]) > 1
    vms: list[dict[str, Any]] = []
    used = 0
    while used < target:
        vcpus = rng.choice([2, 2, 4, 4, 4, 8, 8, 16, 1, 3, 6, 12, 24, 32][: 8 if near else None])
        smt = "prefer" if near else rng.choice(["prefer"] * 7 + ["isolate", "isolate", "require"])
        smt = "prefer" if smt == "require" and vcpus % 2 else smt
        vm = guest(len(vms), vcpus, vcpus * (2 if near else rng.choice([1, 2, 2])), smt)
        if near and rng.random() < 0.15:
            vm = guest(len(vms), rng.choice([8, 12, 16, 18, 24]), 0, emulator=1)
            vm["mem_mib"], vm["near"] = vm["vcpus"] * 2048, rng.choice(nics)
        elif several and not near and vcpus in (8, 16, 24) and rng.random() < 0.25:
            vm["nodes"], vm["smt"] = 2, "prefer"
        vms.append(vm)
        used += -(-(vcpus + vm["emulator"]) // (1 if vm["smt"] == "isolate" else threads))
    for node in one["nodes"]:
        node["pages"] = {"1048576": 1440 // len(one["nodes"])}
        node["mem_mib"] = node["pages"]["1048576"] * 1024
    return {"name": f"{shape}-{'c' if near else 'b'}-{seed}", "hosts": [one], "vms": vms, "planted": False}


def instance(shape: str, kind: str, seed: int) -> Instance:
    if kind in ("q", "q95"):
        return planted(shape, seed, spare=kind == "q95")
    return mixed(shape, seed, near=kind == "c")
