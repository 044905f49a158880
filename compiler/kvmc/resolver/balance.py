"""Pages where they are short: with the guests' cores packed already, nodes exchange guests until each has the pages it needs.

Two L3s of different nodes change a few guests for others of as many cores, so the cores stay packed. A tabu search (Glover 1989)
takes the exchange that leaves the fewest pages short. All is counted in steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, islice

from kvmc.resolver.board import Board, Item, Spot

_SUBSETS = 64
"""Sets of guests of one L3 that may go at once; at most three guests each."""
_PARTNERS = 3
"""Other nodes looked at for one exchange."""
_TENURE = 4
"""Exchanges for which a guest stays where it just went, at least; up to twice as many."""

Subset = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Cores, pages by size, and the guests."""


class Balance:
    """The board's free cores and pages while nodes exchange guests; pages are negative where too few are there."""

    def __init__(self, board: Board, items: Sequence[Item], where: Mapping[int, Spot], seed: int) -> None:
        self.board = board
        self.seed = seed
        self.steps = 0
        self.free = list(board.free)
        self.normal = list(board.normal)
        self.sizes = sorted({size for pages in board.pages for size in pages})
        self.pages = [[pages.get(size, 0) for size in self.sizes] for pages in board.pages]
        self.items = {item.id: item for item in items if item.id in where and _plain(item, where[item.id])}
        self.slot = {id: where[id].cells[0][1][0][0] for id in self.items}
        self.inside: list[list[int]] = [[] for _ in self.free]
        for id, slot in self.slot.items():
            self.inside[slot].append(id)
        self.subsets: dict[int, list[Subset]] = {}
        self.until: dict[int, int] = {}

    def run(self, limit: int) -> bool:
        """Until no node is short or the steps are spent."""
        moves = 0
        short = [node for node, pages in enumerate(self.pages) if min(pages, default=0) < 0]
        while short and self.steps < limit:
            moves += 1
            node = short[self.chance(len(short))]
            best: tuple[int, Subset, Subset, int, int] | None = None
            for other in self.partners(node):
                found = self.best(node, other, moves)
                if found is not None and (best is None or found[0] < best[0]):
                    best = found
            self.steps += 20
            if best is None:
                continue
            _, mine, theirs, here, there = best
            self.move(mine, here, there, moves)
            self.move(theirs, there, here, moves)
            short = [node for node, pages in enumerate(self.pages) if min(pages, default=0) < 0]
        return not short

    def chance(self, number: int) -> int:
        """The next of a fixed row of numbers below `number`."""
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.seed >> 33) % number

    def partners(self, node: int) -> list[int]:
        """A few other nodes to exchange with."""
        number = len(self.pages)
        others = {self.chance(number) for _ in range(2 * _PARTNERS)} - {node}
        return list(islice(sorted(others, key=lambda one: (one * 7919 + self.seed) % 104729), _PARTNERS))

    def able(self, slot: int) -> list[Subset]:
        """The sets of guests of a slot that may go."""
        found = self.subsets.get(slot)
        if found is None:
            kind = self.board.kind[slot]
            found = [(0, (0,) * len(self.sizes), ())]
            ids = self.inside[slot]
            sets = (some for number in (1, 2, 3) for some in combinations(ids, number))
            for some in islice(sets, _SUBSETS):
                cores = 0
                pages = [0] * len(self.sizes)
                for id in some:
                    item = self.items[id]
                    cores += -(-item.cells[0][0] // item.per[kind])
                    size = item.demand.pages_kib
                    if size is not None:
                        pages[self.sizes.index(size)] += item.cells[0][1]
                found.append((cores, tuple(pages), some))
            self.subsets[slot] = found
        return found

    def best(self, node: int, other: int, moves: int) -> tuple[int, Subset, Subset, int, int] | None:
        """The exchange between slots of two nodes that leaves the fewest pages short."""
        board = self.board
        best: tuple[int, Subset, Subset, int, int] | None = None
        ties = 1
        a, b = self.pages[node], self.pages[other]
        single = len(self.sizes) == 1
        before = sum(-x for x in (*a, *b) if x < 0)
        for here in board.node_slots[node]:
            for there in board.node_slots[other]:
                if board.kind[here] != board.kind[there]:
                    continue
                low, high = -self.free[there], self.free[here]
                for mine in self.able(here):
                    for theirs in self.able(there):
                        grow = theirs[0] - mine[0]
                        if grow > high or grow < low:
                            continue
                        self.steps += 1
                        if single:
                            shift = mine[1][0] - theirs[1][0]
                            x, y = a[0] + shift, b[0] - shift
                            cost = (-x if x < 0 else 0) + (-y if y < 0 else 0) - before
                        else:
                            cost = -before
                            for x, y, p, q in zip(a, b, mine[1], theirs[1], strict=True):
                                cost += max(0, q - p - x) + max(0, p - q - y)
                        if best is not None and cost > best[0]:
                            continue
                        if best is not None and cost == best[0]:
                            ties += 1
                            if self.chance(ties):
                                continue
                        else:
                            ties = 1
                        if (mine[2] or theirs[2]) and self.allowed(mine, theirs, node, other, moves):
                            best = (cost, mine, theirs, here, there)
        return best

    def allowed(self, mine: Subset, theirs: Subset, node: int, other: int, moves: int) -> bool:
        """Whether these guests may lie there, and did not just come."""
        board = self.board
        normal = 0
        for ids, goal, sign in ((mine[2], other, 1), (theirs[2], node, -1)):
            for id in ids:
                item = self.items[id]
                if self.until.get(id, 0) > moves or board.node_host[goal] not in item.claims:
                    return False
                if any(not board.functions[goal].get(pool) for pool, _ in item.pools):
                    return False
                normal += sign * item.cells[0][2]
        return self.normal[other] >= normal and self.normal[node] >= -normal

    def move(self, subset: Subset, here: int, there: int, moves: int) -> None:
        cores, pages, ids = subset
        board = self.board
        self.free[here] += cores
        self.free[there] -= cores
        a, b = board.slot_node[here], board.slot_node[there]
        for index, number in enumerate(pages):
            self.pages[a][index] += number
            self.pages[b][index] -= number
        for id in ids:
            self.normal[a] += self.items[id].cells[0][2]
            self.normal[b] -= self.items[id].cells[0][2]
            self.inside[here].remove(id)
            self.inside[there].append(id)
            self.slot[id] = there
            self.until[id] = moves + _TENURE + self.chance(_TENURE)
        self.subsets.pop(here, None)
        self.subsets.pop(there, None)


def _plain(item: Item, spot: Spot) -> bool:
    """Whether it lies in one slot and is held by nothing that depends on the others."""
    if len(item.cells) > 1 or item.demand.own or any(item.claims.values()):
        return False
    return len(spot.cells[0][1]) == 1
