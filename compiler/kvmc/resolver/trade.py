"""Perfect packing: every L3 filled to the brim first, by sizes alone, then guests trade places until each node has the pages.

Where guests need nearly every core and page there is no room for trial and error. First only cores count (`patterns`). Which guest
of a size lies where decides on pages, devices and nodes: sets of guests that take as many cores change places, those that were not
moved lately, so that overdrawn nodes get less (tabu search, Glover 1989). All is counted in steps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from kvmc.resolver.board import Board, Item, Spot
from kvmc.resolver.patterns import Patterns

_NODES = 64
"""Nodes of a board that this is tried on, at most, ..."""
_SLOTS = 400
"""... and slots."""
_TOGETHER = 3
"""Guests of one L3 that change places at once, at most."""
_MOVES = 200
"""Trades of one attempt without a new best, at most."""
_REST = 7
"""Part of all cells that are left alone after they were moved, about: one of so many."""
_NEAREST = 4
"""Sets of another node that one is compared with."""
_WRONG = 25
"""What a cell on a wrong node costs, in pages."""

Set = tuple[int, int, tuple[int, ...], tuple[int, ...]]
"""Cells that lie together: pages, slot, which they are, and those of them that are not right on every node."""


@dataclass(slots=True)
class _Cell:
    """A cell of an item that fits into one slot. nodes: where it may lie; None where that hangs on the item's other cells."""

    item: int
    index: int
    cores: int
    pages: int
    nodes: frozenset[int] | None


class Trade:
    """The board while guests trade places; `steps` are spent."""

    def __init__(self, board: Board, items: Sequence[Item], seed: int) -> None:
        self.board = board
        self.items = items
        self.seed = seed
        self.steps = 0
        sizes = {size for item in items if (size := item.demand.pages_kib) is not None}
        self.several = len(sizes) > 1
        self.size = min(sizes, default=0)

    def chance(self, number: int) -> int:
        """The next of a fixed row of numbers below `number`."""
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.seed >> 33) % number

    def possible(self) -> bool:
        """Whether it is of use here: one page size, one kind of core, nobody kept apart, not too many nodes, enough of all."""
        board, items = self.board, self.items
        if (
            len(board.node_slots) > _NODES
            or len(board.free) > _SLOTS
            or self.several
            or any(item.demand.hosts.apart for item in items)
        ):
            return False
        if any(len(set(item.per)) > 1 for item in items):
            return False
        pages = sum(cell[1] for item in items for cell in item.cells)
        have = sum(held.get(self.size, 0) for held in board.pages)
        return pages <= have and sum(item.cores for item in items) <= sum(board.free)

    def run(self, limit: int) -> dict[int, Spot] | None:
        """A spot for every item on the board, which must hold none of them; it holds none afterwards."""
        self.may = [
            frozenset(
                node
                for node in range(len(self.board.node_slots))
                if self.board.may(item, node)
                and (len(item.cells) > 1 or all(self.board.functions[node].get(pool) for pool, _ in item.pools))
            )
            for item in self.items
        ]
        while self.steps < limit:
            self.steps += 50
            wide: dict[int, Spot] = {}
            found: dict[int, Spot] | None = None
            if self.lay_wide(wide):
                found = self.attempt(wide, limit)
            self.board.hold(self.items, wide, 1)
            if found is not None:
                return found
        return None

    def lay_wide(self, wide: dict[int, Spot]) -> bool:
        """Guests with a cell that no slot holds lie anywhere."""
        most = max(self.board.free)
        groups = [(node, list(slots)) for node, slots in enumerate(self.board.node_slots)]
        for item in self.items:
            if max(self.cores(item, index) for index in range(len(item.cells))) > most:
                spots = self.board.spots(item, groups)
                if not spots:
                    return False
                wide[item.id] = spots[self.chance(len(spots))]
                self.board.apply(item, wide[item.id], -1)
        return True

    @staticmethod
    def cores(item: Item, index: int) -> int:
        return -(-item.cells[index][0] // max(item.per[0], 1)) + item.demand.own

    def attempt(self, wide: dict[int, Spot], limit: int) -> dict[int, Spot] | None:
        """One packing by sizes, and trades from it; all spots, those of `wide` among them."""
        self.cells: list[_Cell] = []
        self.mine: dict[int, list[int]] = {}
        for item in self.items:
            if item.id in wide:
                continue
            for index in range(len(item.cells)):
                nodes = self.may[item.id] if len(item.cells) == 1 else None
                self.mine.setdefault(item.id, []).append(len(self.cells))
                self.cells.append(_Cell(item.id, index, self.cores(item, index), item.cells[index][1], nodes))
        if not self.pack():
            return None
        board = self.board
        self.over = [-held.get(self.size, 0) for held in board.pages]
        for cell, slot in zip(self.cells, self.slot, strict=True):
            self.over[board.slot_node[slot]] += cell.pages
        return self.spots(wide) if self.trades(limit) else None

    def pack(self) -> bool:
        """A slot for every cell by cores alone."""
        by_size: dict[int, list[int]] = {}
        for number, cell in enumerate(self.cells):
            by_size.setdefault(cell.cores, []).append(number)
        for some in by_size.values():
            for at in range(len(some) - 1, 0, -1):
                other = self.chance(at + 1)
                some[at], some[other] = some[other], some[at]
        slots = [slot for slot, free in enumerate(self.board.free) if free]
        keys = {slot: (self.board.free[slot], self.chance(1 << 20)) for slot in slots}
        slots.sort(key=lambda slot: keys[slot])
        rooms = [self.board.free[slot] for slot in slots]
        patterns = Patterns(rooms, {size: len(some) for size, some in by_size.items()}, self.chance)
        found = patterns.fill()
        self.steps += patterns.states
        if not found:
            return False
        self.inside: list[list[int]] = [[] for _ in self.board.free]
        self.slot = [0] * len(self.cells)
        for slot, sizes in zip(slots, patterns.chosen, strict=True):
            for size in sizes:
                number = by_size[size].pop()
                self.inside[slot].append(number)
                self.slot[number] = slot
        self.room = list(self.board.free)
        for cell, slot in zip(self.cells, self.slot, strict=True):
            self.room[slot] -= cell.cores
        return True

    def wrong(self, number: int, node: int) -> bool:
        """Whether a cell would be wrong on the node, the others of its guest where they are."""
        cell = self.cells[number]
        if cell.nodes is not None:
            return node not in cell.nodes
        item = self.items[cell.item]
        board = self.board
        if node not in self.may[cell.item]:
            return True
        nodes = [node]
        for other in self.mine[cell.item]:
            if other != number:
                there = board.slot_node[self.slot[other]]
                if there in nodes or board.node_host[there] != board.node_host[node]:
                    return True
                if item.cells[cell.index] != item.cells[self.cells[other].index] and (there < node) != (other < number):
                    return True
                nodes.append(there)
        return any(not any(board.functions[one].get(pool) for one in nodes) for pool, _ in item.pools)

    def sets(self, slot: int) -> Iterator[tuple[int, Set]]:
        """Cells of a slot that may change places with others, after their cores."""
        inside, cells, odd = self.inside[slot], self.cells, self.odd
        if self.slack:
            yield 0, (0, slot, (), ())
        numbers = range(1, min(_TOGETHER, len(inside)) + 1)
        for number in (*numbers, len(inside)) if len(inside) > _TOGETHER else numbers:
            for some in combinations(inside, number):
                pages = cores = 0
                for one in some:
                    pages += cells[one].pages
                    cores += cells[one].cores
                yield cores, (pages, slot, some, tuple([one for one in some if one in odd]))

    def by_cores(self, node: int) -> dict[int, list[Set]]:
        found: dict[int, list[Set]] = {}
        for slot in self.board.node_slots[node]:
            for cores, one in self.sets(slot):
                found.setdefault(cores, []).append(one)
        for some in found.values():
            some.sort()
        return found

    def trades(self, limit: int) -> bool:
        """Trade until every node has the pages and every cell is right."""
        board = self.board
        self.slack = sum(self.room)
        count = len(board.node_slots)
        self.odd = dict.fromkeys(
            n for n, cell in enumerate(self.cells) if cell.nodes is None or len(cell.nodes) < count
        )
        self.bad = [self.wrong_nodes(number) for number in range(len(self.cells))]
        self.tables = [self.by_cores(node) for node in range(count)]
        self.until = [0] * len(self.cells)
        best = 1 << 60
        since = turn = 0
        while True:
            wrong = [n for n in self.odd if self.bad[n] >> board.slot_node[self.slot[n]] & 1]
            cost = sum(over for over in self.over if over > 0) + _WRONG * len(wrong)
            if not cost:
                return True
            if cost < best:
                best, since = cost, 0
            since += 1
            turn += 1
            if since > _MOVES or self.steps > limit:
                return False
            bad = [node for node in range(count) if self.over[node] > 0]
            bad += [board.slot_node[self.slot[number]] for number in wrong]
            found = self.best_trade(bad[self.chance(len(bad))], turn, cost - best)
            if found is not None:
                self.change(*found, turn)

    def wrong_nodes(self, number: int) -> int:
        """Nodes that are wrong for a cell, as bits."""
        if number not in self.odd:
            return 0
        return sum(1 << node for node in range(len(self.board.node_slots)) if self.wrong(number, node))

    def best_trade(self, node: int, turn: int, above: int) -> tuple[Set, Set] | None:
        """The sets whose change costs least, of the node and of any other. above: by how much the cost is above the best so far."""
        over, room, slack, bad = self.over, self.room, self.slack, self.bad
        mine = over[node]
        best, ties, looked = 1 << 60, 0, 0
        rested = {number for number, until in enumerate(self.until) if until <= turn}
        found: tuple[Set, Set] | None = None
        for other, table in enumerate(self.tables):
            if other == node:
                continue
            there = over[other]
            before = (mine if mine > 0 else 0) + (there if there > 0 else 0)
            low, high = (mine, -there) if mine < -there else (-there, mine)
            for cores, ours in self.tables[node].items():
                for size in range(cores - slack, cores + slack + 1) if slack else (cores,):
                    theirs = table.get(size)
                    if theirs is None:
                        continue
                    last = len(theirs)
                    for one in ours:
                        at = 0
                        if last > _NEAREST:  # those with which neither node is overdrawn, or the nearest
                            at = max(bisect_left(theirs, (one[0] - high,)) - 1, 0)
                            free = bisect_left(theirs, (one[0] - low + 1,), at) - at - _NEAREST
                            at += self.chance(free) if free > 1 else 0
                        looked += 1
                        for two in theirs[at : at + _NEAREST]:
                            less = one[0] - two[0]
                            delta = (
                                (mine - less if mine > less else 0) + (there + less if there + less > 0 else 0) - before
                            )
                            if delta > best + _WRONG:
                                continue
                            if slack and not -room[one[1]] <= cores - size <= room[two[1]]:
                                continue
                            for number in one[3]:
                                delta += _WRONG * ((bad[number] >> other & 1) - (bad[number] >> node & 1))
                            for number in two[3]:
                                delta += _WRONG * ((bad[number] >> node & 1) - (bad[number] >> other & 1))
                            if delta > best:
                                continue
                            if above + delta >= 0 and not rested.issuperset(one[2] + two[2]):
                                continue
                            if delta == best:
                                ties += 1
                                if self.chance(ties + 1):
                                    continue
                            else:
                                ties = 0
                            best, found = delta, (one, two)
        self.steps += 3 + looked // 8
        return found

    def change(self, one: Set, two: Set, turn: int) -> None:
        board = self.board
        for (pages, start, some, _), end in ((one, two[1]), (two, one[1])):
            for number in some:
                self.inside[start].remove(number)
                self.inside[end].append(number)
                self.slot[number] = end
                self.until[number] = turn + 2 + self.chance(1 + len(self.cells) // _REST)
                self.room[start] += self.cells[number].cores
                self.room[end] -= self.cells[number].cores
            self.over[board.slot_node[start]] -= pages
            self.over[board.slot_node[end]] += pages
        for slot in (one[1], two[1]):
            node = board.slot_node[slot]
            self.tables[node] = self.by_cores(node)
        for number in one[3] + two[3]:
            for other in self.mine[self.cells[number].item]:
                self.bad[other] = self.wrong_nodes(other)

    def spots(self, wide: dict[int, Spot]) -> dict[int, Spot] | None:
        """What was found as spots; None where normal memory or the number of functions turn out to be too few."""
        board = self.board
        found: dict[int, Spot] = {}
        good = True
        for id, numbers in self.mine.items():
            item = self.items[id]
            slots = [self.slot[number] for number in numbers]
            if len(set(item.cells)) == 1:
                slots.sort()
            nodes = tuple(board.slot_node[slot] for slot in slots)
            devices = board.devices(item, nodes)
            if devices is None:
                good = False
                break
            cells = tuple(
                (node, ((slot, self.cores(item, index) - item.demand.own),), slot if item.demand.own else None)
                for index, (node, slot) in enumerate(zip(nodes, slots, strict=True))
            )
            found[id] = Spot(board.node_host[nodes[0]], cells, devices)
            board.apply(item, found[id], -1)
        good = good and min(board.normal) >= 0 and all(n >= 0 for held in board.pages for n in held.values())
        board.hold(self.items, found, 1)
        return found | wide if good else None
