"""Guests that find no place one after the other, packed anew: as many as there is room for, counted out by brute force."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from itertools import product

import pytest

from kvmc.model.site import L3, Domain, Emulator, Threads, Vm
from kvmc.resolver.board import Board, Item
from kvmc.resolver.keep import Kept, keep
from kvmc.resolver.patterns import Patterns
from kvmc.resolver.repack import Repack
from kvmc.resolver.search import search
from kvmc.resolver.squeeze import squeeze
from kvmc.resolver.state import State
from kvmc.resolver.trade import Trade
from support.machines import machine, nic
from support.sites import a_host, a_nic, a_site, a_vm, apart, origins_of, vfs

PAGES = 16


def kept_of(
    vms: Sequence[Vm], hosts: int = 1, l3: int = 2, cores: int = 4, pages: int = PAGES, threads: int = 1
) -> Kept:
    """Hosts of two nodes; each node has its housekeeping core in its first L3."""
    topology = machine(2, 1, l3, cores, threads, 64, pci=[nic("3b:00.0", node=0), nic("af:00.0", node=1)])
    names = [f"kvm-{n}" for n in range(hosts)]
    pools = [vfs("n3", "3b:00.0", 2), vfs("n4", "af:00.0", 2)]
    site = a_site(
        [a_host(name, pages=pages, devices=pools, rack=name) for name in names], vms,
        [apart("q", "vm-0", "vm-1", across=Domain.HOST)] if hosts > 1 and len(vms) > 1 else [],
    )  # fmt: skip
    kept, bag = keep(site, dict.fromkeys(names, topology), {}, origins_of(site))
    assert kept is not None, [one.message for one in bag]
    return kept


def board_of(kept: Kept, state: State | None = None) -> tuple[Board, list[Item]]:
    board = Board(state or State(kept.machines))
    items: list[Item] = []
    for demand in kept.demands.values():
        item = board.item(len(items), demand, sum(cell.vcpus for cell in demand.cells))
        assert item is not None
        items.append(item)
    return board, items


def held(board: Board) -> tuple[object, ...]:
    return (
        tuple(board.free), tuple(board.normal), tuple(tuple(one.items()) for one in board.pages),
        tuple(tuple(one.items()) for one in board.functions), frozenset(board.claims),
    )  # fmt: skip


def some_guests(seed: int, number: int, *, plain: bool = False) -> list[Vm]:
    rng = random.Random(f"repacking {seed}")
    vms: list[Vm] = []
    for index in range(number):
        nodes = 1 if plain else rng.choice((1, 1, 1, 2))
        vcpus = rng.randint(1, 4) * nodes
        vms.append(
            a_vm(
                f"vm-{index}",
                vcpus,
                nodes * rng.randint(1, 5),
                nodes=nodes,
                l3=L3.REQUIRE if plain else rng.choice((L3.REQUIRE, L3.PREFER, L3.ANY)),
                threads=Threads.PREFER if plain else rng.choice((Threads.PREFER, Threads.PREFER, Threads.ISOLATE)),
                emulator=Emulator.HOUSEKEEPING if plain or rng.random() < 0.7 else Emulator.OWN,
                nics=[] if plain or rng.random() < 0.6 else [a_nic("n", device=rng.choice(("n3", "n4")))],
            )
        )
    return vms


def most(vms: Sequence[Vm], rooms: Sequence[tuple[int, int]], pages: Sequence[int]) -> int:
    """The most vCPUs of guests of one L3 each that have room. rooms: cores and the node of each L3."""

    @cache
    def best(index: int, free: tuple[int, ...], left: tuple[int, ...]) -> int:
        if index == len(vms):
            return 0
        cores, gib = vms[index].vcpus, vms[index].memory_kib // 1024**2
        found = best(index + 1, free, left)
        for slot, (_, node) in enumerate(rooms):
            if free[slot] >= cores and left[node] >= gib:
                rest = (*free[:slot], free[slot] - cores, *free[slot + 1 :])
                more = (*left[:node], left[node] - gib, *left[node + 1 :])
                found = max(found, cores + best(index + 1, rest, more))
        return found

    return best(0, tuple(cores for cores, _ in rooms), tuple(pages))


ROOMS = ((3, 0), (4, 0), (3, 1), (4, 1))
"""Of `kept_of`: L3s of four cores, the first of a node without its housekeeping core."""


@pytest.mark.parametrize("seed", range(24))
def test_every_spot_is_one_and_what_it_takes_it_gives_back(seed: int) -> None:
    kept = kept_of(some_guests(seed, 6), hosts=2, threads=1 + seed % 2)
    state = State(kept.machines)
    board, items = board_of(kept, state)
    rng = random.Random(seed)
    groups = [(node, list(slots)) for node, slots in enumerate(board.node_slots)]
    for item in items:
        before = held(board)
        spots = board.spots(item, groups)
        for spot in spots:
            board.apply(item, spot, -1)
            assert min(board.free) >= 0 and min(board.normal) >= 0
            assert all(number >= 0 for free in board.pages for number in free.values())
            assert all(number >= 0 for rest in board.functions for number in rest.values())
            board.apply(item, spot, 1)
            assert held(board) == before
        if not spots:
            continue
        spot = rng.choice(spots)
        choice = board.choice(item, spot)
        assert choice is not None
        assert board.spot(choice) == spot
        state.place(item.demand, choice)
        board.apply(item, spot, -1)
        assert held(Board(state)) == held(board), "as the state that has the same choice"


@pytest.mark.parametrize("seed", range(12))
def test_an_item_may_lie_wherever_it_has_room(seed: int) -> None:
    vms = some_guests(seed, 5, plain=True)
    board, items = board_of(kept_of(vms))
    groups = [(node, list(slots)) for node, slots in enumerate(board.node_slots)]
    assert tuple((board.free[slot], node) for node, slots in groups for slot in slots) == ROOMS
    for item, vm in zip(items, vms, strict=True):
        spots = board.spots(item, groups)
        left = [board.free[spot.cells[0][1][0][0]] - vm.vcpus for spot in spots]
        assert left == sorted(left), "the tightest first"
        found = {(spot.cells[0][0], rest) for spot, rest in zip(spots, left, strict=True)}
        gib = vm.memory_kib // 1024**2
        able = [
            (node, board.free[slot] - vm.vcpus)
            for node, slots in groups
            for slot in slots
            if board.free[slot] >= vm.vcpus and board.pages[node][1024**2] >= gib
        ]
        assert found == set(able) and len(spots) == len(found), "alike places once"
        if spots:
            board.apply(item, spots[-1], -1)


@pytest.mark.parametrize("seed", range(30))
def test_as_many_vcpus_have_a_place_as_there_is_room_for(seed: int) -> None:
    pages = (4, 8, 40)[seed % 3]
    vms = some_guests(seed, 4 + seed % 4, plain=True)
    best = most(vms, ROOMS, (pages, pages))
    board, items = board_of(kept_of(vms, pages=pages))
    empty = held(board)
    pack = Repack(board, items, {})
    pack.run(4_000)
    assert sum(items[id].weight for id in pack.where) == best
    assert sorted([*pack.where, *pack.left]) == list(range(len(items)))
    board.hold(items, pack.where, 1)
    assert held(board) == empty, "the board holds what it says it holds"
    where = squeeze(board_of(kept_of(vms, pages=pages))[0], items, {})
    assert sum(items[id].weight for id in where) == best


@pytest.mark.parametrize("seed", range(10))
def test_the_search_places_all_where_there_is_a_way(seed: int) -> None:
    """Guests cut from full L3s, so that there is a way and no core and no page is left: nobody stays without a place."""
    rng = random.Random(f"tight {seed}")
    vms: list[Vm] = []
    left = [24, 24]
    for room, node in ((5, 0), (6, 0), (6, 0), (5, 1), (6, 1), (6, 1)):
        while room:
            vcpus = min(room, rng.choice((1, 2, 3, 4)))
            gib = rng.randint(1, 3)
            left[node] -= gib
            vms.append(a_vm(f"vm-{len(vms)}", vcpus, gib))
            room -= vcpus
    rng.shuffle(vms)
    pages = 24 - min(left)
    kept = kept_of([vm.model_copy(update={"name": f"vm-{n}"}) for n, vm in enumerate(vms)], l3=3, cores=6, pages=pages)
    state = State(kept.machines)
    assert search(kept.demands, list(kept.demands), state, {}) == []
    assert sum(node.cores for host in state.hosts.values() for node in host.nodes) == 0
    assert all(len(cell.takes) == 1 for choice in state.chosen.values() for cell in choice.cells), "each in one L3"


def ways(cells: Sequence[tuple[int, int]], rooms: Sequence[tuple[int, int]], pages: Sequence[int]) -> bool:
    """Whether cells of (cores, pages) have a way to lie that leaves no core."""
    for slots in product(range(len(rooms)), repeat=len(cells)):
        free, left = [cores for cores, _ in rooms], list(pages)
        for slot, (cores, number) in zip(slots, cells, strict=True):
            free[slot] -= cores
            left[rooms[slot][1]] -= number
        if not any(free) and min(left) >= 0:
            return True
    return False


@pytest.mark.parametrize("seed", range(16))
def test_perfect_packing_finds_a_way_where_there_is_one(seed: int) -> None:
    rng = random.Random(f"perfect {seed}")
    cells: list[tuple[int, int]] = []
    for room, _ in ROOMS:
        while room:
            cores = min(room, rng.randint(2, 4))
            cells.append((cores, rng.randint(1, 6)))
            room -= cores
    rng.shuffle(cells)
    total = sum(pages for _, pages in cells)
    pages = -(-total // 2) + rng.choice((0, 0, 1))
    vms = [a_vm(f"vm-{n}", cores, gib, l3=L3.REQUIRE) for n, (cores, gib) in enumerate(cells)]
    board, items = board_of(kept_of(vms, pages=pages))
    empty = held(board)
    trade = Trade(board, items, seed)
    assert trade.possible()
    found = trade.run(6_000)
    assert held(board) == empty
    assert (found is not None) == ways(cells, ROOMS, (pages, pages))
    if found is not None:
        board.hold(items, found, -1)
        assert not any(board.free) and min(held[1024**2] for held in board.pages) >= 0


def test_perfect_packing_of_guests_with_devices_and_several_nodes() -> None:
    """Each guest that takes a function is on its node, and who has two nodes has two of one host."""
    vms = [
        a_vm("near", 3, 2, nics=[a_nic("n", device="n3")]), a_vm("far", 3, 2, nics=[a_nic("n", device="n4")]),
        a_vm("two", 4, 4, nodes=2), a_vm("owner", 1, 3, emulator=Emulator.OWN), a_vm("last", 2, 3),
    ]  # fmt: skip
    board, items = board_of(kept_of(vms, pages=7))
    for seed in range(6):
        trade = Trade(board, items, seed)
        assert trade.possible()
        found = trade.run(20_000)
        assert found is not None
        nodes = {items[id].demand.vm: [node for node, _, _ in spot.cells] for id, spot in found.items()}
        assert nodes["near"] == [0] and nodes["far"] == [1] and nodes["two"] == [0, 1]
        (_, takes, own) = found[3].cells[0]
        assert takes[0][1] == 1 and own == takes[0][0]
        assert {pool: number for _, pool, number in found[0].devices} == {"n3": 1}
        board.hold(items, found, -1)
        assert sum(board.free) == 0 and [one[1024**2] for one in board.pages] == [0, 0]
        board.hold(items, found, 1)


@pytest.mark.parametrize("seed", range(8))
def test_nodes_of_a_guest_that_are_alike_lie_in_order_and_others_where_they_fit(seed: int) -> None:
    vms = [a_vm(f"vm-{n}", vcpus, gib, nodes=2) for n, (vcpus, gib) in enumerate([(2, 2), (4, 2), (6, 4), (2, 4)])]
    board, items = board_of(kept_of(vms, pages=6))
    trade = Trade(board, items, seed)
    found = trade.run(20_000)
    assert found is not None
    assert all([node for node, _, _ in spot.cells] == [0, 1] for spot in found.values())
    board.hold(items, found, -1)
    assert sum(board.free) == 0 and [one[1024**2] for one in board.pages] == [0, 0]


def test_a_guest_that_no_l3_holds_lies_over_two() -> None:
    vms = [a_vm("wide", 6, 4), a_vm("a", 1, 2), a_vm("b", 3, 2), a_vm("c", 4, 4)]
    board, items = board_of(kept_of(vms, pages=6))
    trade = Trade(board, items, 1)
    assert trade.possible()
    found = trade.run(20_000)
    assert found is not None
    assert sorted(cores for _, cores in found[0].cells[0][1]) in ([2, 4], [3, 3])
    board.hold(items, found, -1)
    assert sum(board.free) == 0 and min(board.free) == 0


@pytest.mark.parametrize("seed", range(40))
def test_sizes_fill_rooms_where_they_can(seed: int) -> None:
    rng = random.Random(f"patterns {seed}")
    rooms = sorted(rng.choices((3, 4, 5, 6, 8), k=rng.randint(1, 4)))
    sizes = [rng.randint(1, 6) for _ in range(rng.randint(0, 7))]
    counts: dict[int, int] = {}
    for size in sizes:
        counts[size] = counts.get(size, 0) + 1

    @cache
    def fits(index: int, left: tuple[int, ...]) -> bool:
        if index == len(sizes):
            return True
        return any(
            fits(index + 1, tuple(sorted((*left[:at], room - sizes[index], *left[at + 1 :]))))
            for at, room in enumerate(left)
            if room >= sizes[index]
        )

    patterns = Patterns(rooms, dict(counts), lambda number: rng.randrange(number))
    waste = patterns.waste
    assert patterns.fill() == fits(0, tuple(rooms))
    if len(patterns.chosen) == len(rooms):
        assert all(sum(some) <= room for some, room in zip(patterns.chosen, rooms, strict=True))
        assert sorted(size for some in patterns.chosen for size in some) == sorted(sizes)
    else:
        assert patterns.chosen == [] and patterns.waste == waste, "all is as it was"
        assert dict(zip(patterns.sizes, patterns.counts, strict=True)) == counts
