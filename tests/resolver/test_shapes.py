"""Guests of every shape: the fast search and the exact one say the same, and what is placed keeps every rule."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from kvmc.model.cpuset import CpuSet, union
from kvmc.model.site import L3, Cores, Emulator, GuestNode, MemoryKind, MemoryMode, Pinning, Site, Threads, Vm
from kvmc.model.values import PageCount
from kvmc.resolver.keep import keep
from kvmc.resolver.placement import Placement
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import State
from kvmc.topology.model import CoreKind, Memory, Node, Topology
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


def placed(vms: list[Vm], topology: Topology, **host: Any) -> tuple[Placement | None, list[str]]:
    site = a_site([a_host("kvm-a", **host)], vms)
    placement, bag = resolve(site, {"kvm-a": topology}, {}, origins_of(site), search=True)
    if placement is not None:
        assert broken_rules(site, {"kvm-a": topology}, placement) == []
    return placement, [text for one in bag for text in (one.message, *one.help)]


@pytest.mark.parametrize("vcpus", [1, 3, 5, 7])
@pytest.mark.parametrize("threads", [1, 2])
def test_one_l3_holds_any_number_of_vcpus_up_to_its_own(vcpus: int, threads: int) -> None:
    topology = machine(packages=1, l3_per_node=3, cores_per_l3=8 // threads, threads=threads)
    placement, told = placed([a_vm("one", vcpus=vcpus, l3=L3.REQUIRE)], topology)
    assert placement is not None, told
    (cell,) = placement.guests["one"].cells
    assert sum(any(pin.issubset(l3) for pin in cell.pins) for l3 in topology.l3 or ()) == 1
    assert placed([a_vm("one", vcpus=9, l3=L3.REQUIRE)], topology)[0] is None
    wide, told = placed([a_vm("one", vcpus=9, l3=L3.PREFER)], topology)
    assert wide is not None, told


def test_an_odd_number_of_vcpus_fills_no_cores_whole() -> None:
    placement, told = placed([a_vm("one", vcpus=5, threads=Threads.REQUIRE, l3=L3.REQUIRE)], machine(cores_per_l3=8))
    assert placement is None
    assert "5 vCPUs in a node do not fill cores of 2 threads" in told[0]
    assert "`threads = prefer` for `one`" in told[1]


def test_one_l3_on_a_hybrid_cpu_holds_cores_of_one_kind() -> None:
    """Performance and efficiency cores share the L3; a guest of either kind, odd too, has that kind alone."""
    found = machine(packages=1, cores_per_l3=12, threads=1)
    kinds = {CoreKind.PERFORMANCE: CpuSet.parse("0-5"), CoreKind.EFFICIENCY: CpuSet.parse("6-11")}
    topology = dataclasses.replace(found, core_kinds=kinds)
    fast, slow = (a_vm(str(kind), vcpus=5, l3=L3.REQUIRE, cores=Cores(kind)) for kind in kinds)
    placement, told = placed([fast, slow], topology)
    assert placement is not None, told
    for kind, cpus in kinds.items():
        assert union(placement.guests[str(kind)].cells[0].pins).issubset(cpus)
    assert placed([fast.model_copy(update={"vcpus": 6})], topology)[0] is None, (
        "one of the six is the housekeeping core"
    )


@pytest.mark.parametrize("ratio", [1, 3, 4])
def test_the_overcommit_counts_node_by_node(ratio: int) -> None:
    topology = machine(packages=2, cores_per_l3=8)
    full = [a_vm(f"s{n}", vcpus=2 * ratio, pinning=Pinning.SHARED) for n in range(2)]
    assert placed(full, topology, shared_cores=1, shared_overcommit=ratio)[0] is not None
    more = [*full, a_vm("more", vcpus=1, pinning=Pinning.SHARED)]
    placement, told = placed(more, topology, shared_cores=1, shared_overcommit=ratio)
    assert placement is None and "on shared CPUs" in " ".join(told)
    one = [a_vm("wide", vcpus=2 * ratio + 1, pinning=Pinning.SHARED)]
    assert placed(one, topology, shared_cores=1, shared_overcommit=ratio)[0] is None, "no node has room for all of it"


def test_each_node_has_a_ratio_of_its_own() -> None:
    """Two shared CPUs in each node: four vCPUs on the first, two on the second."""
    topology = machine(packages=2, cores_per_l3=8)
    ratios = {"shared_cores": 1, "shared_overcommit": 2, "shared_overcommits": (2, 1)}
    guests = [a_vm(f"s{n}", vcpus=2, pinning=Pinning.SHARED) for n in range(3)]
    placement, told = placed(guests, topology, **ratios)
    assert placement is not None, told
    assert sorted(guest.cells[0].node for guest in placement.guests.values()) == [0, 0, 1]
    wide = [a_vm("wide", vcpus=4, pinning=Pinning.SHARED), guests[0]]
    placement, told = placed(wide, topology, **ratios)
    assert placement is not None, told
    assert [placement.guests[vm].cells[0].node for vm in ("wide", "s0")] == [0, 1]
    assert placed([*guests, a_vm("more", vcpus=1, pinning=Pinning.SHARED)], topology, **ratios)[0] is None
    placement, told = placed(guests, topology, shared_cores=1, shared_overcommit=2, shared_overcommits=(2,))
    assert placement is None and told[:1] == ["`overcommit` of `kvm-a` has 1 number, the host has 2 nodes with CPUs"]


def test_two_sizes_of_pages_on_one_host_and_pages_for_others() -> None:
    topology = machine(packages=2, cores_per_l3=8, memory_gib=32)
    host = a_host("kvm-a", pages=0, reserve_memory_kib=4 * GIB).model_copy(
        update={"pages": (PageCount(8, GIB), PageCount(2048, 2048)), "reserve_pages": (PageCount(4, GIB),)}
    )
    vms = [a_vm("large", vcpus=2, gib=8), a_vm("small", vcpus=2, gib=4, pages_kib=2048), a_vm("third", vcpus=2, gib=8)]
    site = a_site([host], vms)
    placement, bag = resolve(site, {"kvm-a": topology}, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    assert broken_rules(site, {"kvm-a": topology}, placement) == []
    more = a_site([host], [*vms, a_vm("fourth", vcpus=2, gib=1)])
    placement, bag = resolve(more, {"kvm-a": topology}, {}, origins_of(more), search=True)
    assert placement is None, "the pages that are reserved are nobody's, and those of the other size do not help"
    assert "1 page of 1GiB" in next(iter(bag)).message


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
    mode = MemoryMode.STRICT
    if rng.random() < 0.3:
        mode = rng.choice((MemoryMode.PREFERRED, MemoryMode.INTERLEAVE if nodes == 1 else MemoryMode.PREFERRED))
    special = MemoryKind.HBM if nodes == 1 and mode is MemoryMode.STRICT and rng.random() < 0.1 else None
    kind = rng.choice((Cores.ANY, Cores.ANY, *Cores)) if pinning is not Pinning.SHARED else Cores.ANY
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
        numatune=mode,
        memory_kind=special,
        pages_kib=None if special else GIB,
        cores=kind,
    )


def a_case(seed: int) -> tuple[Site, dict[str, Topology]]:
    """One host and guests that need about all of it."""
    rng = random.Random(seed)
    nodes = rng.choice((2, 2, 3))
    shape = machine(nodes, 1, rng.choice((1, 2)), rng.choice((3, 4)), rng.choice((1, 2)), 32)
    if rng.random() < 0.4:
        cores = shape.cores or ()
        fast = union(cores[::2])
        shape = dataclasses.replace(
            shape, core_kinds={CoreKind.PERFORMANCE: fast, CoreKind.EFFICIENCY: shape.online - fast}
        )
    if rng.random() < 0.9:
        shape = dataclasses.replace(
            shape, nodes=(*shape.nodes, Node(nodes, CpuSet(), rng.randint(2, 6) * GIB, memory=Memory.HBM))
        )
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
    assert 0.1 < sum(found) / len(found) < 0.95


@pytest.mark.proof
@pytest.mark.skipif(find_spec("ortools") is None, reason="ortools is not installed")
def test_fast_and_exact_search_agree_on_very_many_shapes(record_property: Callable[[str, object], None]) -> None:
    found = [check(seed) for seed in range(QUICK, PROOF)]
    record_property("shapes: cases", len(found))
    record_property("shapes: cases that fit", sum(found))
