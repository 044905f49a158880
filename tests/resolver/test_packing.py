"""Perfect packing by itself: sizes into rooms, then guests that trade places until each node has the pages."""

from __future__ import annotations

from collections import Counter

import pytest

from kvmc.resolver.board import Board, Item
from kvmc.resolver.keep import keep
from kvmc.resolver.patterns import Patterns
from kvmc.resolver.state import State
from kvmc.resolver.trade import Trade
from support.machines import machine
from support.sites import a_host, a_site, a_vm, origins_of


def first(number: int) -> int:
    return 0


def filled(rooms: list[int], counts: dict[int, int]) -> list[tuple[int, ...]] | None:
    patterns = Patterns(rooms, dict(counts), first)
    return patterns.chosen if patterns.fill() else None


@pytest.mark.parametrize(
    ("rooms", "counts"),
    [
        ([8, 8], {8: 2}),
        ([8, 8], {5: 2, 3: 2}),
        ([7, 9], {4: 1, 3: 2, 6: 1}),
        ([8, 8, 8], {5: 1, 4: 2, 3: 2, 2: 2}),
        ([10, 6], {4: 3}),
        ([4], {}),
    ],
)
def test_all_sizes_find_a_room(rooms: list[int], counts: dict[int, int]) -> None:
    found = filled(rooms, counts)
    assert found is not None and len(found) == len(rooms)
    assert all(sum(sizes) <= room for room, sizes in zip(rooms, found, strict=True))
    assert Counter(size for sizes in found for size in sizes) == Counter(counts)


@pytest.mark.parametrize(
    ("rooms", "counts"),
    [([8, 8], {9: 1}), ([8, 8], {5: 3}), ([8, 8], {6: 2, 4: 1}), ([5, 5], {4: 2, 2: 1}), ([4], {5: 1})],
)
def test_what_has_no_room_is_told(rooms: list[int], counts: dict[int, int]) -> None:
    assert filled(rooms, counts) is None


def a_board(pages: int, *guests: tuple[int, int], l3: int = 1, nodes: int = 2) -> tuple[Board, list[Item]]:
    """A host of nodes of 8 free cores in `l3` L3s and a housekeeping core, and guests of (vCPUs, GiB)."""
    # a core more in the first L3 of each node, for housekeeping
    topology = machine(packages=nodes, l3_per_node=l3, cores_per_l3=8 // l3 + (l3 == 1), threads=1)
    site = a_site(
        [a_host("kvm-a", pages=pages)], [a_vm(f"vm-{i}", vcpus=cpus, gib=gib) for i, (cpus, gib) in enumerate(guests)]
    )
    kept, bag = keep(site, {"kvm-a": topology}, {}, origins_of(site))
    assert kept is not None, [one.message for one in bag]
    board = Board(State(kept.machines))
    items: list[Item] = []
    for demand in kept.demands.values():
        item = board.item(len(items), demand, 1)
        assert item is not None
        items.append(item)
    return board, items


def test_guests_trade_places_until_each_node_has_the_pages() -> None:
    board, items = a_board(12, (4, 10), (4, 10), (4, 2), (4, 2))
    free, pages = list(board.free), [dict(held) for held in board.pages]
    trade = Trade(board, items, 1)
    assert trade.possible()
    found = trade.run(20_000)
    assert found is not None and found.keys() == {item.id for item in items}
    assert (board.free, board.pages) == (free, pages), "the board holds none of them afterwards"
    for item in items:
        board.apply(item, found[item.id], -1)
    assert board.free == [0, 0]
    assert [held[1024**2] for held in board.pages] == [0, 0]


def test_it_ends_where_pages_never_come_out_even() -> None:
    board, items = a_board(12, (4, 9), (4, 5), (4, 5), (4, 5))
    trade = Trade(board, items, 1)
    assert trade.possible(), "all together fit, node by node they don't"
    assert trade.run(3_000) is None
    # what one attempt may spend above: two hundred trades at the most
    assert 3_000 <= trade.steps < 6_000
    before = trade.steps
    assert trade.run(before) is None and trade.steps == before, "no step is left"


def test_it_is_not_tried_on_what_it_cannot_do() -> None:
    assert not Trade(*a_board(12, (8, 4), (8, 4), (1, 4)), 1).possible(), "more cores than are free"
    assert not Trade(*a_board(4, (4, 5), (4, 4)), 1).possible(), "more pages than are offered"
    board, items = a_board(12, (4, 4), (4, 4))
    assert Trade(board, items, 1).possible()


def test_the_same_seed_trades_the_same() -> None:
    runs = [Trade(*a_board(12, (4, 10), (2, 5), (2, 5), (4, 2), (2, 1), (2, 1)), 7).run(20_000) for _ in range(2)]
    assert runs[0] is not None
    assert runs[0] == runs[1]
