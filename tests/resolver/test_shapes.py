"""Guests of every shape: the fast search and the exact one say the same, and what is placed keeps every rule."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import L3, Emulator, GuestNode, Pinning, Site, Threads, Vm
from kvmc.resolver.keep import keep
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.topology.model import Topology
from support.locking import locks_of
from support.machines import machine
from support.rules import broken_rules
from support.sites import GIB, a_host, a_site, a_vm, origins_of

QUICK = 40
PROOF = 1500


def parts(*sizes: tuple[int, int]) -> dict[str, GuestNode]:
    """Nodes of so many vCPUs and GiB each."""
    return {str(n): GuestNode(name=str(n), vcpus=v, memory_kib=gib * GIB) for n, (v, gib) in enumerate(sizes)}


def test_cells_that_differ_lie_in_whichever_order_fits() -> None:
    """The larger cell first, and only the last node has room for it."""
    topology = machine(packages=2, cores_per_l3=4, threads=1, memory_gib=64)
    guest = a_vm("big", vcpus=3, gib=2, nodes=2)
    first = a_vm("first", vcpus=2, gib=2)
    site = a_site([a_host("kvm-a", pages=8)], [first, guest])
    only, _ = resolve(a_site(site.hosts.values(), [first]), {"kvm-a": topology}, {}, origins_of(site), search=True)
    assert only is not None and only.guests["first"].cells[0].node == 0
    locks = locks_of(only, {"kvm-a": topology})
    placement, bag = resolve(site, {"kvm-a": topology}, locks, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    assert [(cell.node, len(cell.vcpus)) for cell in placement.guests["big"].cells] == [(1, 2), (0, 1)]
    assert broken_rules(site, {"kvm-a": topology}, placement) == []
    again, bag = resolve(
        site, {"kvm-a": topology}, locks_of(placement, {"kvm-a": topology}), origins_of(site), search=False
    )
    assert again == placement, [one.message for one in bag]


def a_guest(rng: random.Random, name: str, nodes: int) -> Vm:
    pinning = rng.choice((Pinning.DEDICATED, Pinning.DEDICATED, Pinning.MIXED, Pinning.SHARED))
    cells = {}
    vcpus, gib = rng.choice((nodes, 2, 3, 4, 5, 6)), rng.randint(nodes, 5)
    vcpus = max(vcpus, nodes + (pinning is Pinning.MIXED))
    if nodes > 1 and rng.random() < 0.7:
        sizes = [(rng.randint(1, 4), rng.randint(1, 3)) for _ in range(nodes)]
        cells, vcpus, gib = parts(*sizes), sum(v for v, _ in sizes), sum(g for _, g in sizes)
    dedicated = CpuSet()
    if pinning is Pinning.MIXED:
        dedicated = CpuSet.of(rng.sample(range(vcpus), rng.randint(1, vcpus - 1)))
    threads = (
        (Threads.PREFER,) if pinning is Pinning.SHARED else (Threads.PREFER,) * 9 + (Threads.ISOLATE, Threads.REQUIRE)
    )
    l3 = (L3.PREFER,) if pinning is Pinning.SHARED else (L3.PREFER, L3.PREFER, L3.ANY, L3.REQUIRE)
    own = Emulator.OWN if rng.random() < 0.1 and pinning is not Pinning.SHARED else Emulator.HOUSEKEEPING
    return a_vm(
        name,
        vcpus=vcpus,
        gib=gib,
        nodes=nodes,
        cells=cells,
        pinning=pinning,
        dedicated=dedicated,
        threads=rng.choice(threads),
        l3=rng.choice(l3),
        emulator=own,
    )


def a_case(seed: int) -> tuple[Site, dict[str, Topology]]:
    """One host and guests that need about all of it."""
    rng = random.Random(seed)
    nodes = rng.choice((2, 2, 3))
    shape = machine(nodes, 1, rng.choice((1, 2)), rng.choice((3, 4)), rng.choice((1, 2)), 32)
    host = a_host("kvm-a", pages=rng.randint(4, 9), shared_cores=1, shared_overcommit=rng.choice((1, 2)))
    left = len(shape.online) * rng.uniform(0.1, 0.5)
    vms: list[Vm] = []
    while left > 0 and len(vms) < 6:
        vms.append(a_guest(rng, f"vm-{len(vms)}", rng.choice((1, 1, 2, nodes))))
        left -= vms[-1].vcpus
    return a_site([host], vms), {"kvm-a": shape}


def check(seed: int) -> bool:
    """Whether the guests of a case fit; the search, the exact search, the rules and the locks agree."""
    from kvmc.resolver.exact import decide

    site, machines = a_case(seed)
    origins = origins_of(site)
    kept, bag = keep(site, machines, {}, origins)
    placement, bag = resolve(site, machines, {}, origins, search=True)
    if kept is None:
        assert bag.has_errors
        return False
    able = all(demand.hosts for demand in kept.demands.values())
    answer = decide(list(kept.demands.values()), State(kept.machines)) if able else None
    fits = answer is not None and answer.choices is not None
    assert fits == (placement is not None), (seed, [one.message for one in bag])
    if placement is not None:
        assert broken_rules(site, machines, placement) == [], seed
        again, told = resolve(site, machines, locks_of(placement, machines), origins, search=False)
        assert again == placement, (seed, [one.message for one in told])
    return placement is not None


@pytest.mark.skipif(find_spec("ortools") is None, reason="ortools is not installed")
def test_fast_and_exact_search_agree_on_every_shape() -> None:
    found = [check(seed) for seed in range(QUICK)]
    assert 0.2 < sum(found) / len(found) < 0.95


@pytest.mark.proof
@pytest.mark.skipif(find_spec("ortools") is None, reason="ortools is not installed")
def test_fast_and_exact_search_agree_on_very_many_shapes(record_property: Callable[[str, object], None]) -> None:
    found = [check(seed) for seed in range(QUICK, PROOF)]
    record_property("shapes: cases", len(found))
    record_property("shapes: cases that fit", sum(found))
