"""How guests that found no place get one: repacking, then, where cores and pages are enough, exact filling. In counted steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvmc.resolver.board import Board, Item, Spot
from kvmc.resolver.fill import Fill
from kvmc.resolver.repack import Repack

OVERFULL = 32_000
"""Steps of repacking where not all can fit; a step is about ten microseconds."""
FIRST = 6_000
"""Where all may fit: of repacking at first, then ..."""
CORES = 16_000
"""... of packing cores alone, ..."""
NODES = 25_000
"""... of filling a few nodes, ..."""
EXCHANGE = 40_000
"""... of nodes exchanging guests, with ..."""
ROUND = 5_000
"""... so many between two shuffles, ..."""
LAST = 12_000
"""... and of repacking at last; ..."""
ROOMY = 60_000
"""... or so many where a fiftieth of the cores stays free: there a longer search pays."""
_SHUFFLES = 10
"""Regions packed anew in one shuffle."""
_FEW_NODES = 4
"""Nodes that are filled one after the other."""


def squeeze(board: Board, items: Sequence[Item], start: Mapping[int, Spot]) -> dict[int, Spot]:
    """Spots of as many vCPUs as can be had, by weight; the board holds `start`, and is of no use afterwards."""
    pack = Repack(board, items, start)
    enough = sum(item.cores for item in items) <= sum(board.free) + sum(items[id].cores for id in start)
    pack.run(FIRST if enough else OVERFULL)
    if not pack.left or not enough:
        return pack.where
    fill = Fill(board, items, pack.seed)
    if fill.possible():
        found = _whole(board, items, pack.where, fill)
        if found is not None:
            return found
    need, have = sum(item.cores for item in items), sum(board.free) + sum(items[id].cores for id in pack.where)
    pack.run(ROOMY if need * 50 <= have * 49 else LAST)
    return pack.where


def _whole(board: Board, items: Sequence[Item], where: Mapping[int, Spot], fill: Fill) -> dict[int, Spot] | None:
    """Spots for all; the board holds `where` again if there are none."""
    found: dict[int, Spot] | None = None
    if len(board.node_slots) <= _FEW_NODES:
        board.hold(items, where, 1)
        found = fill.run(NODES)
        board.hold(items, where, -1)
        if found is not None:
            return found
    board.paged = False
    pack = Repack(board, items, where)
    pack.run(CORES)
    start = fill.steps
    while not pack.left and found is None and fill.steps < start + EXCHANGE:
        found = fill.exchange(pack.where, fill.steps + ROUND)
        if found is None:
            pack.shuffle(_SHUFFLES)
    board.paged = True
    if found is None:
        board.hold(items, pack.where, 1)
        board.hold(items, where, -1)
    return found
