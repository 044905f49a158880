"""Which host is the best, counted out over all of them; and guests that have to change places until each has one."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import L3, Domain, Emulator, MemoryMode, Pinning, Site, Threads, Vm
from kvmc.resolver.best import best_choice
from kvmc.resolver.choices import Score
from kvmc.resolver.demand import Demand
from kvmc.resolver.index import Index
from kvmc.resolver.keep import Kept, keep
from kvmc.resolver.search import search
from kvmc.resolver.shortfall import lacks_of, too_much
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import Choice, State
from kvmc.topology.model import Topology
from support.machines import machine, nic
from support.rules import broken_rules
from support.sites import GIB, a_host, a_nic, a_site, a_vm, apart, origins_of, together, vfs

CARD = [nic("3b:00.0", node=0)]
SHAPES: tuple[Topology, ...] = (
    machine(1, 1, 2, 4, 2, 64, pci=CARD),
    machine(1, 1, 1, 8, 2, 64, pci=CARD),
    machine(2, 1, 1, 4, 2, 64, pci=CARD),
    machine(1, 2, 1, 4, 2, 64, pci=CARD),
    machine(2, 1, 1, 4, 1, 64, pci=CARD),
    dataclasses.replace(machine(1, 1, 2, 4, 2, 64, pci=CARD), l3=None),
    machine(2, 1, 1, 4, 2, 64, pci=[nic("3b:00.0", node=1)]),
)


def kept_of(site: Site, machines: dict[str, Topology]) -> Kept:
    kept, bag = keep(site, machines, {}, origins_of(site))
    assert kept is not None, [one.message for one in bag]
    return kept


def a_fleet(seed: int) -> Kept:
    """Ten hosts of a few shapes, of which several are alike but for one thing."""
    rng = random.Random(f"fleet {seed}")
    machines: dict[str, Topology] = {}
    hosts = []
    for number in range(10):
        name = f"kvm-{number}"
        machines[name] = rng.choice(SHAPES)
        hosts.append(
            a_host(
                name,
                pages=rng.choice((6, 6, 12)),
                shared_cores=rng.choice((1, 1, 0)),
                shared_overcommit=rng.choice((2, 2, 3)),
                reserve_memory_kib=rng.choice((4, 4, 51)) * GIB,
                devices=[vfs("n3", "3b:00.0", 3)] if rng.random() < 0.8 else [],
                rack=f"r{number % 4}",
            )
        )
    vms = [
        a_vm(
            f"vm-{number}",
            (vcpus := rng.choice((1, 2, 3, 4, 6))),
            rng.randint(2, 4),
            nodes=rng.choice((1, 1, 2)) if vcpus > 1 else 1,
            pinning=rng.choice((Pinning.DEDICATED, Pinning.DEDICATED, Pinning.SHARED)),
            l3=rng.choice((L3.PREFER, L3.REQUIRE, L3.ANY)),
            threads=rng.choice((Threads.PREFER, Threads.ISOLATE)),
            emulator=rng.choice((Emulator.HOUSEKEEPING, Emulator.OWN)),
            pages_kib=rng.choice((GIB, GIB, None)),
            numatune=rng.choice((MemoryMode.STRICT, MemoryMode.STRICT, MemoryMode.PREFERRED)),
            nics=[a_nic("n3", device="n3")] if rng.random() < 0.3 else [],
        )
        for number in range(24)
    ]
    places = [apart("q", "vm-0", "vm-1", "vm-2", "vm-3"), apart("r", "vm-4", "vm-5", across=Domain.RACK)]
    return kept_of(a_site(hosts, vms, places), machines)


def the_best(demand: Demand, state: State, *, strict: bool) -> Choice | None:
    best: tuple[Score, Choice] | None = None
    for host in state.hosts:
        found = best_choice(demand, state, host, strict=strict)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return best[1] if best is not None else None


@pytest.mark.parametrize("seed", range(12))
def test_the_index_finds_the_best_of_all_hosts(seed: int) -> None:
    kept = a_fleet(seed)
    rng = random.Random(seed)
    state = State(kept.machines)
    demands = list(kept.demands.values())
    for demand in rng.sample(demands, 3):
        choice = the_best(demand, state, strict=True)
        if choice is not None:
            state.place(demand, choice)
    index = Index(state)
    for _ in range(40):
        for host in state.hosts.values():
            assert host.cores == sum(node.cores for node in host.nodes) == sum(sum(node.free) for node in host.nodes)
        demand = rng.choice(demands)
        if demand.vm in state.chosen:
            index.changed(state.remove(demand).host)
            continue
        strict = rng.random() < 0.5
        best = the_best(demand, state, strict=strict)
        assert index.best(demand, strict=strict) == best
        if best is not None:
            state.place(demand, best)
            index.changed(best.host)


def cut(rng: random.Random, whole: int, most: int) -> list[int]:
    parts: list[int] = []
    while whole:
        parts.append(min(whole, rng.randint(1, most)))
        whole -= parts[-1]
    return parts


def all_placed(vms: Sequence[Vm], machines: dict[str, Topology], site: Site) -> None:
    kept = kept_of(site, machines)
    state = State(kept.machines)
    assert search(kept.demands, list(kept.demands), state, {}) == []
    placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    assert broken_rules(site, machines, placement) == []


@pytest.mark.parametrize("seed", range(12))
def test_floating_guests_change_places_until_the_pages_do(seed: int) -> None:
    """Cut from whole nodes, so that there is a way and no page and hardly a vCPU is left."""
    rng = random.Random(f"floating {seed}")
    vms = [
        a_vm(f"vm-{host}{node}{n}", rng.randint(1, 2), gib, pinning=Pinning.SHARED)
        for host in range(2)
        for node in range(2)
        for n, gib in enumerate(cut(rng, 12, 5))
    ]
    rng.shuffle(vms)
    hosts = [a_host(f"kvm-{n}", pages=12, shared_cores=1, shared_overcommit=9) for n in range(2)]
    machines = {host.name: machine(2, 1, 1, 4, 2, 64) for host in hosts}
    all_placed(vms, machines, a_site(hosts, vms))


@pytest.mark.parametrize("seed", range(12))
def test_mixed_guests_change_places_until_cores_and_shared_vcpus_do(seed: int) -> None:
    rng = random.Random(f"mixed {seed}")
    vms: list[Vm] = []
    for node in range(2):
        floats = 12
        for n, cores in enumerate(cut(rng, 7, 3)):
            some = min(floats - 1, rng.randint(1, 4))
            floats -= some
            own = CpuSet.of(range(cores))
            vms.append(a_vm(f"vm-{node}{n}", cores + some, 2, pinning=Pinning.MIXED, dedicated=own))
    rng.shuffle(vms)
    host = a_host("kvm-0", pages=20, shared_cores=1, shared_overcommit=12)
    machines = {"kvm-0": machine(2, 1, 1, 9, 1, 64)}
    all_placed(vms, machines, a_site([host], vms))


@pytest.mark.parametrize("seed", range(8))
def test_guests_with_relations_take_the_places_of_others(seed: int) -> None:
    """Every core is taken; some are to be apart by node or together in one."""
    rng = random.Random(f"related {seed}")
    vms = [a_vm(f"vm-{node}{n}", cores, 1) for node in range(4) for n, cores in enumerate(cut(rng, 5, 3))]
    by_node = [[vm.name for vm in vms if vm.name.startswith(f"vm-{node}")] for node in range(4)]
    places = [apart("q", *(names[0] for names in by_node), across=Domain.NODE)]
    if len(by_node[1]) > 2:
        places.append(together("t", *by_node[1][1:3], within=Domain.NODE))
    rng.shuffle(vms)
    machines = {"kvm-0": machine(2, 2, 1, 6, 1, 32)}
    all_placed(vms, machines, a_site([a_host("kvm-0", pages=8)], vms, places))


@pytest.mark.parametrize(("vcpus", "gib", "more"), [(15, 4, False), (16, 4, True), (2, 12, False), (2, 13, True)])
def test_what_all_hosts_together_have_too_little_of_is_known_by_sums(vcpus: int, gib: int, more: bool) -> None:
    """Two nodes of 15 vCPUs and 12 pages each are asked for twice as much, or a little more."""
    vms = [a_vm(name, vcpus, gib, threads=Threads.ISOLATE) for name in "ab"]
    kept = kept_of(a_site([a_host("kvm-0", pages=12)], vms), {"kvm-0": machine(2, 1, 1, 16, 1, 64)})
    state = State(kept.machines)
    assert too_much(list(kept.demands), kept.demands, state) is more
    first = kept.demands["a"]
    lacks = lacks_of(first, state.hosts["kvm-0"], (1,))
    assert lacks == ({} if not more else {"cores": 1} if vcpus > 15 else {"pages": GIB})
    choice = best_choice(first, state, "kvm-0", strict=False)
    if choice is not None:
        state.place(first, choice[1])
        assert too_much(["b"], kept.demands, state) is False


def test_what_nodes_lack_is_added_up_over_the_cells() -> None:
    vms = [
        a_vm("wide", 40, 40, nodes=2), a_vm("float", 9, 4, pinning=Pinning.SHARED), a_vm("plain", 2, 70, pages_kib=None),
    ]  # fmt: skip
    host = a_host("kvm-0", pages=12, shared_cores=2)
    kept = kept_of(a_site([host], vms), {"kvm-0": machine(2, 1, 1, 16, 1, 64)})
    here = State(kept.machines).hosts["kvm-0"]
    assert lacks_of(kept.demands["wide"], here, (0, 1)) == {"cores": 2 * (20 - 13), "pages": 2 * (20 - 12) * GIB}
    assert lacks_of(kept.demands["float"], here, (1,)) == {"shared": 1}
    need = kept.demands["plain"].cells[0].normal_kib
    assert lacks_of(kept.demands["plain"], here, (0,)) == {"normal": need - (64 - 12 - 4) * GIB}
