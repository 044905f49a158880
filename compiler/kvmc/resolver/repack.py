"""Repacking: a few L3s at a time are emptied and filled anew by an exact search, so that more guests fit.

What the guests hold is kept as plain numbers here. A region is a handful of slots of one to three nodes; the guests that lie wholly
in it and some of those without a place are packed again, so that the vCPUs left out are the fewest. A packing that is as good as
the old one is taken too: that is how the search wanders on (large neighbourhood search, Shaw 1998). All is counted in steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvmc.resolver.board import Board, Group, Item, Spot

_GUESTS = 11
"""Guests packed again at once, about."""
_TRIES = 240
"""Steps of one region's search, at most."""


@dataclass
class _Pack:
    """One region's search: items in order, the best packing so far."""

    board: Board
    items: Sequence[Item]
    groups: Sequence[Group]
    limit: int
    steps: int = 0
    found: tuple[Spot | None, ...] | None = None

    def run(self) -> None:
        self.slots = [slot for _, slots in self.groups for slot in slots]
        self.chosen: list[Spot | None] = []
        self.least: list[int] = [0]
        need = [0]
        ratio = [1 << 30]
        for item in reversed(self.items):
            need.append(need[-1] + item.cores)
            ratio.append(min(ratio[-1], item.weight // item.cores))
            self.least.append(min(self.least[-1] or item.least, item.least))
        self.need, self.ratio = need, ratio
        self.visit(0, 0)

    def visit(self, index: int, lost: int) -> bool:
        """Place items from `index` on; true where the search is over."""
        self.steps += 1
        left = len(self.items) - index
        if left == 0:
            better = lost < self.limit
            if better or self.found is None:
                self.found = tuple(self.chosen)
            if better:
                self.limit = lost
            return lost == 0
        if self.steps > _TRIES:
            return True
        free, least = self.board.free, self.least[left]
        usable = sum(free[slot] for slot in self.slots if free[slot] >= least)
        short = self.need[left] - usable
        if short > 0:
            floor = lost + short * self.ratio[left]
            if floor > self.limit or (floor == self.limit and self.found is not None):
                return False
        item = self.items[index]
        for spot in self.board.spots(item, self.groups):
            self.board.apply(item, spot, -1)
            self.chosen.append(spot)
            over = self.visit(index + 1, lost)
            self.chosen.pop()
            self.board.apply(item, spot, 1)
            if over:
                return True
        lost += item.weight
        if lost > self.limit or (lost == self.limit and self.found is not None):
            return False
        self.chosen.append(None)
        over = self.visit(index + 1, lost)
        self.chosen.pop()
        return over


class Repack:
    """A board, where each item lies on it, and those that lie nowhere."""

    def __init__(self, board: Board, items: Sequence[Item], where: Mapping[int, Spot]) -> None:
        self.board = board
        self.items = items
        self.where = dict(where)
        self.left = [item.id for item in items if item.id not in self.where]
        self.residents: list[set[int]] = [set() for _ in board.free]
        for id, spot in self.where.items():
            for slot in spot.slots():
                self.residents[slot].add(id)
        self.seed = 1
        self.steps = 0
        self.over = False
        """All was packed anew at once, and no way was left out."""

    def chance(self, number: int) -> int:
        """The next of a fixed row of numbers below `number`."""
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.seed >> 33) % number

    def run(self, steps: int) -> None:
        """Until nothing is left or the steps are spent."""
        while self.left and self.steps < steps and not self.over:
            self.once()

    def once(self) -> None:
        self.steps += 8
        groups, ids = self.region()
        out = self.some_left()
        inside = [self.items[id] for id in ids]
        board = self.board
        before = {item.id: self.where[item.id] for item in inside}
        for item in inside:
            board.apply(item, before[item.id], 1)
        wanted = inside + [self.items[id] for id in out]
        keys = {item.id: item.cores * 16 + self.chance(24) for item in wanted}
        wanted.sort(key=lambda item: (-len(item.cells), -keys[item.id]))
        limit = sum(self.items[id].weight for id in out)
        pack = _Pack(board, wanted, groups, limit)
        pack.run()
        self.steps += pack.steps
        self.over = len(wanted) == len(self.items) and pack.steps <= _TRIES and self.small()
        if pack.found is None:
            for item in inside:
                board.apply(item, before[item.id], -1)
            return
        for item in inside:
            for slot in self.where.pop(item.id).slots():
                self.residents[slot].discard(item.id)
        left = set(self.left) | set(ids)
        for item, spot in zip(wanted, pack.found, strict=True):
            if spot is None:
                continue
            board.apply(item, spot, -1)
            self.where[item.id] = spot
            left.discard(item.id)
            for slot in spot.slots():
                self.residents[slot].add(item.id)
        self.left = [id for id in self.left if id in left] + [id for id in ids if id in left]

    def small(self) -> bool:
        """Whether one region holds all."""
        return len(self.items) <= _GUESTS and len(self.board.free) <= _GUESTS

    def some_left(self) -> list[int]:
        if len(self.left) <= 4:
            return list(self.left)
        start = self.chance(len(self.left))
        return [self.left[(start + index) % len(self.left)] for index in range(4)]

    def region(self) -> tuple[list[Group], list[int]]:
        """Slots of one to three nodes, and the items wholly in them."""
        board = self.board
        if self.small():
            return [(node, list(slots)) for node, slots in enumerate(board.node_slots)], sorted(self.where)
        ids = self.left or list(self.where)
        item = self.items[ids[self.chance(len(ids))]]
        nodes = [node for node in range(len(board.node_slots)) if board.may(item, node)]
        chosen: list[int] = []
        holes = [node for node in nodes if any(board.free[slot] for slot in board.node_slots[node])]
        if holes and self.chance(3):
            chosen.append(holes[self.chance(len(holes))])
        for _ in range(1 + self.chance(3)):
            node = nodes[self.chance(len(nodes))]
            if node not in chosen:
                chosen.append(node)
        pool = [slot for node in chosen for slot in board.node_slots[node]]
        if self.chance(4):
            mixed = [slot for slot in pool if board.free[slot] or len(self.residents[slot]) > 1]
            pool = mixed + [pool[self.chance(len(pool))] for _ in chosen]
        slots: dict[int, None] = {}
        inside: set[int] = set()
        touched: set[int] = set()
        first = [slot for slot in pool if board.free[slot]]
        while (pool or first) and len(inside) < _GUESTS:
            slot = first.pop(self.chance(len(first))) if first else pool.pop(self.chance(len(pool)))
            more = [slot]
            for id in sorted(self.residents[slot]):
                if self.chance(2):
                    more += self.where[id].slots()
            for one in more:
                slots[one] = None
                touched |= self.residents[one]
            inside = {id for id in touched if all(other in slots for other in self.where[id].slots())}
        groups: dict[int, list[int]] = {}
        for slot in sorted(slots):
            groups.setdefault(board.slot_node[slot], []).append(slot)
        return list(groups.items()), sorted(inside)
