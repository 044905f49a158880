"""Small random sites against every way there is to place their guests: the fast search and the exact one must say the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import permutations

import pytest

from kvmc.model.site import L3, Emulator, Pinning, Site, Threads, Vm
from kvmc.resolver.demand import Cell, Demand
from kvmc.resolver.keep import Kept, keep
from kvmc.resolver.search import search
from kvmc.resolver.solve import resolve
from kvmc.resolver.state import Machine, State
from kvmc.topology.model import Topology
from support.machines import machine, nic
from support.rules import broken_rules
from support.sites import a_host, a_nic, a_site, a_vm, apart, origins_of, vfs

Case = tuple[Site, dict[str, Topology]]

QUICK = 100
PROOF = 2000


def _dedicated(nodes: int, l3: int, cores: int, threads: int) -> int:
    """CPUs without a housekeeping core a node."""
    return nodes * (l3 * cores - 1) * threads


def a_case(seed: int) -> Case:
    """One or two hosts with at most 12 dedicated CPUs together, and guests that need about all of them."""
    rng = random.Random(seed)
    shapes = [
        (n, l3, cores, t)
        for n in (1, 2, 3)
        for l3 in (1, 2, 3)
        for cores in (1, 2, 3, 4)
        for t in (1, 2)
        if l3 * cores > 1
    ]
    hosts, machines = [], {}
    cpus = 12
    for name in ("kvm-a", "kvm-b")[: rng.choice((1, 1, 2))]:
        able = [one for one in shapes if 5 <= _dedicated(*one) <= cpus]
        if not able:
            break
        nodes, l3, cores, threads = rng.choice(able)
        cpus -= _dedicated(nodes, l3, cores, threads)
        hosts.append(
            a_host(name, pages=rng.randint(4, 12), shared_overcommit=2, devices=[vfs("n3", "0000:3b:00.0", 2)])
        )
        machines[name] = machine(
            nodes, 1, l3, cores, threads, 32, pci=[nic("0000:3b:00.0", node=rng.choice((0, nodes - 1, None)))]
        )
    dedicated = (12 - cpus) * rng.uniform(0.4, 1.1)
    vms: list[Vm] = []
    most = min(2, max(len(found.nodes) for found in machines.values()))
    while dedicated > 0 and len(vms) < 6:
        nodes = rng.choice((1, 1, 1, most))
        vcpus = rng.choice((nodes, 2, 2, 2, 3, 4))
        vms.append(
            a_vm(
                f"vm-{len(vms)}",
                vcpus=vcpus,
                gib=rng.randint(nodes, 3),
                nodes=nodes,
                pinning=Pinning.DEDICATED,
                threads=rng.choice((Threads.PREFER,) * 9 + (Threads.ISOLATE, Threads.REQUIRE)),
                l3=rng.choice((L3.PREFER, L3.PREFER, L3.ANY, L3.REQUIRE)),
                emulator=rng.choice((Emulator.HOUSEKEEPING,) * 8 + (Emulator.OWN,)),
                nics=[a_nic("n3", device="n3")] if rng.random() < 0.15 else [],
            )
        )
        dedicated -= vcpus
    places = [apart("pair", "vm-0", "vm-1")] if len(hosts) > 1 and len(vms) > 1 and rng.random() < 0.4 else []
    return a_site(hosts, vms, places), machines


Free = tuple[tuple[tuple[int, ...], int, int, int], ...]
"""Of each node of a host: cores by slot, pages, normal KiB, functions near."""


class Brute:
    """Every way to place the guests of a site, one after the other."""

    def __init__(self, kept: Kept) -> None:
        self.machines = kept.machines
        self.demands = list(kept.demands.values())
        self.seen: set[object] = set()

    def fits(self) -> bool:
        free = {
            name: (
                tuple(
                    (
                        tuple(len(slot.cores) for slot in cpus.slots),
                        sum(memory.pages.values()),
                        memory.normal_kib,
                        sum(one.node == cpus.node for one in one_machine.functions.get("n3", ())),
                    )
                    for cpus, memory in zip(one_machine.nodes, one_machine.memory, strict=True)
                ),
                sum(one.node is None for one in one_machine.functions.get("n3", ())),
            )
            for name, one_machine in self.machines.items()
        }
        return self.place(0, free, frozenset())

    def place(self, index: int, free: dict[str, tuple[Free, int]], claims: frozenset[object]) -> bool:
        if index == len(self.demands):
            return True
        key = (index, tuple(free.items()), claims)
        if key in self.seen:
            return False
        self.seen.add(key)
        demand = self.demands[index]
        for name in demand.hosts:
            mine = set(demand.hosts[name])
            if mine & claims:
                continue
            for after in self.on_host(demand, self.machines[name], *free[name]):
                if self.place(index + 1, {**free, name: after}, claims | mine):
                    return True
        return False

    def on_host(self, demand: Demand, one: Machine, free: Free, loose: int) -> Iterator[tuple[Free, int]]:
        for nodes in permutations(range(len(free)), len(demand.cells)):
            states = [free]
            for cell, node in zip(demand.cells, nodes, strict=True):
                states = [
                    (*state[:node], after, *state[node + 1 :])
                    for state in states
                    for after in self.on_node(demand, cell, one, node, state[node])
                ]
            for state in states:
                if not demand.devices:
                    yield state, loose
                    continue
                for node in nodes:
                    slots, pages, normal, near = state[node]
                    if near:
                        yield (*state[:node], (slots, pages, normal, near - 1), *state[node + 1 :]), loose
                if loose:
                    yield state, loose - 1

    def on_node(
        self, demand: Demand, cell: Cell, one: Machine, node: int, free: tuple[tuple[int, ...], int, int, int]
    ) -> Iterator[tuple[tuple[int, ...], int, int, int]]:
        slots, pages, normal, near = free
        assert demand.pages_kib is not None
        pages -= cell.memory_kib // demand.pages_kib
        normal -= cell.normal_kib
        if pages < 0 or normal < 0:
            return
        threads = max((slot.threads for slot in one.nodes[node].slots), default=1)
        per = 1 if demand.threads is Threads.ISOLATE else threads
        for after in self.spread(-(-cell.vcpus // per), slots, single=demand.l3 is L3.REQUIRE):
            if not demand.own:
                yield after, pages, normal, near
                continue
            for index, number in enumerate(after):
                if number:
                    yield (*after[:index], number - 1, *after[index + 1 :]), pages, normal, near

    def spread(self, cores: int, slots: tuple[int, ...], *, single: bool) -> Iterator[tuple[int, ...]]:
        if single:
            for index, number in enumerate(slots):
                if number >= cores:
                    yield (*slots[:index], number - cores, *slots[index + 1 :])
        elif not slots:
            if not cores:
                yield ()
        else:
            for here in range(min(cores, slots[0]) + 1):
                for rest in self.spread(cores - here, slots[1:], single=False):
                    yield (slots[0] - here, *rest)


def check(seed: int) -> bool:
    """Compare all verdicts on one case; whether it fits."""
    site, machines = a_case(seed)
    kept, bag = keep(site, machines, {}, origins_of(site))
    if kept is None:
        assert bag.has_errors
        return False
    fits = Brute(kept).fits()
    state = State(kept.machines)
    left = search(kept.demands, list(kept.missing), state, {})
    assert (left == []) == fits, f"seed {seed}: every way {fits}, the search leaves {left}"
    if find_spec("ortools") is not None:
        from kvmc.resolver.exact import decide

        answer = decide(list(kept.demands.values()), State(kept.machines))
        assert answer.proven, f"seed {seed}"
        assert (answer.choices is not None) == fits, f"seed {seed}: every way {fits}, the exact search not"
        if answer.choices is not None:
            _check_exact(site, machines, kept, seed)
    if fits:
        placement, _ = resolve(site, machines, {}, origins_of(site), search=True)
        assert placement is not None
        assert broken_rules(site, machines, placement) == [], f"seed {seed}"
    return fits


def _check_exact(site: Site, machines: dict[str, Topology], kept: Kept, seed: int) -> None:
    """The exact search's own placement keeps every rule."""
    import kvmc.resolver.missing as missing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            missing, "search", lambda demands, wanted, *_: [vm for vm in wanted if demands[vm].weight is None]
        )
        placement, bag = resolve(site, machines, {}, origins_of(site), search=True)
    assert placement is not None, [one.message for one in bag]
    assert broken_rules(site, machines, placement) == [], f"seed {seed}"


def test_a_hundred_small_sites() -> None:
    fits = [check(seed) for seed in range(QUICK)]
    assert 15 < sum(fits) < 85


@pytest.mark.proof
@pytest.mark.parametrize("block", range(10))
def test_two_thousand_small_sites(block: int, record_property: Callable[[str, object], None]) -> None:
    each = PROOF // 10
    fits = [check(seed) for seed in range(block * each, (block + 1) * each)]
    exact = "CP-SAT and every way there is" if find_spec("ortools") is not None else "every way there is"
    record_property("verdicts", f"{len(fits)} sites, {sum(fits)} fit; the search, {exact} agree on all")
    assert each / 5 < sum(fits) < each * 9 / 10
