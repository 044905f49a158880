"""How guests that found no place get one: repacking a few L3s at a time, or, where nearly every core is needed, perfect packing.

In counted steps; a step is about ten microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvmc.resolver.board import Board, Item, Spot
from kvmc.resolver.repack import Repack
from kvmc.resolver.trade import Trade

OVERFULL = 32_000
"""Steps of repacking where not all can fit."""
TRADES = 24_000
"""Where all may fit: of perfect packing, ..."""
LAST = 12_000
"""... and of repacking after it; ..."""
FIRST = 6_000
"""... or, where a fiftieth of the cores stays free, of repacking before it, ..."""
ROOMY = 60_000
"""... and after it: there a longer search pays."""


def squeeze(board: Board, items: Sequence[Item], start: Mapping[int, Spot]) -> dict[int, Spot]:
    """Spots of as many vCPUs as can be had, by weight; the board holds `start`, and is of no use afterwards."""
    pack = Repack(board, items, start)
    need, have = sum(item.cores for item in items), sum(board.free) + sum(items[id].cores for id in start)
    if need > have:
        pack.run(OVERFULL)
        return pack.where
    roomy = need * 50 <= have * 49
    if roomy:
        pack.run(FIRST)
        if not pack.left:
            return pack.where
    board.hold(items, pack.where, 1)
    trade = Trade(board, items, pack.seed)
    found = trade.run(TRADES) if trade.possible() else None
    if found is not None:
        return found
    board.hold(items, pack.where, -1)
    pack.run(pack.steps + (ROOMY if roomy else LAST))
    return pack.where
