"""How guests that found no place get one: repacking, then, where cores and pages are enough, exact filling. In counted steps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from kvmc.resolver.board import Board, Item, Spot
from kvmc.resolver.fill import Fill
from kvmc.resolver.repack import Repack

REPACK = int(os.environ.get("REPACK", 32_000))
FIRST = int(os.environ.get("FIRST", 6_000))
CORES = int(os.environ.get("CORES", 16_000))
RUN = int(os.environ.get("RUN", 25_000))
EXCHANGE = int(os.environ.get("EXCHANGE", 40_000))
ROUND = int(os.environ.get("RND", 5_000))
_SHUFFLES = int(os.environ.get("SHF", 10))
_FEW_NODES = 4
DBG = bool(os.environ.get("DBG"))


def squeeze(board: Board, items: Sequence[Item], start: Mapping[int, Spot]) -> dict[int, Spot]:
    """Spots of as many vCPUs as can be had, heavier ones first; the board holds `start`, and is left as it comes."""
    pack = Repack(board, items, start)
    enough = sum(item.cores for item in items) <= sum(board.free) + sum(items[id].cores for id in start)
    pack.run(FIRST if enough else REPACK)
    if not pack.left or not enough:
        return pack.where
    fill = Fill(board, items, pack.seed)
    if fill.possible():
        found = _whole(board, items, pack.where, fill)
        if found is not None:
            return found
    pack.run(REPACK // 2)
    return pack.where


def _whole(board: Board, items: Sequence[Item], where: Mapping[int, Spot], fill: Fill) -> dict[int, Spot] | None:
    """Spots for all; the board holds `where` again if there are none."""
    found: dict[int, Spot] | None = None
    if len(board.node_slots) <= _FEW_NODES:
        board.hold(items, where, 1)
        found = fill.run(RUN)
        board.hold(items, where, -1)
        if DBG:
            print("run", found is not None, fill.steps)
        if found is not None:
            return found
    board.paged = False
    pack = Repack(board, items, where)
    pack.run(CORES)
    if DBG:
        print("cores", len(pack.left), pack.steps)
    start = fill.steps
    while not pack.left and found is None and fill.steps < start + EXCHANGE:
        found = fill.exchange(pack.where, fill.steps + ROUND)
        if found is None:
            pack.shuffle(_SHUFFLES)
    if DBG:
        print(found is not None, fill.steps)
    board.paged = True
    if found is None:
        board.hold(items, pack.where, 1)
        board.hold(items, where, -1)
    return found
